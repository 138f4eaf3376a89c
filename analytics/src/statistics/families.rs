//! Cells of a study area grouped by H3 parent, for fast neighbours.
//!
//! The up to seven children of one parent follow each other in cell order, and where a step leads from a child depends
//! only on its digit: to a sibling, or to a known child of one of the parent's six neighbours. So the grid is asked once
//! a family and not once a cell, and finding a cell is finding its family and counting bits. The table of steps is read
//! off the grid itself. It does not hold across the borders of the 122 base cells, nor in those of the 12 pentagons:
//! there [`KinshipWalk::around`] says so, and the caller asks the grid cell by cell.

use h3o::{CellIndex, Resolution};
use hashbrown::HashMap;

use riskgrid_ingest::cells::{DIGITS, Digit};

use super::error::StatisticsError;

/// Where each step from each digit leads: to which digit of which member of [`KinshipWalk::around`].
pub(super) struct Kinship {
    digit: Digit,
    parents: Resolution,
    resolution: Resolution,
    /// For each digit its six neighbours.
    steps: [[(usize, u32); 6]; DIGITS],
    /// For each set of members, a bit a digit, what is at most one step from one of them: a set of each family around.
    reach: [[u8; DIGITS]; 1 << DIGITS],
}

impl Kinship {
    /// `None` at resolutions 0 and 1, where no parent has all its neighbours in its own base cell.
    pub(super) fn new(resolution: Resolution) -> Option<Self> {
        let parents = resolution.pred()?;
        let digit = Digit::of(resolution);
        let mut kinship = Self {
            digit,
            parents,
            resolution,
            steps: [[(0, 0); 6]; DIGITS],
            reach: [[0; DIGITS]; 1 << DIGITS],
        };
        let inner = CellIndex::base_cells().find(|cell| !cell.base_cell().is_pentagon())?;
        let centre = inner.center_child(resolution)?;
        let around = kinship.around(centre)?;
        for (from, steps) in (0..).zip(&mut kinship.steps) {
            let cell = CellIndex::try_from(digit.join(digit.split(centre).0, from)).ok()?;
            for (edge, step) in cell.edges().zip(steps) {
                let (family, to) = digit.split(edge.destination());
                *step = (around.iter().position(|&kin| kin == family)?, to);
            }
        }
        for (members, reach) in (0_u8..).zip(&mut kinship.reach) {
            reach[0] = members;
            for (_, steps) in (0..)
                .zip(&kinship.steps)
                .filter(|(from, _)| members >> from & 1 == 1)
            {
                for &(kin, to) in steps {
                    reach[kin] |= 1 << to;
                }
            }
        }
        Some(kinship)
    }

    /// The family of `cell` and the families of its parent's six neighbours, in the order that the steps count on: that of
    /// the parent's edges.
    fn around(&self, cell: CellIndex) -> Option<[u64; DIGITS]> {
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

    /// What is at most one step from one of these members (a bit a digit): a set for each of [`around`](Self::around).
    pub(super) fn reach(&self, members: u8) -> &[u8; DIGITS] {
        &self.reach[members as usize % (1 << DIGITS)]
    }

    /// Neighbours of the digit `from`: (member of [`around`](Self::around), digit).
    pub(super) fn steps(&self, from: u32) -> &[(usize, u32); 6] {
        &self.steps[from as usize % DIGITS]
    }
}

/// Goes through families and says which are around each.
///
/// What is around a parent follows from what is around its own parent, as for cells: the grid is asked once for the up to
/// seven families that follow each other.
pub(super) struct KinshipWalk {
    kinship: Kinship,
    /// Of the parents.
    elders: Option<Kinship>,
    /// The last family of parents, and those around it.
    last: Option<(u64, Option<[u64; DIGITS]>)>,
}

impl KinshipWalk {
    /// `None` where [`Kinship::new`] is.
    pub(super) fn new(resolution: Resolution) -> Option<Self> {
        let kinship = Kinship::new(resolution)?;
        let elders = Kinship::new(kinship.parents);
        Some(Self {
            kinship,
            elders,
            last: None,
        })
    }

    /// The steps between the digits of a family and of those around it.
    pub(super) const fn kinship(&self) -> &Kinship {
        &self.kinship
    }

    /// The family of `cell` and the families of its parent's six neighbours; `None` where the steps do not hold.
    pub(super) fn around(&mut self, cell: CellIndex) -> Option<[u64; DIGITS]> {
        let Some(elders) = &self.elders else {
            return self.kinship.around(cell);
        };
        let parent = cell.parent(self.kinship.parents)?;
        let (family, member) = elders.digit.split(parent);
        let around_parents = match self.last {
            Some((last, around)) if last == family => around,
            _ => {
                let around = elders.around(parent);
                self.last = Some((family, around));
                around
            }
        };
        let Some(around_parents) = around_parents else {
            return self.kinship.around(cell);
        };
        let mut around = [self.kinship.digit.split(cell).0; DIGITS];
        for (slot, &(kin, to)) in around.iter_mut().skip(1).zip(elders.steps(member)) {
            let parent = elders.digit.join(*around_parents.get(kin)?, to);
            *slot = self.kinship.digit.centre_child(parent);
        }
        Some(around)
    }
}

/// The present members of one family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    /// Position of the first in the study area.
    start: u32,
    /// Four bits a digit: how many are before it, or [`ABSENT`]. Looked up more often than counting bits would bear.
    before: u32,
}

const ABSENT: u32 = 15;

