//! z of Getis-Ord Gi* (Ord & Getis 1995) in exact integers: one score a cell against the sums of the whole study area.

use super::global_sums::{CentredField, rounded};

/// Scores against the whole study area.
#[derive(Clone, Copy, Debug)]
pub struct GetisOrd {
    field: CentredField,
    spread: f64,
    others: f64,
}

impl GetisOrd {
    /// Over the study area of `field`.
    #[must_use]
    pub fn new(field: CentredField) -> Self {
        Self {
            field,
            spread: rounded(field.spread()),
            others: rounded(field.n() - 1),
        }
    }

    /// False when no cell can have a score: fewer than 3 cells, or all of one value.
    #[must_use]
    pub const fn is_defined(&self) -> bool {
        self.field.n() >= 3 && self.field.spread() > 0
    }

    /// z for weights of 0 and 1: `count` cells (the cell itself included) that sum to `local`.
    ///
    /// `None` where the statistic is undefined: see [`is_defined`](Self::is_defined), or the neighbourhood is the whole area.
    #[must_use]
    pub fn z_of_count(&self, count: u64, local: i128) -> Option<f64> {
        Some(self.deviation_of(count, local) / self.standard_deviation_of(count)?)
    }

    /// The numerator of [`z_of_count`](Self::z_of_count): how far the cells lie from their share of the whole, times n.
    #[must_use]
    pub fn deviation_of(&self, count: u64, local: i128) -> f64 {
        rounded(self.field.deviation(count.into(), local))
    }

    /// The denominator of [`z_of_count`](Self::z_of_count), which is the same for all neighbourhoods of `count` cells;
    /// `None` where z is.
    #[must_use]
    pub fn standard_deviation_of(&self, count: u64) -> Option<f64> {
        let count = i128::from(count);
        let weights = count * (self.field.n() - count);
        (self.is_defined() && weights > 0).then(|| self.standard_deviation(rounded(weights)))
    }

    /// How far `value` lies from the mean, times n: exact in integers, then rounded once.
    ///
    /// Σ w·(n·x − Σx) equals n·S − W·Σx but does not take the difference of two large rounded numbers.
    #[must_use]
    pub fn deviation(&self, value: i128) -> f64 {
        rounded(self.field.deviation(1, value))
    }

    /// z for general weights.
    #[must_use]
    pub fn z_of_weights(&self, sums: &WeightedSums) -> Option<f64> {
        let weights = rounded(self.field.n()) * sums.squares - sums.weights * sums.weights;
        if !self.is_defined() || weights <= 0.0 {
            return None;
        }
        Some(sums.deviation / self.standard_deviation(weights))
    }

    fn standard_deviation(&self, weights: f64) -> f64 {
        (self.spread * weights / self.others).sqrt()
    }
}

/// Sums over a neighbourhood with general weights, the cell itself included.
#[derive(Clone, Copy, Debug, Default)]
pub struct WeightedSums {
    /// Σ w.
    pub weights: f64,
    /// Σ w².
    pub squares: f64,
    /// Σ w·[`deviation`](GetisOrd::deviation).
    pub deviation: f64,
}

impl WeightedSums {
    /// Takes a neighbour in: the order of a sum of floats is part of the answer.
    pub fn add(&mut self, weight: f64, deviation: f64) {
        self.weights += weight;
        self.squares += weight * weight;
        self.deviation += weight * deviation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::GlobalSums;
    use proptest::prelude::*;

    fn scores_of(values: &[i128]) -> GetisOrd {
        GetisOrd::new(CentredField::new(GlobalSums::of(values).unwrap()).unwrap())
    }

    #[test]
    fn a_lone_cell_scores_its_own_distance_from_the_mean() {
        let values = [0, 0, 5, 1];
        let scores = scores_of(&values);
        let mean = 1.5_f64;
        let sd = (values.iter().map(|&x| (x as f64 - mean).powi(2)).sum::<f64>() / 4.0).sqrt();
        let z = scores.z_of_count(1, 5).unwrap();
        assert!((z - (5.0 - mean) / sd).abs() < 1e-14, "{z}");
    }

    #[test]
    fn undefined_fields_have_no_score() {
        for values in [vec![], vec![1], vec![1, 2], vec![4, 4, 4, 4], vec![0; 9]] {
            let scores = scores_of(&values);
            let sums = WeightedSums {
                weights: 1.5,
                squares: 1.25,
                deviation: 1.0,
            };
            assert_eq!(scores.z_of_count(1, 1), None, "{values:?}");
            assert_eq!(scores.z_of_weights(&sums), None, "{values:?}");
        }
        let scores = scores_of(&[1, 2, 3]);
        assert_eq!(scores.z_of_count(3, 6), None);
    }

    proptest! {
        #[test]
        fn shifting_and_scaling_the_values_leaves_z(values in prop::collection::vec(0_i128..50, 4..30), count in 1_usize..4) {
            let z = |values: &[i128]| scores_of(values)
                .z_of_count(count as u64, values[..count].iter().sum());
            let moved: Vec<i128> = values.iter().map(|x| 1_000_000 * x - 12_345).collect();
            match (z(&values), z(&moved)) {
                (Some(z), Some(moved)) => prop_assert!((z - moved).abs() <= 1e-12 * z.abs().max(1.0)),
                (z, moved) => prop_assert_eq!(z, moved),
            }
        }

        #[test]
        fn weights_of_one_give_the_score_of_the_count(values in prop::collection::vec(0_i128..50, 4..30), count in 1_usize..4) {
            let scores = scores_of(&values);
            let counted = scores.z_of_count(count as u64, values[..count].iter().sum());
            let mut sums = WeightedSums::default();
            values[..count].iter().for_each(|&x| sums.add(1.0, scores.deviation(x)));
            let weighted = scores.z_of_weights(&sums);
            match (counted, weighted) {
                (Some(counted), Some(weighted)) => prop_assert!((counted - weighted).abs() <= 1e-12 * counted.abs().max(1.0)),
                (counted, weighted) => prop_assert_eq!(counted, weighted),
            }
        }
    }
}
