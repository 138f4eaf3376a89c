//! The study area: which cells a statistic speaks about, and the value of each.
//!
//! Every answer depends on it, so it is an argument and never guessed.

use std::num::NonZeroUsize;

use h3o::CellIndex;
use hashbrown::HashSet;

use super::error::StatisticsError;
use super::families::{checked_cell, same_resolution};
use super::surroundings::with_surroundings;

/// Cells that one answer may cover; a city at resolution 10 has about 10 000.
pub const MAX_STUDY_AREA: usize = 4_000_000;

/// The largest `k`: a disk of 7 651 cells.
pub const MAX_K: u32 = 50;

/// Which cells belong to the study area.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Domain {
    /// The cells with an event, and all within `k` of them as zeros.
    #[default]
    Neighbours,
    /// Only the cells with an event.
    Observed,
    /// These cells, in any order: those of a named area whose centre is inside.
    Cells(Vec<u64>),
}

/// What a cell without an event holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Absent {
    /// Nothing happened there: 0. For `count`, `weight`, `sum`, `sources`.
    #[default]
    Zero,
    /// Nothing is known there: the cell is left out. For `mean`, `min`, `max`, `last`.
    Missing,
}

/// Cells in ascending order, all of one resolution, each with its value in units of the layer's resolution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StudyArea {
    cells: Vec<CellIndex>,
    values: Vec<i128>,
}

impl StudyArea {
    /// Builds the area from the cells with an event (`observed`, ascending, each once) and their `values`.
    ///
    /// `k` matters to [`Domain::Neighbours`] only, as do `threads`. Observed cells outside [`Domain::Cells`] are dropped.
    ///
    /// # Errors
    /// [`StatisticsError`] for cells that are invalid, out of order or of mixed resolutions; for `k` above [`MAX_K`], an
    /// area above [`MAX_STUDY_AREA`], and for [`Domain::Neighbours`] where absent cells are [`Absent::Missing`].
    pub fn new(
        observed: &[u64],
        values: &[i128],
        domain: &Domain,
        absent: Absent,
        k: u32,
        threads: NonZeroUsize,
    ) -> Result<Self, StatisticsError> {
        if observed.len() != values.len() {
            return Err(StatisticsError::LengthsDiffer {
                cells: observed.len(),
                values: values.len(),
            });
        }
        let cells = match domain {
            Domain::Observed => {
                let values = values.to_vec();
                let cells = bounded(ascending_cells(observed)?)?;
                return Ok(Self { cells, values });
            }
            Domain::Neighbours if absent == Absent::Missing => {
                return Err(StatisticsError::argument(
                    "domain",
                    "'neighbours'",
                    "'observed' or an area: this metric has no value where nothing was observed",
                ));
            }
            Domain::Neighbours => with_surroundings(observed, k, threads)?,
            Domain::Cells(cells) => {
                let observed = ascending_cells(observed)?;
                let mut cells = cells.clone();
                cells.sort_unstable();
                cells.dedup();
                let mut cells = ascending_cells(&cells)?;
                if let (Some(area), Some(seen)) = (cells.first(), observed.first()) {
                    same_resolution(*area, *seen)?;
                }
                if absent == Absent::Missing {
                    let seen: HashSet<CellIndex> = observed.iter().copied().collect();
                    cells.retain(|cell| seen.contains(cell));
                }
                cells
            }
        };
        let cells = bounded(cells)?;
        let mut next = 0;
        let value_of = |cell: &CellIndex| {
            let cell = u64::from(*cell);
            while observed.get(next).is_some_and(|seen| *seen < cell) {
                next += 1;
            }
            let is_seen = observed.get(next) == Some(&cell);
            let value = values.get(next).filter(|_| is_seen).copied();
            next += usize::from(is_seen);
            value.unwrap_or(0)
        };
        let values = cells.iter().map(value_of).collect();
        Ok(Self { cells, values })
    }

    /// The cells, ascending.
    #[must_use]
    pub fn cells(&self) -> &[CellIndex] {
        &self.cells
    }

    /// Cells and values.
    pub(super) fn into_parts(self) -> (Vec<CellIndex>, Vec<i128>) {
        (self.cells, self.values)
    }

    /// The value of each cell.
    #[must_use]
    pub fn values(&self) -> &[i128] {
        &self.values
    }
}

fn bounded(cells: Vec<CellIndex>) -> Result<Vec<CellIndex>, StatisticsError> {
    if cells.len() > MAX_STUDY_AREA {
        return Err(StatisticsError::argument(
            "domain",
            format!("a study area of {} cells", cells.len()),
            format!("at most {MAX_STUDY_AREA}: take a coarser resolution or a smaller area"),
        ));
    }
    Ok(cells)
}

