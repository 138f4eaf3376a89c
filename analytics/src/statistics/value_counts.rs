//! The values of a study area as a histogram: each distinct value with how often it occurs.

use hashbrown::HashMap;

use super::error::StatisticsError;

/// Distinct values, ascending, each with its multiplicity. Zeros are values like any other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueCounts {
    counts: Vec<(i128, usize)>,
    total: usize,
}

impl ValueCounts {
    /// Counts `values`.
    #[must_use]
    pub fn of(values: &[i128]) -> Self {
        let mut times: HashMap<i128, usize> = HashMap::new();
        for &value in values {
            *times.entry(value).or_insert(0) += 1;
        }
        let mut counts: Vec<(i128, usize)> = times.into_iter().collect();
        counts.sort_unstable();
        Self {
            counts,
            total: values.len(),
        }
    }

    /// These counts with one `value` less; the same where it does not occur.
    #[must_use]
    pub fn without(&self, value: i128) -> Self {
        let mut others = self.clone();
        if let Ok(at) = others.counts.binary_search_by_key(&value, |&(known, _)| known)
            && let Some((_, times)) = others.counts.get_mut(at)
        {
            *times -= 1;
            others.total -= 1;
            others.counts.retain(|&(_, times)| times > 0);
        }
        others
    }

    /// Number of distinct values.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// Number of values.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Sum of the `draws` largest values; where some are negative, of what they exceed the least by.
    #[must_use]
    pub fn sum_of_largest(&self, draws: usize) -> f64 {
        let least = self.counts.first().map_or(0, |&(value, _)| value.min(0));
        let mut left = draws;
        let mut sum = 0.0;
        for &(value, times) in self.counts.iter().rev() {
            let taken = times.min(left);
            sum += (value as f64 - least as f64) * taken as f64;
            left -= taken;
            if left == 0 {
                break;
            }
        }
        sum
    }

    /// The values as multiples of a step above an offset: sums of j values are then small whole numbers whatever the
    /// unit is.
    ///
    /// # Errors
    /// [`StatisticsError::Overflow`] when a multiple leaves 64 bits.
    pub(super) fn normalised(&self) -> Result<Multiples, StatisticsError> {
        let offset = self.counts.first().map_or(0, |&(value, _)| value);
        let mut above = Vec::with_capacity(self.counts.len());
        let mut step = 0;
        for &(value, times) in &self.counts {
            let height = value.checked_sub(offset).ok_or(StatisticsError::Overflow)?;
            step = greatest_common_divisor(step, height);
            above.push((height, times));
        }
        let step = step.max(1);
        let multiple = |(height, times)| u64::try_from(height / step).map(|multiple| (multiple, times));
        let counts = above.into_iter().map(multiple).collect::<Result<_, _>>();
        Ok(Multiples {
            offset,
            step,
            counts: counts.map_err(|_| StatisticsError::Overflow)?,
        })
    }
}

/// A histogram in which value = `offset` + `step` · multiple.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Multiples {
    pub(super) offset: i128,
    pub(super) step: i128,
    /// Distinct multiples, ascending from 0, each with how often it occurs.
    pub(super) counts: Vec<(u64, usize)>,
}

fn greatest_common_divisor(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(values: &[i128]) -> (i128, i128, Vec<(u64, usize)>) {
        let Multiples { offset, step, counts } = ValueCounts::of(values).normalised().unwrap();
        (offset, step, counts)
    }

    #[test]
    fn values_are_counted_and_reduced_to_small_multiples() {
        let values = [3_000_000, 0, 1_500_000, 0, 0];
        let counts = ValueCounts::of(&values);
        assert_eq!((counts.distinct(), counts.total()), (3, 5));
        assert!((counts.sum_of_largest(2) - 4_500_000.0).abs() < 1e-9);
        assert_eq!(normalised(&values), (0, 1_500_000, vec![(0, 3), (1, 1), (2, 1)]));
    }

    #[test]
    fn one_value_less_is_the_count_of_the_others() {
        let values = [4, 0, 9, 4];
        for (value, others) in [(4, vec![0, 4, 9]), (9, vec![0, 4, 4]), (7, values.to_vec())] {
            assert_eq!(ValueCounts::of(&values).without(value), ValueCounts::of(&others));
        }
    }

    #[test]
    fn negative_values_count_from_the_least() {
        assert_eq!(normalised(&[-4, 2, 2, -1]), (-4, 3, vec![(0, 1), (1, 1), (2, 2)]));
        assert!((ValueCounts::of(&[-4, 2, 2, -1]).sum_of_largest(3) - 15.0).abs() < 1e-9);
    }

    #[test]
    fn a_constant_field_and_an_empty_one_have_a_step_of_one() {
        assert_eq!(normalised(&[7, 7]), (7, 1, vec![(0, 2)]));
        assert_eq!(normalised(&[]), (0, 1, vec![]));
    }

    #[test]
    fn a_range_too_wide_is_refused() {
        for wide in [[0, 1 << 64, 1], [i128::MIN, i128::MAX, 0]] {
            assert_eq!(
                ValueCounts::of(&wide).normalised(),
                Err(StatisticsError::Overflow)
            );
        }
    }
}
