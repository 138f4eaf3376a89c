//! From p to days between false alarms: what a rule that looks again and again can promise.

/// False episodes of looks at overlapping windows over those of windows that do not overlap, by how far apart looks are in
/// windows: the worst of means from 0.2 to 20.
const LOOKS: [(f64, f64); 5] = [
    (1.0, 1.0),
    (1.0 / 2.0, 2.2),
    (1.0 / 4.0, 3.3),
    (1.0 / 12.0, 5.1),
    (1.0 / 60.0, 8.0),
];

/// c of looks that are `every` windows apart: that of the next finer one that is known, the finest beyond.
#[must_use]
pub fn looks_factor(every: f64) -> f64 {
    // A quotient of lengths may miss a twelfth by its last bit.
    let every = every * (1.0 + 1e-12);
    let known = LOOKS.iter().find(|(apart, _)| every >= *apart);
    known.or(LOOKS.last()).map_or(1.0, |(_, factor)| *factor)
}

/// Days between windows of one cell as unlikely as `p`, by chance, where a window has so many `days`.
#[must_use]
pub fn recurrence_days(p: f64, days: f64, looks: f64) -> f64 {
    days / (looks * p.max(f64::MIN_POSITIVE))
}

/// Days between windows in which any of `cells` is as unlikely as `p`.
#[must_use]
pub fn recurrence_days_of_area(p: f64, days: f64, looks: f64, cells: usize) -> f64 {
    let any = -(cells as f64 * (-p.max(f64::MIN_POSITIVE)).ln_1p()).exp_m1();
    days / (looks * any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_rhythms_the_finer_one_counts() {
        for (every, factor) in [
            (3.0, 1.0),
            (1.0, 1.0),
            (0.9, 2.2),
            (0.5, 2.2),
            (0.25, 3.3),
            (5.0 / 60.0, 5.1),
            (0.08, 8.0),
            (1.0 / 60.0, 8.0),
            (0.001, 8.0),
        ] {
            assert_eq!(looks_factor(every), factor, "{every}");
        }
    }

    #[test]
    fn a_budget_of_a_city_is_kept_by_a_far_smaller_p() {
        let days = recurrence_days_of_area(3.221_188e-7, 1.0 / 24.0, 3.3, 392);
        assert!((days - 100.0).abs() < 1e-4, "{days}");
        assert_eq!(recurrence_days(1.0, 1.0 / 24.0, 1.0), 1.0 / 24.0);
        assert_eq!(recurrence_days_of_area(1.0, 1.0, 1.0, 5), 1.0);
        assert!(recurrence_days(0.0, 1.0, 1.0).is_finite());
        assert!(recurrence_days_of_area(0.0, 1.0, 1.0, 5).is_finite());
    }
}
