//! `h3_parent(cell, res)`: the cell of a coarser resolution above a cell.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, UInt64Builder};

use super::definition::{Definition, Kind};
use super::row_values::Arguments;
use crate::sql::SqlError;

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_parent",
    aliases: &["h3_cell_to_parent", "h3toparent"],
    description: "The cell of resolution res above the cell in the H3 hierarchy, the cell itself at its own resolution; NULL if res is finer than the cell's.",
    arguments: &[("cell", Kind::Cell), ("res", Kind::Whole)],
    optional: 0,
    result: Kind::Cell,
    call,
};

fn call(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let cells = arguments.cells(0)?;
    let resolutions = arguments.resolutions(1)?;
    let mut parents = UInt64Builder::with_capacity(arguments.rows);
    for row in 0..arguments.rows {
        let parent = match (cells.get(row), resolutions.get(row)) {
            (Some(cell), Some(resolution)) => match cell.parent(resolution) {
                Some(parent) => Some(u64::from(parent)),
                None => arguments.no_answer(|| {
                    format!(
                        "{cell} has resolution {}, a parent is not finer",
                        cell.resolution()
                    )
                })?,
            },
            _ => None,
        };
        parents.append_option(parent);
    }
    Ok(Arc::new(parents.finish()))
}
