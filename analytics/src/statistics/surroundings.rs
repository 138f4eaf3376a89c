//! The cells within some steps of the observed ones.

use std::iter;
use std::num::NonZeroUsize;

use h3o::CellIndex;
use hashbrown::HashMap;
use riskgrid_ingest::on_threads;

use super::disks::for_each_cell_of_disk;
use super::error::StatisticsError;
use super::families::{KinshipWalk, checked_cell, families_of_indexes};
use super::shares::shares_of;
use super::study_area::{MAX_STUDY_AREA, check_k};
use riskgrid_ingest::cells::Digit;

/// The observed cells (ascending, each once, of one resolution) and all within `k` steps of one of them, ascending; of many
/// cells on up to `threads` threads. Of too many, some are missing, and there are more than [`MAX_STUDY_AREA`].
///
/// # Errors
/// [`StatisticsError`] when `k` is too large or `observed` is not as it must be.
pub(super) fn with_surroundings(
    observed: &[u64],
    k: u32,
    threads: NonZeroUsize,
) -> Result<Vec<CellIndex>, StatisticsError> {
    check_k(k)?;
    let Some(&first) = observed.first() else {
        return Ok(Vec::new());
    };
    let first = checked_cell(first, None)?;
    // Which share a sibling is in does not matter: what both add is joined.
    let of_a_share = observed.len().div_ceil(shares_of(observed.len(), threads));
    let before = iter::once(None).chain(observed.iter().skip(of_a_share - 1).step_by(of_a_share).map(Some));
    let shares = observed.chunks(of_a_share).zip(before).collect();
    let sets = on_threads(shares, |(share, before)| {
        FamilySet::around(share, k, first, before.copied())
    });
    let mut area = FamilySet::new(Digit::of(first.resolution()));
    for set in sets {
        area.join(set?);
    }
    area.into_cells(threads)
}

/// Families on a page: the 49 grandchildren of one cell, with room for each pair of digits.
const FAMILIES_OF_A_PAGE: usize = 64;
/// The most cells of a page: 49 families of seven.
const CELLS_OF_A_PAGE: usize = 343;

/// Which members of which families are there, one bit a digit. Families near each other lie on one page, which is a line
/// of the processor's cache.
struct FamilySet {
    digit: Digit,
    pages: Vec<(u64, [u8; FAMILIES_OF_A_PAGE])>,
    by_number: HashMap<u64, usize>,
    /// Number and position of the page that was asked for last.
    last: Option<(u64, usize)>,
    families: usize,
}

impl FamilySet {
    fn new(digit: Digit) -> Self {
        Self {
            digit,
            pages: Vec::new(),
            by_number: HashMap::new(),
            last: None,
            families: 0,
        }
    }

    /// The families of `observed` and of all cells within `k` steps of one of them; or too many. `first` is a cell of the
    /// resolution that they must have, and `before` the one that they must follow.
    ///
    /// # Errors
    /// As [`checked_cell`].
    fn around(
        observed: &[u64],
        k: u32,
        first: CellIndex,
        before: Option<u64>,
    ) -> Result<Self, StatisticsError> {
        let mut walk = if k == 1 {
            KinshipWalk::new(first.resolution())
        } else {
            None
        };
        let digit = Digit::of(first.resolution());
        let mut set = Self::new(digit);
        for (first, family) in families_of_indexes(observed, first, before)? {
            let known = walk.as_mut().and_then(|walk| {
                let around = walk.around(first)?;
                Some((walk.kinship(), around))
            });
            if let Some((kinship, around)) = known {
                for (family, &present) in around.into_iter().zip(kinship.reach(family.present())) {
                    set.add(family, present);
                }
            } else {
                let members = family.members();
                for &cell in members.filter_map(|(_, position)| observed.get(position as usize)) {
                    let cell = CellIndex::try_from(cell).map_err(|_| StatisticsError::NotACell { cell })?;
                    for_each_cell_of_disk(cell, k, |near| {
                        let (family, member) = digit.split(near);
                        set.add(family, 1 << member);
                    });
                }
            }
            if set.families > MAX_STUDY_AREA {
                break;
            }
        }
        Ok(set)
    }

    fn add(&mut self, family: u64, present: u8) {
        let bits = family >> self.digit.bits_below_families();
        let number = bits / FAMILIES_OF_A_PAGE as u64;
        let slot = bits as usize % FAMILIES_OF_A_PAGE;
        if present != 0
            && let Some(slot) = self.page(number).and_then(|page| page.get_mut(slot))
        {
            let is_new = *slot == 0;
            *slot |= present;
            self.families += usize::from(is_new);
        }
    }

    /// The page of this number, made where there is none.
    fn page(&mut self, number: u64) -> Option<&mut [u8; FAMILIES_OF_A_PAGE]> {
        let at = match self.last {
            Some((last, at)) if last == number => at,
            _ => {
                let at = *self.by_number.entry(number).or_insert_with(|| {
                    self.pages.push((number, [0; FAMILIES_OF_A_PAGE]));
                    self.pages.len() - 1
                });
                self.last = Some((number, at));
                at
            }
        };
        self.pages.get_mut(at).map(|(_, page)| page)
    }

