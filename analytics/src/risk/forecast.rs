//! What is next: 0.7 of what the cell's past has at these hours, 0.3 of what is going on (the self-exciting form of
//! Mohler et al. 2011). `risk` ranks now; this ranks what follows.

use super::intensity::HalfLife;

/// The share of the past.
const OF_THE_PAST: f64 = 0.7;
/// The share of what is going on.
const OF_NOW: f64 = 0.3;

/// Marks expected over the next `hours`: `rate` is the cell's marks an hour, `profile_hours` Σφ over these hours,
/// `intensity` what is felt in the cell now.
pub fn forecast(rate: f64, profile_hours: f64, intensity: f64, half_life: HalfLife, hours: f64) -> f64 {
    OF_THE_PAST * rate * profile_hours
        + OF_NOW * intensity * std::f64::consts::LN_2 / half_life.hours() * hours
}

#[cfg(test)]
mod tests {
    use super::*;
    use riskgrid_ingest::HOUR;

    #[test]
    fn a_cell_that_is_as_it_always_is_has_its_rate_as_forecast() {
        let half_life = HalfLife::new(12 * HOUR).unwrap();
        // An even rate has come to rate·τ/ln 2.
        let felt = 0.5 * 12.0 / std::f64::consts::LN_2;
        assert!((forecast(0.5, 24.0, felt, half_life, 24.0) - 12.0).abs() < 1e-12);
        assert!((forecast(0.5, 24.0, 0.0, half_life, 24.0) - 8.4).abs() < 1e-12);
    }
}
