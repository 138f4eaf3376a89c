//! A slice: the aggregates of all cells of one layer in one bucket, in columns sorted by cell.
//!
//! At one H3 resolution the children of any parent are one contiguous range of ids, so an area, a tile or a coarser
//! cell is a binary search and a linear pass.

use std::borrow::Borrow;
use std::ops::Range;

use arrow::buffer::ScalarBuffer;
use h3o::{CellIndex, Resolution};

use super::aggregate::{CellAggregate, ValueAggregate};
use super::cell_set::CellSet;
use super::window_sum::WindowSum;
use crate::layer::LayerKind;

/// Sorted, immutable columns; cloning is cheap. Report slices keep `weight` and `channels`, observation slices `values`.
#[derive(Clone, Debug)]
pub struct Slice {
    /// H3 indexes, ascending, without repeats.
    pub cells: ScalarBuffer<u64>,
    /// Events of each cell.
    pub count: ScalarBuffer<u64>,
    /// Source bitmaps.
    pub sources: ScalarBuffer<u64>,
    /// What this kind of layer keeps beside.
    pub columns: KindColumns,
}

/// The columns that differ between the two kinds of layer.
#[derive(Clone, Debug)]
pub enum KindColumns {
    /// 40 bytes a row in all.
    Report {
        /// Sums of severities.
        weight: ScalarBuffer<u64>,
        /// Channel bitmaps.
        channels: ScalarBuffer<u64>,
    },
    /// 104 bytes a row in all; the weight is the count.
    Observation(ObservationColumns),
}

/// The values of an observation layer, in whole units of its resolution.
#[derive(Clone, Debug)]
pub struct ObservationColumns {
    /// Sums.
    pub sum: ScalarBuffer<i128>,
    /// Sums of squares.
    pub sum_squares: ScalarBuffer<i128>,
    /// Least values.
    pub min: ScalarBuffer<i64>,
    /// Greatest values.
    pub max: ScalarBuffer<i64>,
    /// Newest values.
    pub last: ScalarBuffer<i64>,
    /// Times of the newest values, microseconds.
    pub last_time: ScalarBuffer<i64>,
    /// Event hashes of the newest values, as the bits of a `u128`.
    pub last_hash: ScalarBuffer<i128>,
}

/// What a column takes beside its numbers: its buffer's head, its reference count, what allocations are rounded up by.
const COLUMN_BYTES: usize = 128;

impl LayerKind {
    /// Bytes of a row of a slice.
    pub(crate) const fn row_bytes(self) -> usize {
        match self {
            Self::Report => 40,
            Self::Observation => 104,
        }
    }

    const fn columns(self) -> usize {
        match self {
            Self::Report => 5,
            Self::Observation => 10,
        }
    }
}

impl Slice {
    /// Columns of `rows`, which are sorted by cell without repeats.
    pub fn from_sorted<A: Borrow<CellAggregate>>(kind: LayerKind, rows: &[(u64, A)]) -> Self {
        debug_assert!(
            rows.is_sorted_by(|a, b| a.0 < b.0),
            "rows are sorted by cell without repeats"
        );
        fn column<A: Borrow<CellAggregate>, T: arrow::datatypes::ArrowNativeType>(
            rows: &[(u64, A)],
            of: impl Fn(&CellAggregate) -> T,
        ) -> ScalarBuffer<T> {
            rows.iter().map(|(_, aggregate)| of(aggregate.borrow())).collect()
        }
        let columns = match kind {
            LayerKind::Report => KindColumns::Report {
                weight: column(rows, |a| a.weight),
                channels: column(rows, |a| a.channels),
            },
            LayerKind::Observation => KindColumns::Observation(ObservationColumns {
                sum: column(rows, |a| a.values.sum),
                sum_squares: column(rows, |a| a.values.sum_squares),
                min: column(rows, |a| a.values.min),
                max: column(rows, |a| a.values.max),
                last: column(rows, |a| a.values.last),
                last_time: column(rows, |a| a.values.last_time),
                last_hash: column(rows, |a| a.values.last_hash.cast_signed()),
            }),
        };
        Self {
            cells: rows.iter().map(|(cell, _)| *cell).collect(),
            count: column(rows, |a| a.count),
            sources: column(rows, |a| a.sources),
            columns,
        }
    }

    /// How many cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The cell of a row.
    pub fn cell(&self, row: usize) -> Option<u64> {
        self.cells.get(row).copied()
    }

