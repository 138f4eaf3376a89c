//! How sure a mean is: weeks drawn again and again, as days of one week are alike.

use crate::statistics::SplitMix64;

/// Draws of the weeks.
const DRAWS: usize = 999;

/// The interval that holds 90 % of the means Σ sums / Σ events over weeks drawn with replacement. `weeks` has the sum and
/// the events of each.
pub fn interval_of_mean(weeks: &[(f64, f64)], seed: u64) -> Option<[f64; 2]> {
    if weeks.len() < 2 {
        return None;
    }
    let mut random = SplitMix64::stream(seed, 0);
    let mut means: Vec<f64> = (0..DRAWS)
        .filter_map(|_| {
            let (mut sum, mut events) = (0.0, 0.0);
            for _ in 0..weeks.len() {
                let (of_week, in_week) = weeks.get(random.below(weeks.len() as u64) as usize)?;
                sum += of_week;
                events += in_week;
            }
            (events > 0.0).then(|| sum / events)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| {
        means
            .get(((means.len() as f64 - 1.0) * share).round() as usize)
            .copied()
    };
    Some([at(0.05)?, at(0.95)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_that_are_alike_leave_no_doubt_and_others_do() {
        assert_eq!(interval_of_mean(&[(2.0, 4.0); 8], 1), Some([0.5, 0.5]));
        let [low, high] = interval_of_mean(&[(0.0, 1.0), (1.0, 1.0), (0.0, 1.0), (1.0, 1.0)], 1).unwrap();
        assert!(low <= 0.25 && high >= 0.75, "{low} {high}");
        assert_eq!(interval_of_mean(&[(1.0, 1.0)], 1), None);
    }
}
