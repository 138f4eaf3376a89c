//! z of Getis-Ord Gi* (Ord & Getis 1995) in exact integers, in two phases: sums that merge, then one score a cell.

use super::error::StatisticsError;

/// First phase: n, Σx and Σx² of the study area. Exact, so the order of adding and merging cannot matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GlobalSums {
    /// Number of cells.
    pub n: u64,
    /// Σx in units of the layer's resolution.
    pub sum: i128,
    /// Σx² in squared units.
    pub sum_squares: i128,
}

impl GlobalSums {
    /// Sums over all `values`.
    ///
    /// # Errors
    /// [`StatisticsError::Overflow`] when Σx² leaves 127 bits.
    pub fn of(values: &[i128]) -> Result<Self, StatisticsError> {
        values.iter().try_fold(Self::default(), |sums, &value| {
            let square = value.checked_mul(value).ok_or(StatisticsError::Overflow)?;
            sums.merge(Self {
                n: 1,
                sum: value,
                sum_squares: square,
            })
        })
    }

    /// Sums over two disjoint sets of cells together.
    ///
    /// # Errors
    /// [`StatisticsError::Overflow`] when a sum leaves 127 bits.
    pub fn merge(self, other: Self) -> Result<Self, StatisticsError> {
        Ok(Self {
            n: self.n.checked_add(other.n).ok_or(StatisticsError::Overflow)?,
            sum: self.sum.checked_add(other.sum).ok_or(StatisticsError::Overflow)?,
            sum_squares: self
                .sum_squares
                .checked_add(other.sum_squares)
                .ok_or(StatisticsError::Overflow)?,
        })
    }
}

/// Second phase: scores against the sums of the whole study area.
#[derive(Clone, Copy, Debug)]
pub struct GetisOrd {
    n: i128,
    sum: i128,
    /// n·Σx² − (Σx)², that is n²·variance; 0 for a constant field.
    spread: i128,
}

impl GetisOrd {
    /// # Errors
    /// [`StatisticsError::Overflow`] when n·Σx² leaves 127 bits.
    pub fn new(sums: GlobalSums) -> Result<Self, StatisticsError> {
        let n = i128::from(sums.n);
        let of_squares = n.checked_mul(sums.sum_squares).ok_or(StatisticsError::Overflow)?;
        let squared = sums.sum.checked_mul(sums.sum).ok_or(StatisticsError::Overflow)?;
        let spread = of_squares.checked_sub(squared).ok_or(StatisticsError::Overflow)?;
        Ok(Self {
            n,
            sum: sums.sum,
            spread,
        })
    }

    /// False when no cell can have a score: fewer than 3 cells, or all of one value.
    #[must_use]
    pub const fn is_defined(&self) -> bool {
        self.n >= 3 && self.spread > 0
    }

    /// z for weights of 0 and 1: `count` cells (the cell itself included) that sum to `local`.
    ///
    /// `None` where the statistic is undefined: see [`is_defined`](Self::is_defined), or the neighbourhood is the whole area.
    #[must_use]
    pub fn z_of_count(&self, count: u64, local: i128) -> Option<f64> {
        let count = i128::from(count);
        // No product can overflow: by Cauchy-Schwarz both |local| and |sum| are below 2^63.5 once n·Σx² fits.
        let numerator = self.n * local - count * self.sum;
        let weights = count * (self.n - count);
        if !self.is_defined() || weights <= 0 {
            return None;
        }
        Some(self.standardised(rounded(numerator), rounded(weights)))
    }

    /// How far `value` lies from the mean, times n: exact in integers, then rounded once.
    ///
    /// Σ w·(n·x − Σx) equals n·S − W·Σx but does not take the difference of two large rounded numbers.
    #[must_use]
    pub fn deviation(&self, value: i128) -> f64 {
        rounded(self.n * value - self.sum)
    }

    /// z for general weights: `weighted_deviation` = Σ w·[`deviation`](Self::deviation), `w` = Σ w, `w_squares` = Σ w²,
    /// the cell itself included.
    #[must_use]
    pub fn z_of_weights(&self, w: f64, w_squares: f64, weighted_deviation: f64) -> Option<f64> {
        let weights = self.n as f64 * w_squares - w * w;
        if !self.is_defined() || weights <= 0.0 {
            return None;
        }
        Some(self.standardised(weighted_deviation, weights))
    }

