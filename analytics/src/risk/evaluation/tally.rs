//! The scores of a method, pooled over all origins.

use super::SHARES;
use super::bootstrap::interval_of_mean;
use super::ranking::{best_hits, hits};

/// Events that are not where a forecast says may be anywhere: so much of it is even.
const EVEN: f64 = 0.05;
/// Parts of the cells, by what is forecast for them, in which it is compared with what came.
const DECILES: usize = 10;

/// Sums over origins.
#[derive(Clone, Debug)]
pub struct Tally {
    cells: usize,
    events: f64,
    hits: [f64; SHARES.len()],
    best: [f64; SHARES.len()],
    /// By week: nats over even shares, and events.
    weeks: Vec<(f64, f64)>,
    /// Expected and observed, from the least forecast.
    deciles: [(f64, f64); DECILES],
    log_score: f64,
}

/// What a method came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Events of the period.
    pub events: f64,
    /// The share of them in 1, 5 and 10 % of the cells.
    pub hit_rate: [f64; SHARES.len()],
    /// Prediction accuracy index: hit rate over the share of cells (Chainey et al. 2008).
    pub accuracy: [f64; SHARES.len()],
    /// Prediction efficiency index: hits over the most that was possible (Hunt 2016).
    pub efficiency: [f64; SHARES.len()],
    /// Information gain: nats per event over even shares.
    pub gain: f64,
    /// In which it lies nine times of ten, by weeks drawn again.
    pub gain_interval: Option<[f64; 2]>,
    /// Observed over expected, from the tenth of the cells with the least forecast; none where none was expected.
    pub calibration: [Option<f64>; DECILES],
    /// Poisson log score with totals, per event; greater is better.
    pub log_score: f64,
}

/// How many cells a share of them is.
fn cells_of(share: f64, cells: usize) -> usize {
    ((share * cells as f64).round() as usize).max(1)
}

impl Tally {
    /// Of a domain of so many cells.
    pub fn new(cells: usize) -> Self {
        Self {
            cells,
            events: 0.0,
            hits: [0.0; SHARES.len()],
            best: [0.0; SHARES.len()],
            weeks: Vec::new(),
            deciles: [(0.0, 0.0); DECILES],
            log_score: 0.0,
        }
    }

    /// Adds one origin: the score of each cell, what came there, the events expected in all, and the number of its week.
    pub fn add(&mut self, scores: &[f64], counts: &[u32], expected: f64, week: usize) {
        let events: f64 = counts.iter().copied().map(f64::from).sum();
        self.events += events;
        for ((share, pooled), best) in SHARES.iter().zip(&mut self.hits).zip(&mut self.best) {
            let most = cells_of(*share, self.cells);
            *pooled += hits(scores, counts, most);
            *best += best_hits(counts, most);
        }
        let total: f64 = scores.iter().sum();
        let even = 1.0 / self.cells.max(1) as f64;
        let share_of = |score: f64| {
            let forecast = if total > 0.0 { score / total } else { even };
            (1.0 - EVEN) * forecast + EVEN * even
        };
        let mut nats = 0.0;
        let mut log_score = -expected;
        for (score, count) in scores.iter().zip(counts) {
            let share = share_of(*score);
            if *count > 0 {
                nats += f64::from(*count) * (share / even).ln();
                let mean = (expected * share).max(f64::MIN_POSITIVE);
                log_score += f64::from(*count) * mean.ln() - ln_factorial(*count);
            }
        }
        self.log_score += log_score;
        if self.weeks.len() <= week {
            self.weeks.resize(week + 1, (0.0, 0.0));
        }
        if let Some((sum, in_week)) = self.weeks.get_mut(week) {
            *sum += nats;
            *in_week += events;
        }
        let mut order: Vec<(f64, u32)> = scores
            .iter()
            .map(|score| share_of(*score))
            .zip(counts.iter().copied())
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at, (share, count)) in order.into_iter().enumerate() {
            let decile = (at * DECILES / self.cells.max(1)).min(DECILES - 1);
            if let Some((of_decile, observed)) = self.deciles.get_mut(decile) {
                *of_decile += expected * share;
                *observed += f64::from(count);
            }
        }
    }

    /// Nats over even shares, and events, of each week.
    pub fn weeks(&self) -> &[(f64, f64)] {
        &self.weeks
    }

    /// All together.
    pub fn summary(&self, seed: u64) -> Summary {
        let rate = |hits: f64| {
            if self.events > 0.0 {
                hits / self.events
            } else {
                0.0
            }
        };
        let hit_rate = self.hits.map(rate);
        let mut accuracy = hit_rate;
        for (accuracy, share) in accuracy.iter_mut().zip(SHARES) {
            *accuracy *= self.cells as f64 / cells_of(share, self.cells) as f64;
        }
        let mut efficiency = self.hits;
        for (efficiency, best) in efficiency.iter_mut().zip(self.best) {
            *efficiency = if best > 0.0 { *efficiency / best } else { 0.0 };
        }
        let nats: f64 = self.weeks.iter().map(|(nats, _)| nats).sum();
        Summary {
            events: self.events,
            hit_rate,
            accuracy,
            efficiency,
            gain: rate(nats),
            gain_interval: interval_of_mean(&self.weeks, seed),
            calibration: self
                .deciles
                .map(|(expected, observed)| (expected > 0.0).then(|| observed / expected)),
            log_score: rate(self.log_score),
        }
    }
}

fn ln_factorial(count: u32) -> f64 {
    libm::lgamma(f64::from(count) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(cells: usize, at: &[(usize, u32)]) -> Vec<u32> {
        let mut counts = vec![0; cells];
        for (cell, count) in at {
            counts[*cell] = *count;
        }
        counts
    }

    #[test]
    fn who_knows_nothing_gains_nothing() {
        let mut even = Tally::new(100);
        even.add(&[1.0; 100], &counts(100, &[(3, 5), (40, 5)]), 10.0, 0);
        let summary = even.summary(1);
        for (is, should) in summary.hit_rate.iter().zip(SHARES) {
            assert!((is - should).abs() < 1e-12);
        }
        assert!(summary.gain.abs() < 1e-12);
        assert!(summary.accuracy.iter().all(|index| (index - 1.0).abs() < 1e-12));
    }

    #[test]
    fn who_is_right_hits_all_that_can_be_hit() {
        let mut scores = vec![0.0; 100];
        (scores[3], scores[40]) = (3.0, 1.0);
        let mut right = Tally::new(100);
        right.add(&scores, &counts(100, &[(3, 3), (40, 1)]), 4.0, 0);
        let summary = right.summary(1);
        assert_eq!(summary.hit_rate, [0.75, 1.0, 1.0]);
        assert_eq!(summary.efficiency, [1.0; 3]);
        assert!((summary.accuracy[0] - 75.0).abs() < 1e-9 && (summary.accuracy[1] - 20.0).abs() < 1e-9);
        let gain = (3.0 * (0.95_f64 * 75.0 + 0.05).ln() + (0.95_f64 * 25.0 + 0.05).ln()) / 4.0;
        assert!((summary.gain - gain).abs() < 1e-12);
        // The top tenth has all events but the even share of the others.
        let top = summary.calibration[9].unwrap();
        assert!((top - 4.0 / (4.0 * (0.95 + 0.05 * 0.1))).abs() < 1e-9, "{top}");
        assert_eq!(summary.calibration[0], Some(0.0));
    }
}
