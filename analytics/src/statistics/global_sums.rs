//! What a statistic needs to know of the whole study area: sums in exact integers, and the field seen from its mean.

use super::error::StatisticsError;

/// n, Σx and Σx² of a study area. Exact, so the order of adding and merging cannot matter.
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
            let square = square_of(value).ok_or(StatisticsError::Overflow)?;
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

/// Through 64 bits where they suffice: one multiplication for three and their checks.
fn square_of(value: i128) -> Option<i128> {
    i64::try_from(value).map_or_else(
        |_| value.checked_mul(value),
        |value| Some(i128::from(value) * i128::from(value)),
    )
}

/// A field as deviations from its mean, all times n so that they stay whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CentredField {
    n: i128,
    sum: i128,
    spread: i128,
}

impl CentredField {
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

    /// Number of cells.
    #[must_use]
    pub const fn n(&self) -> i128 {
        self.n
    }

    /// n·Σx² − (Σx)², that is n²·variance; 0 for a constant field.
    #[must_use]
    pub const fn spread(&self) -> i128 {
        self.spread
    }

    /// n·`sum` − `count`·Σx: how far `count` cells that sum to `sum` lie from `count` times the mean, times n.
    ///
    /// No product can overflow: by Cauchy-Schwarz the sum of any cells is below 2^63.5 once n·Σx² fits.
    #[must_use]
    pub const fn deviation(&self, count: i128, sum: i128) -> i128 {
        self.n * sum - count * self.sum
    }
}

/// The nearest f64. Through 64 bits where they suffice: same digits, without the slow conversion of 128.
pub(crate) fn rounded(exact: i128) -> f64 {
    // A function of its own, or both are computed and one is chosen.
    #[cold]
    #[inline(never)]
    fn rounded_slowly(exact: i128) -> f64 {
        exact as f64
    }
    i64::try_from(exact).map_or_else(|_| rounded_slowly(exact), |exact| exact as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn squares_too_large_are_an_error_and_not_a_wrong_number() {
        assert_eq!(GlobalSums::of(&[i128::MAX]), Err(StatisticsError::Overflow));
        let large = 1_i128 << 62;
        let sums = GlobalSums::of(&[large, -large, large, 0]).unwrap();
        assert_eq!(CentredField::new(sums), Err(StatisticsError::Overflow));
        let still_fits = CentredField::new(GlobalSums::of(&[large, -large, 0]).unwrap()).unwrap();
        assert_eq!(still_fits.spread(), 6 * (large * large));
        assert_eq!(still_fits.deviation(2, 2 * large), 6 * large);
    }

    proptest! {
        #[test]
        fn any_split_merges_to_the_same_sums(values in prop::collection::vec(-1_000_000_000_i128..1_000_000_000, 0..60), at in 0_usize..60) {
            let (left, right) = values.split_at(at.min(values.len()));
            let merged = GlobalSums::of(right).unwrap().merge(GlobalSums::of(left).unwrap()).unwrap();
            prop_assert_eq!(merged, GlobalSums::of(&values).unwrap());
        }
    }
}
