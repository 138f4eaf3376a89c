//! `h3_from_string(text)`: the cell that a text names.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, UInt64Builder};

use super::definition::{Definition, Kind};
use super::row_values::Arguments;
use crate::sql::SqlError;

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_from_string",
    aliases: &["h3_string_to_h3", "stringtoh3"],
    description: "The cell that an H3 text such as 89283082803ffff names; NULL if it names none.",
    arguments: &[("text", Kind::Cell)],
    optional: 0,
    result: Kind::Cell,
    call,
};

fn call(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let texts = arguments.cells(0)?;
    let mut cells = UInt64Builder::with_capacity(arguments.rows);
    for row in 0..arguments.rows {
        cells.append_option(texts.get(row).map(u64::from));
    }
    Ok(Arc::new(cells.finish()))
}
