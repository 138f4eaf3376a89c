//! Rows of the exact law: the chance of each sum, as a plain array or, where sums are few and far apart, as a map.

use std::collections::BTreeMap;

/// Chance of each sum of j draws from the values seen so far.
#[derive(Clone, Debug)]
pub(super) enum Row {
    /// By sum, from 0.
    Dense(Vec<f64>),
    /// Only the sums that can occur.
    Sparse(BTreeMap<u64, f64>),
}

impl Row {
    /// Nothing can occur yet.
    pub(super) fn empty(sparse: bool) -> Self {
        if sparse {
            Self::Sparse(BTreeMap::new())
        } else {
            Self::Dense(Vec::new())
        }
    }

    /// No draw: the sum is 0.
    pub(super) fn certain(sparse: bool) -> Self {
        if sparse {
            Self::Sparse(BTreeMap::from([(0, 1.0)]))
        } else {
            Self::Dense(vec![1.0])
        }
    }

    pub(super) fn scale(&mut self, factor: f64) {
        match self {
            Self::Dense(chances) => chances.iter_mut().for_each(|chance| *chance *= factor),
            Self::Sparse(chances) => chances.values_mut().for_each(|chance| *chance *= factor),
        }
    }

    /// Adds `factor` times the chances of `lower`, each at a sum larger by `shift`.
    pub(super) fn add_shifted(&mut self, lower: &Self, shift: u64, factor: f64) {
        match (self, lower) {
            (Self::Dense(chances), Self::Dense(lower)) => {
                let start = shift as usize;
                if lower.is_empty() {
                    return;
                }
                if chances.len() < start + lower.len() {
                    chances.resize(start + lower.len(), 0.0);
                }
                for (chance, below) in chances.iter_mut().skip(start).zip(lower) {
                    *chance += factor * below;
                }
            }
            (Self::Sparse(chances), Self::Sparse(lower)) => {
                for (sum, below) in lower {
                    *chances.entry(sum + shift).or_insert(0.0) += factor * below;
                }
            }
            (chances, lower) => debug_assert!(false, "one form a table: {chances:?} {lower:?}"),
        }
    }
}

/// Both cumulative tails of one row.
#[derive(Clone, Debug)]
pub(super) struct Tails {
    /// The sums that occur, or `None` where position and sum are the same.
    sums: Option<Vec<u64>>,
    /// Chance of a sum at this position or before it.
    lower: Vec<f64>,
    /// Chance of a sum at this position or after it.
    upper: Vec<f64>,
}

impl Tails {
    /// Added from the outside inwards: in both tails the small terms come first.
    pub(super) fn of(row: &Row) -> Self {
        let (sums, chances) = match row {
            Row::Dense(chances) => (None, chances.clone()),
            Row::Sparse(chances) => (
                Some(chances.keys().copied().collect()),
                chances.values().copied().collect(),
            ),
        };
        let cumulate = |total: &mut f64, chance: &f64| {
            *total += chance;
            Some(total.min(1.0))
        };
        let lower = chances.iter().scan(0.0, cumulate).collect();
        let mut upper: Vec<f64> = chances.iter().rev().scan(0.0, cumulate).collect();
        upper.reverse();
        Self { sums, lower, upper }
    }

    /// Chance of a sum of at most `sum`.
    pub(super) fn at_most(&self, sum: i128) -> f64 {
        let up_to = self.positions_below(sum.saturating_add(1));
        up_to
            .checked_sub(1)
            .and_then(|last| self.lower.get(last))
            .copied()
            .unwrap_or(0.0)
    }

    /// Chance of a sum of at least `sum`.
    pub(super) fn at_least(&self, sum: i128) -> f64 {
        self.upper.get(self.positions_below(sum)).copied().unwrap_or(0.0)
    }

    fn positions_below(&self, sum: i128) -> usize {
        match &self.sums {
            Some(sums) => sums.partition_point(|&occurring| i128::from(occurring) < sum),
            None => usize::try_from(sum.max(0))
                .unwrap_or(usize::MAX)
                .min(self.upper.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(entries: &[(u64, f64)]) -> [Tails; 2] {
        [false, true].map(|sparse| {
            let mut row = Row::empty(sparse);
            for &(sum, chance) in entries {
                row.add_shifted(&Row::certain(sparse), sum, chance);
            }
            Tails::of(&row)
        })
    }

    #[test]
    fn both_forms_answer_alike_at_between_and_beyond_the_sums() {
        for tails in both(&[(2, 0.25), (5, 0.5), (6, 0.25)]) {
            let expected = [
                (-3, 0.0, 1.0),
                (1, 0.0, 1.0),
                (2, 0.25, 1.0),
                (4, 0.25, 0.75),
                (6, 1.0, 0.25),
                (9, 1.0, 0.0),
            ];
            for (sum, at_most, at_least) in expected {
                assert_eq!(
                    (tails.at_most(sum), tails.at_least(sum)),
                    (at_most, at_least),
                    "{sum}"
                );
            }
        }
    }
}
