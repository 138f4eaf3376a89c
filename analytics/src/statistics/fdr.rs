//! False discovery rate over one answer: q values after Benjamini & Hochberg (1995) or Benjamini & Yekutieli (2001).

use std::num::NonZeroUsize;

use riskgrid_ingest::on_threads;

use super::error::StatisticsError;
use super::shares::shares_of;

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
/// The family is what is `Some`; a `None` (no statistic) gets 1 and does not make the family larger. Of many p, up to
/// `threads` threads put them in order.
#[must_use]
pub fn q_values(p: &[Option<f64>], procedure: FalseDiscovery, threads: NonZeroUsize) -> Vec<f64> {
    // By the bits of p, which order numbers that are not negative as they are: several times as fast as by comparing floats.
    let mut ascending: Vec<(u64, u32)> = (0..)
        .zip(p)
        .filter_map(|(position, p)| p.map(|p| (p.abs().to_bits(), position)))
        .collect();
    // Equal p get equal q whatever their order: below, the smaller rank takes the least of both.
    let of_a_share = ascending.len().div_ceil(shares_of(ascending.len(), threads));
    let shares: Vec<_> = ascending.chunks_mut(of_a_share.max(1)).collect();
    let number = shares.len();
    on_threads(shares, |share| share.sort_unstable_by_key(|(bits, _)| *bits));
    if number > 1 {
        // A stable sort finds the ascending shares, and only merges them.
        ascending.sort_by_key(|(bits, _)| *bits);
    }

    let family = ascending.len() as f64;
    let dependence = match procedure {
        FalseDiscovery::BenjaminiHochberg => 1.0,
        FalseDiscovery::BenjaminiYekutieli => (1..=ascending.len()).map(|i| 1.0 / i as f64).sum(),
    };
    let mut q = vec![1.0; p.len()];
    let mut least = 1.0_f64;
    for (rank, (bits, position)) in ascending.into_iter().enumerate().rev() {
        let p = f64::from_bits(bits);
        // Multiply, then divide: the other order turns some q of exactly .05 into one just above it.
        let raw = (family * p) / (rank + 1) as f64 * dependence;
        least = least.min(raw);
        if let Some(q) = q.get_mut(position as usize) {
            *q = least;
        }
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn q_values(p: &[Option<f64>], procedure: FalseDiscovery) -> Vec<f64> {
        super::q_values(p, procedure, NonZeroUsize::MIN)
    }

    fn some(p: &[f64]) -> Vec<Option<f64>> {
        p.iter().copied().map(Some).collect()
    }

    #[test]
    fn it_agrees_with_scipy() {
        // scipy.stats.false_discovery_control([.01, .04, .03, .005, .2, .04], method=…)
        let p = some(&[0.01, 0.04, 0.03, 0.005, 0.2, 0.04]);
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
        let mut p = vec![Some(1.0); 19];
        p[3] = Some(0.05 / 19.0);
        assert!(q_values(&p, FalseDiscovery::BenjaminiHochberg)[3] <= 0.05);
    }

    #[test]
    fn undefined_tests_are_outside_the_family() {
        let with_gaps = [Some(0.01), None, Some(0.02), None];
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
    fn threads_change_no_digit() {
        let mut random = crate::statistics::SplitMix64::stream(7, 0);
        let p: Vec<_> = (0..50_000)
            .map(|_| Some((random.next_u64() % 10_000) as f64 / 10_000.0))
            .collect();
        let expected = q_values(&p, FalseDiscovery::BenjaminiYekutieli);
        for threads in [2, 7] {
            let threads = NonZeroUsize::new(threads).unwrap();
            assert_eq!(
                super::q_values(&p, FalseDiscovery::BenjaminiYekutieli, threads),
                expected
            );
        }
    }

    proptest! {
        #[test]
        fn it_equals_the_definition_read_literally(p in prop::collection::vec(0.0..=1.0_f64, 0..40)) {
            let m = p.len() as f64;
            let mut sorted = p.clone();
            sorted.sort_by(f64::total_cmp);
            let q = q_values(&some(&p), FalseDiscovery::BenjaminiHochberg);
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
