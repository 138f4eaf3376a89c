//! What hotspots takes from one pass over the cells of a study area: the sum of each with its neighbours, and its score.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use riskgrid_ingest::on_threads;

use super::disks::Disks;
use super::error::StatisticsError;
use super::getis_ord::GetisOrd;
use super::neighbours::{Neighbours, check_pairs, sum_of};
use super::normal::two_sided_normal_p;
use super::study_area::StudyArea;

/// Pairs after which threads tell each other how many they have seen.
const PAIRS_OF_A_LOOK: usize = 1 << 16;

/// How cells are scored.
#[derive(Clone, Debug)]
pub(super) struct Scoring {
    scores: GetisOrd,
    /// The denominator of z by the count of cells: a square root for each count and not for each cell.
    standard_deviations: Vec<Option<f64>>,
    with_normal_p: bool,
}

impl Scoring {
    /// For neighbourhoods of up to `most` cells; p of the normal law where `with_normal_p`.
    pub(super) fn new(scores: GetisOrd, most: usize, with_normal_p: bool) -> Self {
        Self {
            scores,
            standard_deviations: (0..=most as u64)
                .map(|count| scores.standard_deviation_of(count))
                .collect(),
            with_normal_p,
        }
    }

    fn z(&self, count: u32, sum: i128) -> Option<f64> {
        let standard_deviation = (*self.standard_deviations.get(count as usize)?)?;
        Some(self.scores.deviation_of(count.into(), sum) / standard_deviation)
    }
}

/// One of each a cell, counts and sums with the cell itself.
#[derive(Clone, Debug, Default)]
pub(super) struct ScoredCells {
    pub(super) counts: Vec<u32>,
    pub(super) sums: Vec<i128>,
    pub(super) z: Vec<Option<f64>>,
    /// Of the normal law, where z is defined; empty where it is not wanted.
    pub(super) normal_p: Vec<Option<f64>>,
}

impl ScoredCells {
    /// With the neighbours of [`Neighbours::new`] for disks, without lists; of many cells on up to `threads` threads.
    ///
    /// # Errors
    /// As [`Neighbours::new`].
    pub(super) fn of_disks(
        area: &StudyArea,
        k: u32,
        scoring: &Scoring,
        threads: NonZeroUsize,
    ) -> Result<Self, StatisticsError> {
        let (cells, values) = (area.cells(), area.values());
        let disks = Disks::new(cells, k)?;
        let pairs = AtomicUsize::new(0);
        let see = |seen: usize| check_pairs(pairs.fetch_add(seen, Ordering::Relaxed) + seen, "k", &k);
        let parts = on_threads(disks.shares(threads), |families| {
            let start = families.first().map_or(0, |(_, family)| family.start());
            let mut own = values.get(start..).unwrap_or_default().iter();
            // The first has room for all that follow.
            let mut scored = Self::with_capacity(if start == 0 {
                cells.len()
            } else {
                families.len() * 7
            });
            let mut seen = 0;
            disks.for_each(families, |near| {
                seen += near.len();
                if seen >= PAIRS_OF_A_LOOK {
                    see(seen)?;
                    seen = 0;
                }
                let own = own.next().copied().unwrap_or(0);
                scored.push(near.len() as u32 + 1, own + sum_of(near, values), scoring);
                Ok(())
            })?;
            see(seen)?;
            Ok(scored)
        });
        let joined = parts.into_iter().reduce(|all, part| {
            let (mut all, part): (Self, Self) = (all?, part?);
            all.counts.extend(part.counts);
            all.sums.extend(part.sums);
            all.z.extend(part.z);
            all.normal_p.extend(part.normal_p);
            Ok(all)
        });
        joined.unwrap_or_else(|| Ok(Self::default()))
    }

    /// With these neighbours, weights included.
    pub(super) fn of_lists(neighbours: &Neighbours, values: &[i128], scoring: &Scoring) -> Self {
        let mut scored = Self::with_capacity(values.len());
        let sums = neighbours.sums(values).into_iter().zip(values);
        for ((sum, own), count) in sums.zip(neighbours.counts()) {
            scored.push(count + 1, sum + own, scoring);
        }
        if !neighbours.is_binary() {
            scored.z = weighted_scores(scoring.scores, values, neighbours);
            if scoring.with_normal_p {
                scored.normal_p = scored.z.iter().map(|z| z.map(two_sided_normal_p)).collect();
            }
        }
        scored
    }

    fn with_capacity(cells: usize) -> Self {
        Self {
            counts: Vec::with_capacity(cells),
            sums: Vec::with_capacity(cells),
            z: Vec::with_capacity(cells),
            normal_p: Vec::with_capacity(cells),
        }
    }

    fn push(&mut self, count: u32, sum: i128, scoring: &Scoring) {
        let z = scoring.z(count, sum);
        self.counts.push(count);
        self.sums.push(sum);
        self.z.push(z);
        if scoring.with_normal_p {
            self.normal_p.push(z.map(two_sided_normal_p));
        }
    }

    /// The greatest count.
    pub(super) fn most(&self) -> usize {
        self.counts.iter().copied().max().unwrap_or(0) as usize
    }
}
/// z of each cell for weights that are not all 0 or 1.
fn weighted_scores(scores: GetisOrd, values: &[i128], neighbours: &Neighbours) -> Vec<Option<f64>> {
    let deviations: Vec<f64> = values.iter().map(|&value| scores.deviation(value)).collect();
    let weighted = |(position, &own): (usize, &f64)| {
        let (mut w, mut w_squares, mut sum) = (0.0, 0.0, 0.0);
        let mut add = |weight: f64, deviation: f64| {
            w += weight;
            w_squares += weight * weight;
            sum += weight * deviation;
        };
        let mut own = Some(own);
        for (&near, &weight) in neighbours
            .of(position)
            .iter()
            .zip(neighbours.weights_of(position))
        {
            // Ascending cells, the cell itself in its place: the order of a sum of floats is part of the answer.
            if near as usize > position
                && let Some(own) = own.take()
            {
                add(1.0, own);
            }
            add(weight, deviations.get(near as usize).copied().unwrap_or(0.0));
        }
        if let Some(own) = own {
            add(1.0, own);
        }
        scores.z_of_weights(w, w_squares, sum)
    };
    deviations.iter().enumerate().map(weighted).collect()
}
