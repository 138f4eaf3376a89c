//! The flood cap: what few sources sent counts as what so many sources may say.

use riskgrid_ingest::grid::CellAggregate;

/// How far back the cap looks, in half-lives.
pub const WINDOW: i64 = 4;
/// Reports that one source counts for, about, at most.
const REPORTS_OF_A_SOURCE: f64 = 1.5;
/// With fewer zero bits the estimate of the sources says too little.
const FEWEST_ZEROS: u32 = 4;

/// How many sources a bitmap speaks of: 64·ln(64/z), linear counting (Whang, Vander-Zanden and Taylor 1990).
pub fn estimated_sources(sources: u64) -> f64 {
    CellAggregate::estimated_sources(sources)
}

/// By what the intensity of a cell is multiplied that had `count` events of these sources in the window.
pub fn flood_cap(count: u64, sources: u64) -> f64 {
    if count == 0 || sources.count_zeros() < FEWEST_ZEROS {
        return 1.0;
    }
    (REPORTS_OF_A_SOURCE * estimated_sources(sources) / count as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_counts_for_about_one_and_a_half_reports() {
        let capped = |count: u64| count as f64 * flood_cap(count, 1);
        assert!((capped(1) - 1.0).abs() < 1e-12);
        assert!((capped(2) - 1.512).abs() < 1e-3);
        assert!((capped(1000) - 1.512).abs() < 1e-3);
    }

    #[test]
    fn a_bitmap_that_is_nearly_full_caps_nothing() {
        assert_eq!(flood_cap(1_000_000, u64::MAX >> 3), 1.0);
        assert!(flood_cap(1_000_000, u64::MAX >> 4) < 1.0);
        assert_eq!(flood_cap(0, 0), 1.0);
        assert!((estimated_sources(u64::MAX) - 64.0 * 128.0_f64.ln()).abs() < 1e-12);
    }
}
