//! False discovery rate over one answer: q values after Benjamini & Hochberg (1995) or Benjamini & Yekutieli (2001).

use super::error::StatisticsError;

/// How p values become q values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FalseDiscovery {
    /// `'bh'`: valid for independent or positively dependent tests.
    #[default]
    BenjaminiHochberg,
    /// `'by'`: valid under any dependence; larger by Σ 1/i.
    BenjaminiYekutieli,
}

impl FalseDiscovery {
    /// Reads the argument `fdr`.
    ///
    /// # Errors
    /// [`StatisticsError::Argument`] for anything but `bh` and `by`.
    pub fn from_argument(text: &str) -> Result<Self, StatisticsError> {
        match text {
            "bh" => Ok(Self::BenjaminiHochberg),
            "by" => Ok(Self::BenjaminiYekutieli),
            _ => Err(StatisticsError::argument(
                "fdr",
                format!("'{text}'"),
                "'bh' or 'by'",
            )),
        }
    }
}

/// q of each p in the same order, in `0.0..=1.0`: the least false discovery rate at which that test is still called.
///
/// The family is what is a number; a NaN (no statistic) gets 1 and does not make the family larger.
#[must_use]
pub fn q_values(p: &[f64], procedure: FalseDiscovery) -> Vec<f64> {
    let ascending = Ascending::of(p);
    let family = ascending.keys.len();
    let dependence = match procedure {
        FalseDiscovery::BenjaminiHochberg => 1.0,
        FalseDiscovery::BenjaminiYekutieli => (1..=family).map(|i| 1.0 / i as f64).sum(),
    };
    let mut q = vec![1.0; p.len()];
    let mut least = 1.0_f64;
    for (rank, position) in ascending.positions().enumerate().rev() {
        if let (Some(p), Some(q)) = (p.get(position), q.get_mut(position)) {
            // Multiply, then divide: the other order turns some q of exactly .05 into one just above it.
            let raw = (family as f64 * p) / (rank + 1) as f64 * dependence;
            // Equal p get equal q whatever their order: the smaller rank takes the least of both.
            least = least.min(raw);
            *q = least;
        }
    }
    q
}

/// Where each p is, from the least on; equal ones in any order.
struct Ascending {
    /// The upper bits of a p, and below them its position: words are sorted in less time than pairs.
    keys: Vec<u64>,
    /// Bits for positions.
    low: u32,
}

impl Ascending {
    fn of(p: &[f64]) -> Self {
        let low = usize::BITS - p.len().leading_zeros();
        // The bits of numbers that are not negative order them as they are, and up to 1 the two uppermost are 0.
        let bits = |p: f64| p.abs().min(1.0).to_bits() << 2;
        let tested = (0_u64..).zip(p).filter(|(_, p)| !p.is_nan());
        let mut ascending = Self {
            keys: tested
                .map(|(position, &p)| bits(p) >> low << low | position)
                .collect(),
            low,
        };
        ascending.keys.sort_unstable();
        // What differs below the upper bits is not told apart yet.
        for alike in ascending.keys.chunk_by_mut(|a, b| a >> low == b >> low) {
            let p_of = |key: &u64| p.get(position_of(*key, low)).map(|p| p.abs().to_bits());
            if !alike.is_sorted_by_key(p_of) {
                alike.sort_unstable_by_key(p_of);
            }
        }
        ascending
    }

    fn positions(&self) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator {
        self.keys.iter().map(|key| position_of(*key, self.low))
    }
}

const fn position_of(key: u64, low: u32) -> usize {
    (key & ((1 << low) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_agrees_with_scipy() {
        // scipy.stats.false_discovery_control([.01, .04, .03, .005, .2, .04], method=…)
        let p = [0.01, 0.04, 0.03, 0.005, 0.2, 0.04];
        let bh = [0.03, 0.048, 0.048, 0.03, 0.2, 0.048];
        let by = [0.0735, 0.1176, 0.1176, 0.0735, 0.49, 0.1176];
        for (got, expected) in q_values(&p, FalseDiscovery::BenjaminiHochberg).iter().zip(bh) {
            assert!((got - expected).abs() < 1e-15, "{got} {expected}");
        }
        for (got, expected) in q_values(&p, FalseDiscovery::BenjaminiYekutieli).iter().zip(by) {
            assert!((got - expected).abs() < 1e-15, "{got} {expected}");
        }
    }

    #[test]
    fn a_q_of_exactly_five_percent_stays_there() {
        // Two of the 19 cells at p = 2/380: multiplying by m/s would give .05000000000000001.
        let mut p = [1.0; 19];
        p[3] = 0.05 / 19.0;
        assert!(q_values(&p, FalseDiscovery::BenjaminiHochberg)[3] <= 0.05);
    }

    #[test]
    fn undefined_tests_are_outside_the_family() {
        let with_gaps = [0.01, f64::NAN, 0.02, f64::NAN];
        assert_eq!(
            q_values(&with_gaps, FalseDiscovery::BenjaminiHochberg),
            [0.02, 1.0, 0.02, 1.0]
        );
        assert!(q_values(&[], FalseDiscovery::BenjaminiHochberg).is_empty());
    }

    #[test]
    fn an_unknown_procedure_is_named_with_what_is_allowed() {
        let error = FalseDiscovery::from_argument("holm").unwrap_err().to_string();
        assert_eq!(error, "fdr is 'holm', allowed is 'bh' or 'by'");
    }

    #[test]
    fn p_that_differ_in_their_last_bit_keep_their_order() {
        // Each the next float after the one before, in no order; and what is equal, and 0 and 1.
        let next = |steps: u64| f64::from_bits(0.3_f64.to_bits() + steps);
        let mut p: Vec<_> = (0..3000_u64).map(|at| next(at * 1777 % 3000)).collect();
        p.extend([0.0, 1.0, next(5), f64::NAN, next(5)]);
        let mut sorted: Vec<f64> = p.iter().copied().filter(|p| !p.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let family = sorted.len() as f64;
        let mut least = 1.0_f64;
        let mut expected: Vec<(f64, f64)> = Vec::new();
        for (rank, &p) in sorted.iter().enumerate().rev() {
            least = least.min(family * p / (rank + 1) as f64);
            expected.push((p, least));
        }
        let q = q_values(&p, FalseDiscovery::BenjaminiHochberg);
        for (p, q) in p.iter().zip(q) {
            let of_rank = |p: f64| expected.iter().find(|(of, _)| *of == p).map(|(_, q)| *q);
            assert_eq!(q, of_rank(*p).unwrap_or(1.0), "{p}");
        }
    }

    proptest! {
        #[test]
        fn it_equals_the_definition_read_literally(p in prop::collection::vec(0.0..=1.0_f64, 0..40)) {
            let m = p.len() as f64;
            let mut sorted = p.clone();
            sorted.sort_by(f64::total_cmp);
            let q = q_values(&p, FalseDiscovery::BenjaminiHochberg);
            for (p, q) in p.iter().zip(q) {
                let expected = (0..sorted.len())
                    .filter(|&s| sorted[s] >= *p)
                    .map(|s| ((m * sorted[s]) / (s + 1) as f64).min(1.0))
                    .fold(1.0, f64::min);
                prop_assert_eq!(q, expected);
            }
        }
    }
}
