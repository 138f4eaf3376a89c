//! The exact law of a neighbourhood's sum: j values drawn without replacement from the n of the study area.
//!
//! It is the null hypothesis that Gi* standardises, without the normal approximation: counts are skewed, and in their
//! tail the normal p is wrong by orders of magnitude. No simulation, so no floor and no seed.

use std::sync::atomic::AtomicBool;

use super::error::{StatisticsError, check_stop};
use super::tails::{Row, Tails};
use super::value_counts::{Multiples, ValueCounts};

/// Steps of the table that `'auto'` accepts: below a tenth of a second.
pub const AUTO_COST: f64 = 5e8;

/// The largest neighbourhood (the cell itself included) that `'auto'` accepts.
pub const AUTO_DRAWS: usize = 37;

/// Steps that an explicit `'exact'` accepts: some seconds.
const MOST_STEPS: f64 = 2e10;

/// Entries of the table at most: 256 MB.
const MOST_ENTRIES: f64 = 3.2e7;

/// Sums are kept in 64 bits.
const LARGEST_SUM: f64 = 9e18;

/// The cost rule, D·M²·top: D distinct values, M draws, `top` the sum of the M largest values.
#[must_use]
pub fn exact_cost(values: &ValueCounts, most_draws: usize) -> f64 {
    let draws = most_draws as f64;
    values.distinct() as f64 * draws * draws * values.sum_of_largest(most_draws)
}

/// Whether `'auto'` takes the exact law for neighbourhoods of up to `most_draws` cells.
#[must_use]
pub fn auto_takes_exact(values: &ValueCounts, most_draws: usize) -> bool {
    most_draws <= AUTO_DRAWS && exact_cost(values, most_draws) <= AUTO_COST
}

/// Whether as many `tables` of neighbourhoods up to `most_draws` may be made for an explicit `'exact'`.
///
/// # Errors
/// [`StatisticsError::Argument`] when they are too large, [`StatisticsError::Overflow`] when a value leaves 64 bits.
pub(super) fn check_exact_cost(
    values: &ValueCounts,
    most_draws: usize,
    tables: usize,
) -> Result<(), StatisticsError> {
    Shape::of(&values.normalised()?.counts, most_draws).check(tables)
}

/// Law of the sum of j values, for each j that was asked for.
#[derive(Clone, Debug)]
pub struct ExactLaw {
    /// Subtracted from each value before the table was made.
    offset: i128,
    /// What all shifted values are multiples of.
    step: i128,
    tails: Vec<Option<Tails>>,
}

impl ExactLaw {
    /// Table for the neighbourhood sizes in `draws` (any order, repeats allowed); sizes above n are left out.
    ///
    /// Rows hold chances, not numbers of ways: P of j among the N values seen so far becomes P among N + c by
    /// hypergeometric factors, each at most 1, so nothing can overflow whatever n and j are.
    ///
    /// # Errors
    /// [`StatisticsError::Argument`] when the table is too large, [`StatisticsError::Stopped`] when `stop` was set.
    pub fn new(values: &ValueCounts, draws: &[usize], stop: &AtomicBool) -> Result<Self, StatisticsError> {
        let Multiples { offset, step, counts } = values.normalised()?;
        let wanted: Vec<usize> = draws.iter().copied().filter(|&j| j <= values.total()).collect();
        let most = wanted.iter().copied().max().unwrap_or(0);
        let shape = Shape::of(&counts, most);
        shape.check(1)?;

        let mut rows = vec![Row::empty(shape.sparse); most + 1];
        if let Some(row) = rows.first_mut() {
            *row = Row::certain(shape.sparse);
        }
        let mut seen = 0;
        for &(value, times) in &counts {
            check_stop(stop)?;
            // Downwards, so that the rows below still hold the law of what was seen before this value.
            for j in (1..=most.min(seen + times)).rev() {
                let (below, at_and_above) = rows.split_at_mut(j);
                let Some(row) = at_and_above.first_mut() else {
                    continue;
                };
                row.scale(share_of_draws(j, 0, seen, times));
                for (t, lower) in (1..=times.min(j)).zip(below.iter().rev()) {
                    let share = share_of_draws(j, t, seen, times);
                    if share > 0.0 {
                        row.add_shifted(lower, value * t as u64, share);
                    }
                }
            }
            seen += times;
        }

        let mut tails = vec![None; most + 1];
        for j in wanted {
            if let (Some(tail @ None), Some(row)) = (tails.get_mut(j), rows.get(j)) {
                *tail = Some(Tails::of(row));
            }
        }
        Ok(Self { offset, step, tails })
    }