    fn standardised(&self, numerator: f64, weights: f64) -> f64 {
        numerator / (rounded(self.spread) * weights / rounded(self.n - 1)).sqrt()
    }
}

/// The nearest f64. Through 64 bits where they suffice: same digits, without the slow conversion of 128.
fn rounded(exact: i128) -> f64 {
    i64::try_from(exact).map_or(exact as f64, |exact| exact as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lone_cell_scores_its_own_distance_from_the_mean() {
        let values = [0, 0, 5, 1];
        let scores = GetisOrd::new(GlobalSums::of(&values).unwrap()).unwrap();
        let mean = 1.5_f64;
        let sd = (values.iter().map(|&x| (x as f64 - mean).powi(2)).sum::<f64>() / 4.0).sqrt();
        let z = scores.z_of_count(1, 5).unwrap();
        assert!((z - (5.0 - mean) / sd).abs() < 1e-14, "{z}");
    }

    #[test]
    fn undefined_fields_have_no_score() {
        for values in [vec![], vec![1], vec![1, 2], vec![4, 4, 4, 4], vec![0; 9]] {
            let scores = GetisOrd::new(GlobalSums::of(&values).unwrap()).unwrap();
            assert_eq!(scores.z_of_count(1, 1), None, "{values:?}");
            assert_eq!(scores.z_of_weights(1.5, 1.25, 1.0), None, "{values:?}");
        }
        let scores = GetisOrd::new(GlobalSums::of(&[1, 2, 3]).unwrap()).unwrap();
        assert_eq!(scores.z_of_count(3, 6), None);
    }

    #[test]
    fn squares_too_large_are_an_error_and_not_a_wrong_number() {
        assert_eq!(GlobalSums::of(&[i128::MAX]), Err(StatisticsError::Overflow));
        let large = 1_i128 << 62;
        let sums = GlobalSums::of(&[large, -large, large, 0]).unwrap();
        assert_eq!(GetisOrd::new(sums).err(), Some(StatisticsError::Overflow));
        let still_fits = GlobalSums::of(&[large, -large, 0]).unwrap();
        assert!(GetisOrd::new(still_fits).unwrap().z_of_count(1, large).unwrap() > 1.2);
    }

    proptest! {
        #[test]
        fn any_split_merges_to_the_same_sums(values in prop::collection::vec(-1_000_000_000_i128..1_000_000_000, 0..60), at in 0_usize..60) {
            let (left, right) = values.split_at(at.min(values.len()));
            let merged = GlobalSums::of(right).unwrap().merge(GlobalSums::of(left).unwrap()).unwrap();
            prop_assert_eq!(merged, GlobalSums::of(&values).unwrap());
        }

        #[test]
        fn shifting_and_scaling_the_values_leaves_z(values in prop::collection::vec(0_i128..50, 4..30), count in 1_usize..4) {
            let z = |values: &[i128]| GetisOrd::new(GlobalSums::of(values).unwrap()).unwrap()
                .z_of_count(count as u64, values[..count].iter().sum());
            let moved: Vec<i128> = values.iter().map(|x| 1_000_000 * x - 12_345).collect();
            match (z(&values), z(&moved)) {
                (Some(z), Some(moved)) => prop_assert!((z - moved).abs() <= 1e-12 * z.abs().max(1.0)),
                (z, moved) => prop_assert_eq!(z, moved),
            }
        }

        #[test]
        fn weights_of_one_give_the_score_of_the_count(values in prop::collection::vec(0_i128..50, 4..30), count in 1_usize..4) {
            let scores = GetisOrd::new(GlobalSums::of(&values).unwrap()).unwrap();
            let counted = scores.z_of_count(count as u64, values[..count].iter().sum());
            let deviation: f64 = values[..count].iter().map(|&x| scores.deviation(x)).sum();
            let weighted = scores.z_of_weights(count as f64, count as f64, deviation);
            match (counted, weighted) {
                (Some(counted), Some(weighted)) => prop_assert!((counted - weighted).abs() <= 1e-12 * counted.abs().max(1.0)),
                (counted, weighted) => prop_assert_eq!(counted, weighted),
            }
        }
    }
}
