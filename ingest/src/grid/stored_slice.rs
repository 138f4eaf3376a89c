//! A slice as checkpoints hold it: its columns as they lie in memory, one after the other, so that a large grid is
//! back as fast as its files can be copied.

use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::ArrowNativeType;
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use super::slice::{KindColumns, ObservationColumns, Slice};
use crate::words::LayerKind;

// Files move between machines, and all that riskgrid runs on count from the little end.
const _: () = assert!(cfg!(target_endian = "little"));

/// The bytes of a slice.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct StoredSlice<'a> {
    is_report: bool,
    rows: u32,
    /// The columns in the order of [`Slice`]'s fields.
    #[serde(borrow)]
    columns: &'a Bytes,
}

impl<'a> StoredSlice<'a> {
    /// Puts the columns into `bytes`, in place of what is there.
    pub(crate) fn of(slice: &Slice, bytes: &'a mut Vec<u8>) -> Self {
        bytes.clear();
        bytes.reserve_exact(slice.bytes());
        let mut put = |column: &Buffer| bytes.extend_from_slice(column.as_slice());
        put(slice.cells.inner());
        put(slice.count.inner());
        put(slice.sources.inner());
        match &slice.columns {
            KindColumns::Report { weight, channels } => {
                put(weight.inner());
                put(channels.inner());
            }
            KindColumns::Observation(values) => {
                put(values.sum.inner());
                put(values.sum_squares.inner());
                put(values.min.inner());
                put(values.max.inner());
                put(values.last.inner());
                put(values.last_time.inner());
                put(values.last_hash.inner());
            }
        }
        Self {
            is_report: slice.kind() == LayerKind::Report,
            rows: u32::try_from(slice.len()).unwrap_or(u32::MAX),
            columns: Bytes::new(bytes),
        }
    }

    /// The slice again; `None` when it is damaged: too long or too short, or not sorted by cell.
    pub(crate) fn to_slice(self) -> Option<Slice> {
        let mut columns = Columns {
            rows: self.rows as usize,
            rest: self.columns,
        };
        let slice = Slice {
            cells: columns.take()?,
            count: columns.take()?,
            sources: columns.take()?,
            columns: if self.is_report {
                KindColumns::Report {
                    weight: columns.take()?,
                    channels: columns.take()?,
                }
            } else {
                KindColumns::Observation(ObservationColumns {
                    sum: columns.take()?,
                    sum_squares: columns.take()?,
                    min: columns.take()?,
                    max: columns.take()?,
                    last: columns.take()?,
                    last_time: columns.take()?,
                    last_hash: columns.take()?,
                })
            },
        };
        (columns.rest.is_empty() && slice.cells.is_sorted_by(|a, b| a < b)).then_some(slice)
    }
}

struct Columns<'a> {
    rows: usize,
    rest: &'a [u8],
}

impl Columns<'_> {
    fn take<T: ArrowNativeType>(&mut self) -> Option<ScalarBuffer<T>> {
        let (column, rest) = self
            .rest
            .split_at_checked(self.rows.checked_mul(size_of::<T>())?)?;
        self.rest = rest;
        // Copied to where such numbers may lie.
        Some(ScalarBuffer::new(Buffer::from(column), 0, self.rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{CellAggregate, ValueAggregate};

    fn rows(kind: LayerKind) -> Vec<(u64, CellAggregate)> {
        let row = |number: u64| {
            let count = number + 1;
            let mut aggregate = CellAggregate {
                count,
                weight: count,
                sources: 1 << number,
                ..CellAggregate::default()
            };
            if kind == LayerKind::Report {
                aggregate.weight = 7 * number;
                aggregate.channels = u64::MAX - number;
            } else {
                aggregate.values = ValueAggregate {
                    sum: -i128::from(number) << 70,
                    sum_squares: i128::from(number) << 100,
                    min: -5,
                    max: 9,
                    last: i64::MIN + number as i64,
                    last_time: i64::MAX,
                    last_hash: u128::MAX - u128::from(number),
                };
            }
            (1000 + 3 * number, aggregate)
        };
        (0..5).map(row).collect()
    }

    #[test]
    fn what_is_stored_comes_back() {
        for kind in [LayerKind::Report, LayerKind::Observation] {
            for rows in [rows(kind), Vec::new()] {
                let slice = Slice::from_sorted(kind, &rows);
                let bytes = postcard::to_stdvec(&StoredSlice::of(&slice, &mut Vec::new())).unwrap();
                let stored: StoredSlice<'_> = postcard::from_bytes(&bytes).unwrap();
                let again = stored.to_slice().unwrap();
                assert_eq!(again.kind(), kind);
                assert_eq!(again.rows().collect::<Vec<_>>(), rows);
            }
        }
    }

    #[test]
    fn what_is_damaged_is_no_slice() {
        let slice = Slice::from_sorted(LayerKind::Report, &rows(LayerKind::Report));
        let mut bytes = Vec::new();
        let stored = StoredSlice::of(&slice, &mut bytes);
        assert!(stored.to_slice().is_some());
        let rows = stored.rows;
        for rows in [rows - 1, rows + 1, u32::MAX] {
            assert!(StoredSlice { rows, ..stored }.to_slice().is_none(), "{rows}");
        }
        let is_report = false;
        assert!(StoredSlice { is_report, ..stored }.to_slice().is_none());
        let columns = Bytes::new(&stored.columns[1..]);
        assert!(StoredSlice { columns, ..stored }.to_slice().is_none());
        // The first cell is after the second.
        let mut spoilt = stored.columns.to_vec();
        spoilt[1] = 255;
        let columns = Bytes::new(&spoilt);
        assert!(StoredSlice { columns, ..stored }.to_slice().is_none());
    }
}
