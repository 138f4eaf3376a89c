//! Cells of a study area grouped by H3 parent, for fast neighbours.
//!
//! The up to seven children of one parent follow each other in cell order, and where a step leads from a child depends
//! only on its digit: to a sibling, or to a known child of one of the parent's six neighbours. So the grid is asked once
//! a family and not once a cell, and finding a cell is finding its family and counting bits. The table of steps is read
//! off the grid itself. It does not hold across the borders of the 122 base cells, nor in those of the 12 pentagons:
//! there [`Kinship::around`] says so, and the caller asks the grid cell by cell.

use h3o::{CellIndex, Resolution};
use hashbrown::HashMap;

/// Digits of a cell under its parent: 0 is the centre.
const DIGITS: usize = 7;

/// Where the digit of a resolution sits in an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digit {
    shift: u32,
}

impl Digit {
    pub(super) fn of(resolution: Resolution) -> Self {
        Self {
            shift: 3 * (15 - u32::from(u8::from(resolution))),
        }
    }

    /// The family of a cell (the index of its centre child) and the digit of the cell in it.
    pub(super) fn split(self, cell: CellIndex) -> (u64, u32) {
        let index = u64::from(cell);
        (index & !(7 << self.shift), (index >> self.shift & 7) as u32)
    }

    /// Index of the cell with this digit.
    pub(super) const fn join(self, family: u64, digit: u32) -> u64 {
        family | (digit as u64) << self.shift
    }
}

/// Where each step from each digit leads: to which digit of which member of [`Kinship::around`].
pub(super) struct Kinship {
    resolution: Resolution,
    parents: Resolution,
    /// For each digit its six neighbours.
    steps: [[(usize, u32); 6]; DIGITS],
}

impl Kinship {
    /// `None` at resolutions 0 and 1, where no parent has all its neighbours in its own base cell.
    pub(super) fn new(resolution: Resolution) -> Option<Self> {
        let parents = resolution.pred()?;
        let mut kinship = Self {
            resolution,
            parents,
            steps: [[(0, 0); 6]; DIGITS],
        };
        let inner = CellIndex::base_cells().find(|cell| !cell.base_cell().is_pentagon())?;
        let centre = inner.center_child(resolution)?;
        let around = kinship.around(centre)?;
        let digit = Digit::of(resolution);
        for (from, steps) in (0..).zip(&mut kinship.steps) {
            let cell = CellIndex::try_from(digit.join(digit.split(centre).0, from)).ok()?;
            for (edge, step) in cell.edges().zip(steps) {
                let (family, to) = digit.split(edge.destination());
                *step = (around.iter().position(|&kin| kin == family)?, to);
            }
        }
        Some(kinship)
    }

    /// The family of `cell` and the families of its parent's six neighbours, in the order that the steps count on.
    pub(super) fn around(&self, cell: CellIndex) -> Option<[u64; DIGITS]> {
        let parent = cell.parent(self.parents)?;
        if parent.base_cell().is_pentagon() {
            return None;
        }
        let mut around = [u64::from(parent.center_child(self.resolution)?); DIGITS];
        for (slot, edge) in around.iter_mut().skip(1).zip(parent.edges()) {
            let neighbour = edge.destination();
            if neighbour.base_cell() != parent.base_cell() {
                return None;
            }
            *slot = neighbour.center_child(self.resolution)?.into();
        }
        Some(around)
    }

    /// Neighbours of the digit `from`: (member of [`around`](Self::around), digit).
    pub(super) fn steps(&self, from: u32) -> &[(usize, u32); 6] {
        &self.steps[from as usize % DIGITS]
    }
}

/// The present members of one family.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Family {
    /// Position of the first in the study area.
    start: u32,
    /// One bit a digit.
    present: u8,
}

impl Family {
    pub(super) fn position(self, digit: u32) -> Option<u32> {
        let before = (1_u8 << digit) - 1;
        (self.present >> digit & 1 == 1).then(|| self.start + (self.present & before).count_ones())
    }

