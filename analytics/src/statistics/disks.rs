//! The cells within some steps of each cell of a study area.

use std::num::NonZeroUsize;

use h3o::{CellIndex, Resolution};

use super::error::StatisticsError;
use super::families::{Families, Family, KinshipWalk};
use super::shares::shares_of;
use super::study_area::check_k;
use riskgrid_ingest::cells::Digit;

/// Cells of a whole disk but its middle.
pub(super) const fn cells_around(k: u32) -> usize {
    3 * k as usize * (k as usize + 1)
}

/// The disks round all cells of a study area.
pub(super) struct Disks<'a> {
    cells: &'a [CellIndex],
    k: u32,
    families: Families,
}

impl<'a> Disks<'a> {
    pub(super) fn new(cells: &'a [CellIndex], k: u32) -> Result<Self, StatisticsError> {
        check_k(k)?;
        // Without cells there are no families, at any resolution.
        let resolution = cells.first().map_or(Resolution::Zero, |cell| cell.resolution());
        Ok(Self {
            cells,
            k,
            families: Families::new(cells, Digit::of(resolution)),
        })
    }

    pub(super) fn all(&self) -> &[(CellIndex, Family)] {
        self.families.in_order()
    }

    /// All families in up to `threads` shares, none of which is small.
    pub(super) fn shares(&self, threads: NonZeroUsize) -> Vec<&[(CellIndex, Family)]> {
        let shares = shares_of(self.cells.len(), threads);
        self.all()
            .chunks(self.all().len().div_ceil(shares).max(1))
            .collect()
    }

    /// Calls `visit` for each cell of these families, in order, with the positions of its neighbours within `k` steps, in
    /// no order.
    pub(super) fn for_each(
        &self,
        families: &[(CellIndex, Family)],
        mut visit: impl FnMut(&[u32]) -> Result<(), StatisticsError>,
    ) -> Result<(), StatisticsError> {
        let resolution = families.first().map(|(first, _)| first.resolution());
        let mut walk = resolution.filter(|_| self.k == 1).and_then(KinshipWalk::new);
        let mut near = Vec::with_capacity(cells_around(self.k));
        for &(first, family) in families {
            let known = walk.as_mut().and_then(|walk| {
                let around = walk.around(first)?;
                Some((walk.kinship(), around))
            });
            if let Some((kinship, around)) = known {
                let around = around.map(|index| self.families.family(index));
                for (digit, _) in family.members() {
                    let mut near = [0; 6];
                    let mut found = 0;
                    for &(kin, to) in kinship.steps(digit) {
                        if let Some(position) = around.get(kin).and_then(|kin| kin.position(to))
                            && let Some(slot) = near.get_mut(found)
                        {
                            *slot = position;
                            found += 1;
                        }
                    }
                    visit(near.get(..found).unwrap_or_default())?;
                }
                continue;
            }
            let members = family.members();
            for cell in members.filter_map(|(_, position)| self.cells.get(position as usize)) {
                near.clear();
                for_each_cell_of_disk(*cell, self.k, |other| {
                    if other != *cell {
                        near.extend(self.families.position(other));
                    }
                });
                visit(&near)?;
            }
        }
        Ok(())
    }
}

/// Calls `visit` once for each cell within `k` steps of `origin`, itself included, in no particular order.
///
/// The spiral walk gives up when it meets a pentagon; then a breadth-first search takes its place.
pub(super) fn for_each_cell_of_disk(origin: CellIndex, k: u32, mut visit: impl FnMut(CellIndex)) {
    if k == 1 {
        // The spiral's seven steps fit on the stack, so what is visited is known to be whole.
        let mut ring = [origin; 7];
        let mut found = 0;
        for (slot, near) in ring.iter_mut().zip(origin.grid_disk_fast(1)) {
            let Some(near) = near else { break };
            *slot = near;
            found += 1;
        }
        if found == ring.len() {
            return ring.into_iter().for_each(visit);
        }
        return origin.grid_disk_safe(1).for_each(visit);
    }
    let whole: Option<Vec<CellIndex>> = origin.grid_disk_fast(k).collect();
    match whole {
        Some(disk) => disk.into_iter().for_each(&mut visit),
        None => origin.grid_disk_safe(k).for_each(visit),
    }
}