    /// Bytes of the columns, and of what holds them: of a slice of one cell that is most.
    pub fn bytes(&self) -> usize {
        let kind = self.kind();
        self.len() * kind.row_bytes() + kind.columns() * COLUMN_BYTES
    }

    /// All rows, in order of cells.
    pub fn rows(&self) -> impl Iterator<Item = (u64, CellAggregate)> + '_ {
        (0..self.len()).map(|row| (self.cells[row], self.aggregate(row)))
    }

    /// The aggregate of row `row < len()`.
    pub fn aggregate(&self, row: usize) -> CellAggregate {
        let mut aggregate = CellAggregate {
            count: self.count[row],
            sources: self.sources[row],
            ..CellAggregate::default()
        };
        match &self.columns {
            KindColumns::Report { weight, channels } => {
                aggregate.weight = weight[row];
                aggregate.channels = channels[row];
            }
            KindColumns::Observation(columns) => {
                aggregate.weight = aggregate.count;
                aggregate.values = ValueAggregate {
                    sum: columns.sum[row],
                    sum_squares: columns.sum_squares[row],
                    min: columns.min[row],
                    max: columns.max[row],
                    last: columns.last[row],
                    last_time: columns.last_time[row],
                    last_hash: columns.last_hash[row].cast_unsigned(),
                };
            }
        }
        aggregate
    }

    /// The kind of layer that it is of.
    pub const fn kind(&self) -> LayerKind {
        match self.columns {
            KindColumns::Report { .. } => LayerKind::Report,
            KindColumns::Observation(_) => LayerKind::Observation,
        }
    }

    /// One slice that holds what `slices` hold together. The kind is that of the layer.
    pub fn merge<'a>(kind: LayerKind, slices: impl IntoIterator<Item = &'a Self>) -> Self {
        WindowSum::of(kind, slices, &CellSet::all(), None).into_slice()
    }
}

/// Every cell's id is in it.
pub const ALL_CELLS: Range<u64> = 0..u64::MAX;

/// The parent of `cell` at `resolution`, by the bits of the index: the mode and base cell stay, the resolution is
/// replaced, the digits past it become 7. A cell that is coarser already is returned as it is.
pub fn parent_of(cell: u64, resolution: Resolution) -> u64 {
    let from = (cell >> 52) & 15;
    let to = u64::from(u8::from(resolution));
    if from <= to {
        return cell;
    }
    let unused = (1_u64 << (3 * (15 - to))) - 1;
    (cell & !(15 << 52)) | (to << 52) | unused
}

/// The ids of the children of `parent` at `resolution`, as one half-open range.
pub fn children_range(parent: CellIndex, resolution: Resolution) -> Range<u64> {
    let id = u64::from(parent);
    let (from, to) = (
        u64::from(u8::from(parent.resolution())),
        u64::from(u8::from(resolution)),
    );
    if from >= to {
        return id..id + 1;
    }
    let own_digits = (1_u64 << (3 * (15 - from))) - 1;
    let child_unused = (1_u64 << (3 * (15 - to))) - 1;
    let base = (id & !(15 << 52) & !own_digits) | (to << 52) | child_unused;
    // The greatest child has digit 6 at every level in between.
    let mut greatest = base;
    for level in from + 1..=to {
        greatest |= 6 << (3 * (15 - level));
    }
    base..greatest + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use h3o::LatLng;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parent_and_children_by_bits_agree_with_h3(lat in -90.0..90.0_f64, lon in -180.0..180.0_f64, fine in 0u8..=15, coarse in 0u8..=15) {
            let (fine, coarse) = (Resolution::try_from(fine.max(coarse)).unwrap(), Resolution::try_from(fine.min(coarse)).unwrap());
            let cell = LatLng::new(lat, lon).unwrap().to_cell(fine);
            let parent = cell.parent(coarse).unwrap();
            prop_assert_eq!(parent_of(cell.into(), coarse), u64::from(parent));
            prop_assert!(children_range(parent, fine).contains(&u64::from(cell)));
            if u8::from(fine) - u8::from(coarse) <= 4 {
                let children: Vec<u64> = parent.children(fine).map(u64::from).collect();
                let range = children_range(parent, fine);
                prop_assert_eq!(range.start, *children.iter().min().unwrap());
                prop_assert_eq!(range.end, children.iter().max().unwrap() + 1);
            }
        }
    }
}