    /// Two-sided p of a neighbourhood of `draws` cells that sums to `sum`: twice the smaller tail, at most 1.
    ///
    /// `None` for a size that the table was not made for.
    #[must_use]
    pub fn two_sided_p(&self, draws: usize, sum: i128) -> Option<f64> {
        let (lower, upper) = self.tails(draws, sum)?;
        Some((2.0 * lower.min(upper)).min(1.0))
    }

    /// Chances of a sum of at most, and of at least, `sum`.
    #[must_use]
    pub fn tails(&self, draws: usize, sum: i128) -> Option<(f64, f64)> {
        let tails = self.tails.get(draws)?.as_ref()?;
        let shifted = sum.saturating_sub(self.offset.saturating_mul(draws as i128));
        let floor = shifted.div_euclid(self.step);
        let ceiling = floor + i128::from(shifted.rem_euclid(self.step) != 0);
        Some((tails.at_most(floor), tails.at_least(ceiling)))
    }
}

/// Chance that `t` of `j` draws fall on the `times` new values, the others on the `seen` old ones.
fn share_of_draws(j: usize, t: usize, seen: usize, times: usize) -> f64 {
    if t > times || j - t > seen {
        return 0.0;
    }
    let all = (seen + times) as f64;
    let mut share = 1.0;
    for i in 0..t {
        let i_f = i as f64;
        share *= ((j - i) as f64 * (times - i) as f64) / ((i_f + 1.0) * (all - i_f));
    }
    for i in 0..j - t {
        share *= (seen - i) as f64 / (all - (t + i) as f64);
    }
    share
}

/// How large the table becomes, and which of its two forms is smaller.
struct Shape {
    sparse: bool,
    entries: f64,
    steps: f64,
    top: f64,
}

impl Shape {
    fn of(counts: &[(u64, usize)], most: usize) -> Self {
        let mut left = most;
        let mut top = 0.0;
        for &(value, times) in counts.iter().rev() {
            let taken = times.min(left);
            top += value as f64 * taken as f64;
            left -= taken;
        }
        let draws = most as f64;
        let updates = counts.len() as f64 * draws * (draws + 1.0) / 2.0;
        let dense = (top + 1.0) * (draws + 1.0);
        // A sum is made by one of C(most + D, D) choices of how often each distinct value is drawn.
        let choices = (1..=most).fold(1.0, |ways, j| ways * (counts.len() + j) as f64 / j as f64);
        // A step in the ordered map costs some thirty of the plain array.
        let sparse = choices * 30.0 < dense;
        let (entries, row) = if sparse {
            (choices * 6.0, choices * 30.0)
        } else {
            (dense, top + 1.0)
        };
        Self {
            sparse,
            entries,
            steps: updates * row,
            top,
        }
    }

    fn check(&self, tables: usize) -> Result<(), StatisticsError> {
        let steps = self.steps * tables as f64;
        if steps <= MOST_STEPS && self.entries <= MOST_ENTRIES && self.top <= LARGEST_SUM {
            return Ok(());
        }
        Err(StatisticsError::argument(
            "method",
            format!(
                "'exact' (about {steps:.1e} steps over {:.1e} entries here)",
                self.entries
            ),
            format!(
                "'exact' up to {MOST_STEPS:.0e} steps and {MOST_ENTRIES:.1e} entries: take 'auto', 'analytic' or \
                 'permutation', a smaller k, or a shorter window"
            ),
        ))
    }
}
