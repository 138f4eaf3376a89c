//! What a local statistic is asked: the arguments that `hotspots` and `local_moran` share, with SQL's defaults.

use std::num::NonZeroUsize;

use super::error::StatisticsError;
use super::fdr::FalseDiscovery;
use super::permutation::Runs;
use super::study_area::{Absent, Domain, StudyArea};

/// Where p comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// `'auto'`: exact where that is cheap, else what the statistic falls back to.
    #[default]
    Auto,
    /// `'analytic'`: the normal law, of Gi* only. Too sure of itself on sparse counts.
    Analytic,
    /// `'exact'`: the law of the sum drawn without replacement.
    Exact,
    /// `'permutation'`: conditional on the cell's own value, simulated.
    Permutation,
}

impl Method {
    /// Reads the argument `method`.
    ///
    /// # Errors
    /// [`StatisticsError::Argument`] for an unknown name.
    pub fn from_argument(text: &str) -> Result<Self, StatisticsError> {
        [Self::Auto, Self::Analytic, Self::Exact, Self::Permutation]
            .into_iter()
            .find(|method| method.as_str() == text)
            .ok_or_else(|| {
                StatisticsError::argument(
                    "method",
                    format!("'{text}'"),
                    "'auto', 'analytic', 'exact' or 'permutation'",
                )
            })
    }

    /// The name in SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Analytic => "analytic",
            Self::Exact => "exact",
            Self::Permutation => "permutation",
        }
    }
}

/// Arguments of [`hotspots`](super::hotspots) and [`local_moran`](super::local_moran). The default is SQL's.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalOptions {
    /// The study area.
    pub domain: Domain,
    /// What cells of the area hold where nothing was observed; depends on the metric.
    pub absent: Absent,
    /// Steps on the grid, 0 to 50: the size of the disk, and how far `'neighbours'` reaches.
    pub k: u32,
    /// Where p comes from.
    pub method: Method,
    /// Runs a cell of [`Method::Permutation`], at least 1.
    pub permutations: u32,
    /// Seed of [`Method::Permutation`].
    pub seed: u64,
    /// How p becomes q.
    pub fdr: FalseDiscovery,
    /// Threads to use; no digit depends on it.
    pub threads: NonZeroUsize,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            domain: Domain::default(),
            absent: Absent::default(),
            k: 1,
            method: Method::default(),
            permutations: 999,
            seed: 0,
            fdr: FalseDiscovery::default(),
            threads: NonZeroUsize::MIN,
        }
    }
}

impl LocalOptions {
    /// # Errors
    /// [`StatisticsError::Argument`] where no run at all is asked for.
    pub(super) fn check(&self) -> Result<(), StatisticsError> {
        if self.permutations == 0 {
            return Err(StatisticsError::argument("permutations", "0", "at least 1"));
        }
        Ok(())
    }

    /// The study area of the cells with an event and their values.
    ///
    /// # Errors
    /// As [`StudyArea::new`].
    pub(super) fn study_area(&self, cells: &[u64], values: &[i128]) -> Result<StudyArea, StatisticsError> {
        StudyArea::new(cells, values, &self.domain, self.absent, self.k, self.threads)
    }

    /// How [`Method::Permutation`] runs.
    pub(super) const fn runs(&self) -> Runs {
        Runs {
            permutations: self.permutations,
            seed: self.seed,
            threads: self.threads,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Weights;

    #[test]
    fn arguments_read_back_as_they_are_written() {
        for method in [Method::Auto, Method::Analytic, Method::Exact, Method::Permutation] {
            assert_eq!(Method::from_argument(method.as_str()), Ok(method));
        }
        assert_eq!(Weights::from_arguments("disk", None), Ok(Weights::Disk));
        assert_eq!(
            Weights::from_arguments("distance", Some(500.0)),
            Ok(Weights::Distance(500.0))
        );
        assert_eq!(
            Weights::from_arguments("bisquare", Some(1.5)),
            Ok(Weights::Bisquare(1.5))
        );
    }

    #[test]
    fn a_refusal_names_the_argument_the_value_and_what_is_allowed() {
        let cases = [
            (
                Method::from_argument("Exact").unwrap_err(),
                "method is 'Exact', allowed is 'auto', 'analytic'",
            ),
            (
                Weights::from_arguments("queen", None).unwrap_err(),
                "weights is 'queen', allowed is 'disk', 'distance'",
            ),
            (
                Weights::from_arguments("distance", None).unwrap_err(),
                "distance is NULL, allowed is a positive number",
            ),
            (
                Weights::from_arguments("bisquare", Some(-2.0)).unwrap_err(),
                "distance is -2, allowed is a positive",
            ),
            (
                Weights::from_arguments("distance", Some(f64::NAN)).unwrap_err(),
                "distance is NaN, allowed is",
            ),
            (
                Weights::from_arguments("disk", Some(9.0)).unwrap_err(),
                "distance is 9, allowed is NULL",
            ),
        ];
        for (error, start) in cases {
            assert!(error.to_string().starts_with(start), "{error}");
        }
    }
}
