//! `h3_disk(cell, k)`: the cells within `k` steps of a cell, and the lists of cells that functions give.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, UInt64Builder};
use h3o::CellIndex;

use super::definition::{Definition, Kind};
use super::row_values::Arguments;
use crate::sql::{SqlError, cell_item};

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_disk",
    aliases: &["h3_grid_disk", "h3kring"],
    description: "The cells within k steps of the cell, the cell included, in ascending order, at most 1 000 000; NULL if k is negative.",
    arguments: &[("cell", Kind::Cell), ("k", Kind::Whole)],
    optional: 0,
    result: Kind::Cells,
    call,
};

fn call(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let cells = arguments.cells(0)?;
    let radii = arguments.wholes(1)?;
    let mut lists = CellLists::new(arguments);
    for row in 0..arguments.rows {
        let (Some(cell), Some(radius)) = (cells.get(row), radii.get(row)) else {
            lists.push_null();
            continue;
        };
        let Ok(k) = u64::try_from(radius) else {
            arguments.no_answer::<()>(|| format!("k is {radius}; it counts steps, from 0"))?;
            lists.push_null();
            continue;
        };
        lists.reserve(
            k.saturating_add(1)
                .saturating_mul(k)
                .saturating_mul(3)
                .saturating_add(1),
        )?;
        let mut disk: Vec<CellIndex> = cell.grid_disk(k as u32);
        disk.sort_unstable();
        lists.push(disk);
    }
    Ok(lists.finish())
}

/// Cells of one list.
const CELLS_OF_ROW: u64 = 1_000_000;
/// Cells of all lists of a batch of rows: 64 MiB.
const CELLS_OF_BATCH: u64 = 8 << 20;

/// Builds a column of lists of cells within limits.
pub(super) struct CellLists {
    function: &'static str,
    builder: ListBuilder<UInt64Builder>,
    cells: u64,
}

impl CellLists {
    pub(super) fn new(arguments: &Arguments<'_>) -> Self {
        let builder =
            ListBuilder::with_capacity(UInt64Builder::new(), arguments.rows).with_field(cell_item());
        Self {
            function: arguments.function,
            builder,
            cells: 0,
        }
    }

    /// To be called with the length of a list before it is made.
    ///
    /// # Errors
    /// [`SqlError::ResourcesExhausted`] if it, or all lists of the batch, would be too long.
    pub(super) fn reserve(&mut self, cells: u64) -> Result<(), SqlError> {
        self.cells = self.cells.saturating_add(cells);
        let (asked, allowed, place) = if cells > CELLS_OF_ROW {
            (cells, CELLS_OF_ROW, "one row")
        } else if self.cells > CELLS_OF_BATCH {
            (self.cells, CELLS_OF_BATCH, "one batch of rows")
        } else {
            return Ok(());
        };
        Err(SqlError::ResourcesExhausted(format!(
            "{} would make {asked} cells for {place}, allowed are {allowed}; use a coarser resolution, a smaller k or fewer rows",
            self.function
        )))
    }

    pub(super) fn push(&mut self, cells: impl IntoIterator<Item = CellIndex>) {
        for cell in cells {
            self.builder.values().append_value(u64::from(cell));
        }
        self.builder.append(true);
    }

    pub(super) fn push_null(&mut self) {
        self.builder.append(false);
    }

    pub(super) fn finish(mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}