/// # Errors
/// As [`checked_cell`].
fn ascending_cells(raw: &[u64]) -> Result<Vec<CellIndex>, StatisticsError> {
    let mut before = None;
    let mut cells = Vec::with_capacity(raw.len());
    for &cell in raw {
        let index = checked_cell(cell, before)?;
        before = Some((index, cell));
        cells.push(index);
    }
    Ok(cells)
}

pub(super) fn check_k(k: u32) -> Result<(), StatisticsError> {
    if k > MAX_K {
        return Err(StatisticsError::argument(
            "k",
            k.to_string(),
            format!("0 to {MAX_K}"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENTRE: u64 = 0x0894_11ca_1b67_ffff;
    const FAR: u64 = 0x0894_11ca_e253_ffff;

    const ONE: NonZeroUsize = NonZeroUsize::MIN;

    fn area(domain: &Domain, k: u32) -> StudyArea {
        StudyArea::new(&[CENTRE, FAR], &[9, 1], domain, Absent::Zero, k, ONE).unwrap()
    }

    #[test]
    fn surroundings_are_zeros_and_the_rest_keeps_its_value() {
        for k in 0..=3 {
            let area = area(&Domain::Neighbours, k);
            assert!(area.cells().is_sorted());
            assert_eq!(area.values().iter().sum::<i128>(), 10);
            let origins = [CENTRE, FAR].map(|cell| CellIndex::try_from(cell).unwrap());
            let mut slow: Vec<CellIndex> = origins.iter().flat_map(|cell| cell.grid_disk_safe(k)).collect();
            slow.sort_unstable();
            slow.dedup();
            assert_eq!(area.cells(), slow);
        }
    }

    #[test]
    fn observed_has_no_zeros_and_an_area_drops_what_is_outside() {
        assert_eq!(area(&Domain::Observed, 1).values(), [9, 1]);
        let near = CellIndex::try_from(CENTRE)
            .unwrap()
            .grid_disk_safe(1)
            .map(u64::from)
            .collect();
        let inside = area(&Domain::Cells(near), 1);
        assert_eq!(inside.cells().len(), 7);
        assert_eq!(inside.values().iter().sum::<i128>(), 9);
    }

    #[test]
    fn missing_values_are_never_taken_for_zeros() {
        let near: Vec<u64> = CellIndex::try_from(CENTRE)
            .unwrap()
            .grid_disk_safe(1)
            .map(u64::from)
            .collect();
        let domain = Domain::Cells(near);
        let area = StudyArea::new(&[CENTRE, FAR], &[9, 1], &domain, Absent::Missing, 1, ONE).unwrap();
        assert_eq!(area.values(), [9]);
        let refused =
            StudyArea::new(&[CENTRE], &[9], &Domain::Neighbours, Absent::Missing, 1, ONE).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("domain is 'neighbours', allowed is 'observed'"),
            "{refused}"
        );
    }

    #[test]
    fn bad_cells_are_refused_with_the_cell() {
        let new = |cells: &[u64]| {
            StudyArea::new(
                cells,
                &vec![1; cells.len()],
                &Domain::Observed,
                Absent::Zero,
                1,
                ONE,
            )
        };
        assert_eq!(new(&[17]), Err(StatisticsError::NotACell { cell: 17 }));
        assert_eq!(
            new(&[FAR, CENTRE]),
            Err(StatisticsError::NotAscending { cell: CENTRE })
        );
        assert_eq!(
            new(&[CENTRE, CENTRE]),
            Err(StatisticsError::NotAscending { cell: CENTRE })
        );
        let parent = CellIndex::try_from(FAR)
            .unwrap()
            .parent(h3o::Resolution::Eight)
            .unwrap();
        assert!(matches!(
            new(&[parent.into(), FAR]),
            Err(StatisticsError::MixedResolutions { found: 9, .. })
        ));
        let short = StudyArea::new(&[CENTRE], &[], &Domain::Observed, Absent::Zero, 1, ONE);
        assert_eq!(short, Err(StatisticsError::LengthsDiffer { cells: 1, values: 0 }));
        let wide = StudyArea::new(&[CENTRE], &[1], &Domain::Neighbours, Absent::Zero, 51, ONE).unwrap_err();
        assert_eq!(wide.to_string(), "k is 51, allowed is 0 to 50");
    }

    #[test]
    fn nothing_observed_is_an_empty_area() {
        let empty = StudyArea::new(&[], &[], &Domain::Neighbours, Absent::Zero, 1, ONE).unwrap();
        assert!(empty.cells().is_empty());
    }
}
