//! A slice: the aggregates of all cells of one layer in one bucket, in columns sorted by cell.
//!
//! At one H3 resolution the children of any parent are one contiguous range of ids, so an area, a tile or a coarser
//! cell is a binary search and a linear pass.

use std::borrow::Borrow;

use arrow::buffer::ScalarBuffer;

use super::aggregate::{CellAggregate, ValueAggregate};
use super::window_sum::WindowSum;
use crate::cells::CellSet;
use crate::words::LayerKind;

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