    /// The digits that are present, with their positions.
    pub(super) fn members(self) -> impl Iterator<Item = (u32, u32)> {
        (0..DIGITS as u32).filter_map(move |digit| self.position(digit).map(|position| (digit, position)))
    }
}

/// A study area by families; finds the position of a cell.
pub(super) struct Families {
    digit: Digit,
    /// In ascending order.
    in_order: Vec<(CellIndex, Family)>,
    by_index: HashMap<u64, Family>,
}

impl Families {
    /// Groups `cells`: ascending, each once, of one resolution.
    pub(super) fn new(cells: &[CellIndex], digit: Digit) -> Self {
        let mut in_order: Vec<(CellIndex, Family)> = Vec::with_capacity(cells.len() / 4);
        let mut last = None;
        for (&cell, position) in cells.iter().zip(0..) {
            let (family, member) = digit.split(cell);
            if last != Some(family) {
                in_order.push((
                    cell,
                    Family {
                        start: position,
                        present: 0,
                    },
                ));
                last = Some(family);
            }
            if let Some((_, open)) = in_order.last_mut() {
                open.present |= 1 << member;
            }
        }
        let by_index = in_order
            .iter()
            .map(|&(cell, family)| (digit.split(cell).0, family))
            .collect();
        Self {
            digit,
            in_order,
            by_index,
        }
    }

    /// Each family with its first present cell, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(CellIndex, Family)> {
        self.in_order.iter()
    }

    /// The family of this index; one without members where none is present.
    pub(super) fn family(&self, index: u64) -> Family {
        self.by_index.get(&index).copied().unwrap_or_default()
    }

    /// Position of `cell` in the study area.
    pub(super) fn position(&self, cell: CellIndex) -> Option<u32> {
        let (family, digit) = self.digit.split(cell);
        self.family(family).position(digit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lead_where_the_grid_says_in_every_base_cell() {
        for resolution in [
            Resolution::Two,
            Resolution::Three,
            Resolution::Eight,
            Resolution::Nine,
        ] {
            let kinship = Kinship::new(resolution).unwrap();
            let digit = Digit::of(resolution);
            let mut fast = 0;
            for base in CellIndex::base_cells() {
                for child in base.children(Resolution::Two) {
                    let centre = child.center_child(resolution).unwrap();
                    let Some(around) = kinship.around(centre) else {
                        continue;
                    };
                    fast += 1;
                    for from in 0..7 {
                        let cell = CellIndex::try_from(digit.join(around[0], from)).unwrap();
                        let mut got: Vec<u64> = kinship
                            .steps(from)
                            .iter()
                            .map(|&(kin, to)| digit.join(around[kin], to))
                            .collect();
                        let mut expected: Vec<u64> = cell
                            .grid_disk_safe(1)
                            .filter(|&near| near != cell)
                            .map(u64::from)
                            .collect();
                        got.sort_unstable();
                        expected.sort_unstable();
                        assert_eq!(got, expected, "{cell}");
                    }
                }
            }
            assert!(fast > 700, "{resolution}: {fast}");
        }
        assert!(Kinship::new(Resolution::Zero).is_none());
        assert!(Kinship::new(Resolution::One).is_none());
    }

    #[test]
    fn each_cell_is_found_at_its_position_and_no_other_cell_is() {
        let centre = CellIndex::try_from(0x0894_11ca_1b67_ffff).unwrap();
        let mut cells: Vec<CellIndex> = centre.grid_disk_safe(5).collect();
        cells.sort_unstable();
        let absent: Vec<CellIndex> = cells.iter().copied().step_by(3).collect();
        cells.retain(|cell| !absent.contains(cell));
        let families = Families::new(&cells, Digit::of(Resolution::Nine));
        for (position, &cell) in cells.iter().enumerate() {
            assert_eq!(families.position(cell), Some(position as u32));
        }
        assert!(absent.iter().all(|&cell| families.position(cell).is_none()));
        let members: Vec<u32> = families
            .iter()
            .flat_map(|(_, family)| family.members())
            .map(|(_, at)| at)
            .collect();
        assert_eq!(members, (0..cells.len() as u32).collect::<Vec<_>>());
    }
}