impl Default for Family {
    /// Without members.
    fn default() -> Self {
        Self {
            start: 0,
            before: u32::MAX,
        }
    }
}

impl Family {
    /// Position of the first member.
    pub(super) const fn start(self) -> usize {
        self.start as usize
    }

    pub(super) const fn position(self, digit: u32) -> Option<u32> {
        match self.before >> (4 * digit) & ABSENT {
            ABSENT => None,
            before => Some(self.start + before),
        }
    }

    /// The digits that are present, a bit each.
    pub(super) fn present(self) -> u8 {
        (0..DIGITS as u32)
            .filter(|digit| self.before >> (4 * digit) & ABSENT != ABSENT)
            .fold(0, |present, digit| present | 1 << digit)
    }

    /// The digits that are present, with their positions.
    pub(super) fn members(self) -> impl Iterator<Item = (u32, u32)> {
        (0..DIGITS as u32).filter_map(move |digit| self.position(digit).map(|position| (digit, position)))
    }

    /// Takes in the member of the next position.
    const fn push(&mut self, digit: u32, position: u32) {
        self.before &= !(ABSENT << (4 * digit)) | (position - self.start) << (4 * digit);
    }
}

/// Families in the making.
struct Grouping {
    digit: Digit,
    families: Vec<(CellIndex, Family)>,
    last: Option<u64>,
}

impl Grouping {
    fn of(cells: usize, digit: Digit) -> Self {
        Self {
            digit,
            families: Vec::with_capacity(cells / 4),
            last: None,
        }
    }

    /// Takes in the cell of the next position.
    fn push(&mut self, cell: CellIndex, position: u32) {
        let (family, member) = self.digit.split(cell);
        if self.last != Some(family) {
            let start = Family {
                start: position,
                ..Family::default()
            };
            self.families.push((cell, start));
            self.last = Some(family);
        }
        self.push_sibling(member, position);
    }

    /// The same for another cell of the last family.
    fn push_sibling(&mut self, member: u32, position: u32) {
        if let Some((_, open)) = self.families.last_mut() {
            open.push(member, position);
        }
    }
}

/// The families of `cells` (ascending, each once, of one resolution), each with its first present cell, ascending.
fn families_of(cells: &[CellIndex], digit: Digit) -> Vec<(CellIndex, Family)> {
    let mut grouping = Grouping::of(cells.len(), digit);
    for (&cell, position) in cells.iter().zip(0..) {
        grouping.push(cell, position);
    }
    grouping.families
}

/// [`families_of`] for what may be no cells, or not of the resolution of `first`, or not after `last`.
///
/// # Errors
/// As [`checked_cell`].
pub(super) fn families_of_indexes(
    cells: &[u64],
    first: CellIndex,
    mut last: Option<u64>,
) -> Result<Vec<(CellIndex, Family)>, StatisticsError> {
    let digit = Digit::of(first.resolution());
    let mut grouping = Grouping::of(cells.len(), digit);
    for (&cell, position) in cells.iter().zip(0..) {
        match digit.split_index(cell) {
            // A cell's siblings are cells, but for the digit 7, and 1, which pentagons lack.
            (family, member @ 2..7) if grouping.last == Some(family) && last < Some(cell) => {
                grouping.push_sibling(member, position);
            }
            _ => {
                let before = last.map(|last| (first, last));
                grouping.push(checked_cell(cell, before)?, position);
            }
        }
        last = Some(cell);
    }
    Ok(grouping.families)
}

/// A cell that follows another, which has the resolution of the first.
///
/// # Errors
/// [`StatisticsError`] for what is no cell, has another resolution, or does not ascend.
pub(super) fn checked_cell(
    cell: u64,
    before: Option<(CellIndex, u64)>,
) -> Result<CellIndex, StatisticsError> {
    let index = CellIndex::try_from(cell).map_err(|_| StatisticsError::NotACell { cell })?;
    if let Some((first, last)) = before {
        same_resolution(first, index)?;
        if last >= cell {
            return Err(StatisticsError::NotAscending { cell });
        }
    }
    Ok(index)
}

/// # Errors
/// [`StatisticsError::MixedResolutions`].
pub(super) fn same_resolution(expected: CellIndex, found: CellIndex) -> Result<(), StatisticsError> {
    if expected.resolution() == found.resolution() {
        return Ok(());
    }
    Err(StatisticsError::MixedResolutions {
        cell: found.into(),
        found: found.resolution().into(),
        expected: expected.resolution().into(),
    })
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
        let in_order = families_of(cells, digit);
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
    pub(super) fn in_order(&self) -> &[(CellIndex, Family)] {
        &self.in_order
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
            let mut walk = KinshipWalk::new(resolution).unwrap();
            let digit = Digit::of(resolution);
            let mut fast = 0;
            for base in CellIndex::base_cells() {
                for child in base.children(Resolution::Two) {
                    let centre = child.center_child(resolution).unwrap();
                    let around = walk.around(centre);
                    assert_eq!(around, walk.kinship().around(centre));
                    let Some(around) = around else {
                        continue;
                    };
                    fast += 1;
                    for from in 0..7 {
                        let cell = CellIndex::try_from(digit.join(around[0], from)).unwrap();
                        let mut got: Vec<u64> = walk
                            .kinship()
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
            .in_order()
            .iter()
            .flat_map(|(_, family)| family.members())
            .map(|(_, at)| at)
            .collect();
        assert_eq!(members, (0..cells.len() as u32).collect::<Vec<_>>());
    }
}
