//! Conditional permutation (Anselin 1995): the cell keeps its value, its neighbours' values are drawn from all others.
//!
//! Each cell has a random stream of its own, so threads and nodes cannot change a digit.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use h3o::CellIndex;

use super::error::{StatisticsError, check_stop};
use super::neighbours::Neighbours;
use super::random::SplitMix64;

/// Draws (cells × runs × neighbours) that one answer may cost: some minutes on one core.
const MOST_DRAWS: f64 = 2e10;

/// Weighted sums this close, relative to the larger, count as equal: their terms come in another order.
const EQUAL_WITHIN: f64 = 1e-12;

/// Runs a cell, however few cells there are: they tell a p of 0.000002 apart, and one thread makes all of a cell.
const MOST_RUNS: u32 = 999_999;

/// Runs between two looks at whether to stop.
const RUNS_OF_PIECE: u32 = 4_096;

/// How many runs, and from which seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// Runs a cell, R; the least two-sided p is 2/(R + 1).
    pub permutations: u32,
    /// Seed of all streams.
    pub seed: u64,
    /// Threads to share the cells among; the digits are the same for any number.
    pub threads: NonZeroUsize,
}

/// Two-sided p of each cell's neighbour sum, the cell itself left out; 1 for a cell without neighbours.
///
/// # Errors
/// [`StatisticsError::Argument`] when the draws would be too many, [`StatisticsError::Stopped`] when `stop` was set.
pub fn conditional_p(
    cells: &[CellIndex],
    values: &[i128],
    neighbours: &Neighbours,
    runs: Runs,
    stop: &AtomicBool,
) -> Result<Vec<f64>, StatisticsError> {
    let draws = cells.len() as f64 * f64::from(runs.permutations) * neighbours.most() as f64;
    if draws > MOST_DRAWS {
        return Err(StatisticsError::argument(
            "permutations",
            runs.permutations.to_string(),
            format!(
                "what gives at most {MOST_DRAWS:.0e} draws (cells × permutations × neighbours), here {draws:.1e}"
            ),
        ));
    }
    if runs.permutations > MOST_RUNS {
        return Err(StatisticsError::argument(
            "permutations",
            runs.permutations.to_string(),
            format!("at most {MOST_RUNS}"),
        ));
    }
    let mut p = vec![1.0; cells.len()];
    let share = cells.len().div_ceil(runs.threads.get()).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = p
            .chunks_mut(share)
            .enumerate()
            .map(|(part, slots)| {
                scope.spawn(move || {
                    let mut sampler = Sampler::new(values);
                    let range = part * share..;
                    for ((own, &cell), slot) in range.zip(cells.iter().skip(part * share)).zip(slots) {
                        check_stop(stop)?;
                        *slot = sampler.p_of(own, cell, neighbours, runs, stop)?;
                    }
                    Ok(())
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or(Err(StatisticsError::Stopped)))
    })?;
    Ok(p)
}

/// The least p that these runs can give.
#[must_use]
pub fn least_p(permutations: u32) -> f64 {
    (2.0 / (f64::from(permutations) + 1.0)).min(1.0)
}

/// The values, shuffled a little for each run and put back after it.
pub(super) struct Sampler {
    values: Vec<i128>,
    swapped: Vec<usize>,
}

impl Sampler {
    pub(super) fn new(values: &[i128]) -> Self {
        Self {
            values: values.to_vec(),
            swapped: Vec::new(),
        }
    }

    /// Two-sided p of the cell at `own`.
    ///
    /// # Errors
    /// [`StatisticsError::Stopped`] when `stop` was set.
    pub(super) fn p_of(
        &mut self,
        own: usize,
        cell: CellIndex,
        neighbours: &Neighbours,
        runs: Runs,
        stop: &AtomicBool,
    ) -> Result<f64, StatisticsError> {
        let near = neighbours.of(own);
        if near.is_empty() {
            return Ok(1.0);
        }
        let mut random = SplitMix64::stream(runs.seed, cell.into());
        let at = |&position: &u32| self.values.get(position as usize).copied().unwrap_or(0);
        let (mut at_least, mut at_most) = (0_u64, 0_u64);
        if neighbours.is_binary() {
            let observed: i128 = near.iter().map(at).sum();
            for run in 0..runs.permutations {
                if run % RUNS_OF_PIECE == 0 {
                    check_stop(stop)?;
                }
                let simulated: i128 = self.draw(own, near.len(), &mut random).sum();
                at_least += u64::from(simulated >= observed);
                at_most += u64::from(simulated <= observed);
                self.put_back(own);
            }
        } else {
            let weights = neighbours.weights_of(own);
            let weighted = |sum: f64, (value, weight): (i128, &f64)| sum + weight * value as f64;
            let observed = near.iter().map(at).zip(weights).fold(0.0, weighted);
            for run in 0..runs.permutations {
                if run % RUNS_OF_PIECE == 0 {
                    check_stop(stop)?;
                }
                let simulated = self
                    .draw(own, near.len(), &mut random)
                    .zip(weights)
                    .fold(0.0, weighted);
                let equal =
                    (simulated - observed).abs() <= EQUAL_WITHIN * simulated.abs().max(observed.abs());
                at_least += u64::from(equal || simulated > observed);
                at_most += u64::from(equal || simulated < observed);
                self.put_back(own);
            }
        }
        let less_frequent = at_least.min(at_most) as f64;
        Ok((2.0 * ((less_frequent + 1.0) / (f64::from(runs.permutations) + 1.0))).min(1.0))
    }

    /// `count` of the values other than the one at `own`: the first of a partial Fisher-Yates shuffle.
    fn draw(&mut self, own: usize, count: usize, random: &mut SplitMix64) -> impl Iterator<Item = i128> + '_ {
        let others = self.values.len() - 1;
        self.swapped.clear();
        for j in 0..count {
            let other = j + random.below((others - j) as u64) as usize;
            self.swapped.push(other);
            self.values.swap(beside(own, j), beside(own, other));
        }
        (0..count).filter_map(move |j| self.values.get(beside(own, j)).copied())
    }

    /// Undoes the swaps of the last draw, the last first.
    fn put_back(&mut self, own: usize) {
        for (j, &other) in self.swapped.iter().enumerate().rev() {
            self.values.swap(beside(own, j), beside(own, other));
        }
    }
}

/// Position among all values of the `j`th one other than `own`.
const fn beside(own: usize, j: usize) -> usize {
    if j < own { j } else { j + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_back_in_place_after_each_run() {
        let values: Vec<i128> = (0..20).collect();
        let mut sampler = Sampler::new(&values);
        let mut random = SplitMix64::stream(3, 3);
        for own in 0..20 {
            let drawn: Vec<i128> = sampler.draw(own, 6, &mut random).collect();
            assert!(!drawn.contains(&(own as i128)), "{own}: {drawn:?}");
            sampler.put_back(own);
            assert_eq!(sampler.values, values);
        }
    }

    #[test]
    fn all_others_can_be_drawn() {
        let mut sampler = Sampler::new(&[5, 1, 2, 3]);
        let mut random = SplitMix64::stream(0, 1);
        let mut drawn: Vec<i128> = sampler.draw(0, 3, &mut random).collect();
        drawn.sort_unstable();
        assert_eq!(drawn, [1, 2, 3]);
    }

    #[test]
    fn the_floor_is_two_over_runs_and_one() {
        assert!((least_p(999) - 0.002).abs() < 1e-18);
        assert!((least_p(1) - 1.0).abs() < 1e-18);
    }
}
