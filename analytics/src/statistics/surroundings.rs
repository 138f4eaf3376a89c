//! The cells within some steps of the observed ones.

use h3o::{CellIndex, Resolution};
use hashbrown::HashMap;

use super::disks::for_each_cell_of_disk;
use super::error::StatisticsError;
use super::families::{Digit, KinshipWalk, families_of_indexes};
use super::study_area::{MAX_STUDY_AREA, check_k};

/// The observed cells (ascending, each once, of one resolution) and all within `k` steps of one of them, ascending. Of
/// too many, some are missing, and there are more than [`MAX_STUDY_AREA`].
///
/// # Errors
/// [`StatisticsError`] when `k` is too large or `observed` is not as it must be.
pub(super) fn with_surroundings(observed: &[u64], k: u32) -> Result<Vec<CellIndex>, StatisticsError> {
    check_k(k)?;
    let families = families_of_indexes(observed)?;
    let Some(resolution) = families.first().map(|(first, _)| first.resolution()) else {
        return Ok(Vec::new());
    };
    let digit = Digit::of(resolution);
    let mut walk = if k == 1 {
        KinshipWalk::new(resolution)
    } else {
        None
    };
    let mut area = FamilySet::new(digit);
    for (first, family) in families {
        let known = walk.as_mut().and_then(|walk| {
            let around = walk.around(first)?;
            Some((walk.kinship(), around))
        });
        if let Some((kinship, around)) = known {
            let mut present = [0_u8; 7];
            for (member, _) in family.members() {
                present[0] |= 1 << member;
                for &(kin, to) in kinship.steps(member) {
                    present[kin] |= 1 << to;
                }
            }
            for (family, present) in around.into_iter().zip(present) {
                area.add(family, present);
            }
        } else {
            let members = family.members();
            for &cell in members.filter_map(|(_, position)| observed.get(position as usize)) {
                let cell = CellIndex::try_from(cell).map_err(|_| StatisticsError::NotACell { cell })?;
                for_each_cell_of_disk(cell, k, |near| {
                    let (family, member) = digit.split(near);
                    area.add(family, 1 << member);
                });
            }
        }
        if area.families > MAX_STUDY_AREA {
            break;
        }
    }
    area.into_cells(resolution)
}

/// Families on a page: the 49 grandchildren of one cell, with room for each pair of digits.
const FAMILIES_OF_A_PAGE: usize = 64;

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

    fn add(&mut self, family: u64, present: u8) {
        if present == 0 {
            return;
        }
        let bits = family >> self.digit.bits_below_families();
        let number = bits / FAMILIES_OF_A_PAGE as u64;
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
        let slot = self
            .pages
            .get_mut(at)
            .and_then(|(_, page)| page.get_mut(bits as usize % FAMILIES_OF_A_PAGE));
        if let Some(slot) = slot {
            self.families += usize::from(*slot == 0);
            *slot |= present;
        }
    }

    /// All members, ascending.
    ///
    /// # Errors
    /// [`StatisticsError::NotACell`] for a family without a centre, which none has.
    fn into_cells(mut self, resolution: Resolution) -> Result<Vec<CellIndex>, StatisticsError> {
        self.pages.sort_unstable_by_key(|(number, _)| *number);
        let mut cells = Vec::with_capacity(self.families * 7);
        for (number, page) in &self.pages {
            for (slot, &present) in (0_u64..).zip(page).filter(|&(_, &present)| present != 0) {
                let family = self.digit.family(number * FAMILIES_OF_A_PAGE as u64 + slot);
                let centre =
                    CellIndex::try_from(family).map_err(|_| StatisticsError::NotACell { cell: family })?;
                let parent = resolution.pred().and_then(|parents| centre.parent(parents));
                // Of a parent the children are known for cells; a base cell has none.
                let members = parent.unwrap_or(centre).children(resolution);
                cells.extend(members.filter(|&member| present >> self.digit.split(member).1 & 1 == 1));
            }
        }
        Ok(cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
                let fast = with_surroundings(&raw, k).unwrap();
                assert_eq!(fast, slow.into_iter().collect::<Vec<_>>(), "{resolution}, {k}");
            }
        }
    }

    #[test]
    fn what_is_no_ascending_list_of_cells_is_refused() {
        const CELL: u64 = 0x0894_11ca_1b67_ffff;
        let sibling = |digit: u64| CELL & !(7 << 18) | digit << 18;
        // A pentagon of resolution 9 has no child of digit 1.
        let pentagon = CellIndex::base_cells().find(|base| base.is_pentagon()).unwrap();
        let pentagon = u64::from(pentagon.center_child(Resolution::Nine).unwrap());
        let refused = |cells: &[u64]| with_surroundings(cells, 1).unwrap_err().to_string();
        assert_eq!(with_surroundings(&[sibling(2), sibling(6)], 0).unwrap().len(), 2);
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
