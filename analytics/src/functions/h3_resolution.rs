//! `h3_resolution(cell)`: the resolution of a cell.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, UInt8Builder};

use super::definition::{Definition, Kind};
use super::row_values::Arguments;
use crate::sql::SqlError;

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_resolution",
    aliases: &["h3_get_resolution", "h3getresolution"],
    description: "The resolution of the cell, 0 to 15.",
    arguments: &[("cell", Kind::Cell)],
    optional: 0,
    result: Kind::Resolution,
    call,
};

fn call(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let cells = arguments.cells(0)?;
    let mut resolutions = UInt8Builder::with_capacity(arguments.rows);
    for row in 0..arguments.rows {
        resolutions.append_option(cells.get(row).map(|cell| u8::from(cell.resolution())));
    }
    Ok(Arc::new(resolutions.finish()))
}