    /// Takes in all members of `other`.
    fn join(&mut self, other: Self) {
        for (number, theirs) in other.pages {
            if let Some(page) = self.page(number) {
                page.iter_mut()
                    .zip(theirs)
                    .for_each(|(ours, theirs)| *ours |= theirs);
            }
        }
    }

    /// All members, ascending.
    ///
    /// # Errors
    /// [`StatisticsError::NotACell`] for what is no cell, of which none was added.
    fn into_cells(mut self, threads: NonZeroUsize) -> Result<Vec<CellIndex>, StatisticsError> {
        self.pages.sort_unstable_by_key(|(number, _)| *number);
        let shares = shares_of(self.pages.len() * CELLS_OF_A_PAGE, threads);
        let of_a_share = self.pages.len().div_ceil(shares).max(1);
        let parts = on_threads(self.pages.chunks(of_a_share).collect(), |pages| {
            let mut cells = Vec::with_capacity(pages.len() * CELLS_OF_A_PAGE);
            for (number, page) in pages {
                for (slot, &present) in (0_u64..).zip(page).filter(|&(_, &present)| present != 0) {
                    let family = self.digit.family(number * FAMILIES_OF_A_PAGE as u64 + slot);
                    for member in (0..7).filter(|member| present >> member & 1 == 1) {
                        let cell = self.digit.join(family, member);
                        cells
                            .push(CellIndex::try_from(cell).map_err(|_| StatisticsError::NotACell { cell })?);
                    }
                }
            }
            Ok(cells)
        });
        let parts: Vec<Vec<CellIndex>> = parts.into_iter().collect::<Result<_, StatisticsError>>()?;
        Ok(parts.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h3o::Resolution;
    use std::collections::BTreeSet;

    /// At every resolution, round cells of hexagons and pentagons, and of all of the globe where that is few.
    #[test]
    fn surroundings_are_the_disks_of_the_grid() {
        for resolution in Resolution::range(Resolution::Zero, Resolution::Fifteen) {
            let mut observed: BTreeSet<CellIndex> = CellIndex::base_cells()
                .filter_map(|base| base.center_child(resolution))
                .collect();
            let place = h3o::LatLng::new(22.53, 113.93).unwrap();
            observed.extend(place.to_cell(resolution).grid_disk_safe(4).skip(2).step_by(3));
            let raw: Vec<u64> = observed.iter().map(|&cell| cell.into()).collect();
            for k in 0..3 {
                let slow: BTreeSet<CellIndex> =
                    observed.iter().flat_map(|cell| cell.grid_disk_safe(k)).collect();
                let fast = with_surroundings(&raw, k, NonZeroUsize::MIN).unwrap();
                assert_eq!(fast, slow.into_iter().collect::<Vec<_>>(), "{resolution}, {k}");
            }
        }
    }

    #[test]
    fn threads_change_no_cell_and_check_where_shares_meet() {
        let place = h3o::LatLng::new(22.53, 113.93).unwrap();
        let disk: Vec<CellIndex> = place.to_cell(Resolution::Nine).grid_disk_safe(110).collect();
        let mut observed: Vec<u64> = disk.iter().step_by(2).map(|&cell| cell.into()).collect();
        observed.sort_unstable();
        let threads = NonZeroUsize::new(2).unwrap();
        for k in 0..3 {
            let expected = with_surroundings(&observed, k, NonZeroUsize::MIN).unwrap();
            assert_eq!(with_surroundings(&observed, k, threads).unwrap(), expected);
        }
        // The first of the second share.
        let middle = observed.len().div_ceil(2);
        observed[middle] = observed[middle - 1];
        let refused = with_surroundings(&observed, 1, threads).unwrap_err();
        assert_eq!(
            refused,
            StatisticsError::NotAscending {
                cell: observed[middle]
            }
        );
    }

    #[test]
    fn what_is_no_ascending_list_of_cells_is_refused() {
        const CELL: u64 = 0x0894_11ca_1b67_ffff;
        let sibling = |digit: u64| CELL & !(7 << 18) | digit << 18;
        // A pentagon of resolution 9 has no child of digit 1.
        let pentagon = CellIndex::base_cells().find(|base| base.is_pentagon()).unwrap();
        let pentagon = u64::from(pentagon.center_child(Resolution::Nine).unwrap());
        let refused = |cells: &[u64]| {
            with_surroundings(cells, 1, NonZeroUsize::MIN)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            with_surroundings(&[sibling(2), sibling(6)], 0, NonZeroUsize::MIN)
                .unwrap()
                .len(),
            2
        );
        for cells in [
            [sibling(2), sibling(7)],
            [sibling(7), sibling(7)],
            [pentagon, pentagon | 1 << 18],
        ] {
            assert_eq!(
                refused(&cells),
                StatisticsError::NotACell { cell: cells[1] }.to_string()
            );
        }
        for cells in [[sibling(3), sibling(2)], [sibling(3), sibling(3)]] {
            assert_eq!(
                refused(&cells),
                StatisticsError::NotAscending { cell: cells[1] }.to_string()
            );
        }
        let coarser = u64::from(
            CellIndex::try_from(CELL)
                .unwrap()
                .parent(Resolution::Eight)
                .unwrap(),
        );
        assert!(refused(&[coarser, CELL]).contains("resolution"));
    }
}
