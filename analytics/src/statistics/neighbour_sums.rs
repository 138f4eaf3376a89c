//! How many neighbours each cell has, and what they hold together.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use h3o::CellIndex;
use riskgrid_ingest::on_threads;

use super::disks::Disks;
use super::error::StatisticsError;
use super::neighbours::{Neighbours, check_pairs, sum_of};

/// Pairs after which threads tell each other how many they have seen.
const PAIRS_OF_A_LOOK: usize = 1 << 16;

/// One of each a cell: all that many a statistic needs of neighbours.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NeighbourSums {
    pub(super) counts: Vec<u32>,
    pub(super) sums: Vec<i128>,
}

impl NeighbourSums {
    /// Those of [`Neighbours::new`] with [`Weights::Disk`], without lists; of many cells on up to `threads` threads.
    ///
    /// # Errors
    /// As [`Neighbours::new`].
    pub(super) fn of_disks(
        cells: &[CellIndex],
        values: &[i128],
        k: u32,
        threads: NonZeroUsize,
    ) -> Result<Self, StatisticsError> {
        let disks = Disks::new(cells, k)?;
        let pairs = AtomicUsize::new(0);
        let shares = disks.shares(threads);
        let of_a_share = cells.len() / shares.len().max(1) + cells.len() / 16;
        let parts = on_threads(shares, |families| {
            let mut of_disks = Self {
                counts: Vec::with_capacity(of_a_share),
                sums: Vec::with_capacity(of_a_share),
            };
            let mut seen = 0;
            disks.for_each(families, |near| {
                seen += near.len();
                if seen >= PAIRS_OF_A_LOOK {
                    check_pairs(pairs.fetch_add(seen, Ordering::Relaxed) + seen, "k", &k)?;
                    seen = 0;
                }
                of_disks.counts.push(near.len() as u32);
                of_disks.sums.push(sum_of(near, values));
                Ok(())
            })?;
            check_pairs(pairs.fetch_add(seen, Ordering::Relaxed) + seen, "k", &k)?;
            Ok(of_disks)
        });
        let joined = parts.into_iter().reduce(|all, part| {
            let (mut all, part): (Self, Self) = (all?, part?);
            all.counts.extend(part.counts);
            all.sums.extend(part.sums);
            Ok(all)
        });
        joined.unwrap_or_else(|| Ok(Self::default()))
    }

    pub(super) fn of(neighbours: &Neighbours, values: &[i128]) -> Self {
        Self {
            counts: neighbours.counts(),
            sums: neighbours.sums(values),
        }
    }

    /// The same of each cell and its neighbours together.
    pub(super) fn with_own(mut self, values: &[i128]) -> Self {
        self.counts.iter_mut().for_each(|count| *count += 1);
        self.sums
            .iter_mut()
            .zip(values)
            .for_each(|(sum, own)| *sum += own);
        self
    }

    /// Count and sum of one cell.
    pub(super) fn of_cell(&self, position: usize) -> Option<(u32, i128)> {
        Some((*self.counts.get(position)?, *self.sums.get(position)?))
    }

    /// The greatest count.
    pub(super) fn most(&self) -> usize {
        self.counts.iter().copied().max().unwrap_or(0) as usize
    }
}
