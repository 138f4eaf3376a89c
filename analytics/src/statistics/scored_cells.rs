//! What hotspots takes from one pass over the cells of a study area: the sum of each with its neighbours, and its score.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use riskgrid_ingest::on_threads;

use super::disks::Disks;
use super::error::StatisticsError;
use super::getis_ord::{GetisOrd, WeightedSums};
use super::neighbours::{Neighbours, check_pairs, sum_of};
use super::normal::two_sided_normal_p;
use super::options::Method;
use super::study_area::StudyArea;

/// Pairs after which threads tell each other how many they have seen.
const PAIRS_OF_A_LOOK: usize = 1 << 16;

/// How cells are scored.
#[derive(Clone, Debug)]
pub(super) struct Scoring {
    scores: GetisOrd,
    /// The denominator of z by the count of cells: a square root for each count and not for each cell.
    /// NaN where z is undefined.
    standard_deviations: Vec<f64>,
    method: Method,
}

impl Scoring {
    /// For neighbourhoods of up to `most` cells, with what `method` takes p from.
    pub(super) fn new(scores: GetisOrd, most: usize, method: Method) -> Self {
        Self {
            scores,
            standard_deviations: (0..=most as u64)
                .map(|count| scores.standard_deviation_of(count).unwrap_or(f64::NAN))
                .collect(),
            method,
        }
    }

    fn z(&self, count: u32, sum: i128) -> f64 {
        let standard_deviation = self.standard_deviations.get(count as usize).copied();
        self.scores.deviation_of(count.into(), sum) / standard_deviation.unwrap_or(f64::NAN)
    }

    const fn keeps_sums(&self) -> bool {
        matches!(self.method, Method::Exact | Method::Auto)
    }

    const fn has_normal_p(&self) -> bool {
        matches!(self.method, Method::Analytic | Method::Auto)
    }
}

/// One of each a cell, counts and sums with the cell itself. Only what a method needs is kept: at a city's size the time
/// goes into memory, not into sums.
#[derive(Clone, Debug, Default)]
pub(super) struct ScoredCells {
    pub(super) counts: Vec<u32>,
    /// Empty where no exact law will ask for them.
    pub(super) sums: Vec<i128>,
    /// NaN where it is undefined.
    pub(super) z: Vec<f64>,
    /// Of the normal law, NaN where z is; empty where the law is not asked for.
    pub(super) normal_p: Vec<f64>,
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
            let most = if start == 0 {
                cells.len()
            } else {
                families.len() * 7
            };
            let mut scored = Self::with_capacity(most, scoring);
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
        let mut scored = Self::with_capacity(values.len(), scoring);
        let sums = neighbours.sums(values).into_iter().zip(values);
        for ((sum, own), count) in sums.zip(neighbours.counts()) {
            scored.push(count + 1, sum + own, scoring);
        }
        if !neighbours.is_binary() {
            scored.z = weighted_scores(scoring.scores, values, neighbours);
            if scoring.has_normal_p() {
                scored.normal_p = scored.z.iter().map(|&z| two_sided_normal_p(z)).collect();
            }
        }
        scored
    }

    fn with_capacity(cells: usize, scoring: &Scoring) -> Self {
        let if_kept = |is_kept| if is_kept { cells } else { 0 };
        Self {
            counts: Vec::with_capacity(cells),
            sums: Vec::with_capacity(if_kept(scoring.keeps_sums())),
            z: Vec::with_capacity(cells),
            normal_p: Vec::with_capacity(if_kept(scoring.has_normal_p())),
        }
    }

    fn push(&mut self, count: u32, sum: i128, scoring: &Scoring) {
        let z = scoring.z(count, sum);
        self.counts.push(count);
        self.z.push(z);
        if scoring.keeps_sums() {
            self.sums.push(sum);
        }
        if scoring.has_normal_p() {
            self.normal_p.push(two_sided_normal_p(z));
        }
    }

    /// The greatest count.
    pub(super) fn most(&self) -> usize {
        self.counts.iter().copied().max().unwrap_or(0) as usize
    }
}

/// z of each cell for weights that are not all 0 or 1.
fn weighted_scores(scores: GetisOrd, values: &[i128], neighbours: &Neighbours) -> Vec<f64> {
    let deviations: Vec<f64> = values.iter().map(|&value| scores.deviation(value)).collect();
    let weighted = |(position, &own): (usize, &f64)| {
        let mut sums = WeightedSums::default();
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
                sums.add(1.0, own);
            }
            sums.add(weight, deviations.get(near as usize).copied().unwrap_or(0.0));
        }
        if let Some(own) = own {
            sums.add(1.0, own);
        }
        scores.z_of_weights(&sums).unwrap_or(f64::NAN)
    };
    deviations.iter().enumerate().map(weighted).collect()
}
