//! `h3_string(cell)`: a cell as text.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringBuilder};

use super::definition::{Definition, Kind};
use super::row_values::Arguments;
use crate::sql::SqlError;

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_string",
    aliases: &["h3_h3_to_string", "h3tostring"],
    description: "The cell as an H3 text, such as 89283082803ffff.",
    arguments: &[("cell", Kind::Cell)],
    optional: 0,
    result: Kind::Text,
    call,
};

fn call(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let cells = arguments.cells(0)?;
    let mut texts = StringBuilder::with_capacity(arguments.rows, arguments.rows * 15);
    for row in 0..arguments.rows {
        match cells.get(row) {
            Some(cell) => {
                // Writing to the builder cannot fail; the empty value closes what was written.
                let _ = write!(texts, "{cell}");
                texts.append_value("");
            }
            None => texts.append_null(),
        }
    }
    Ok(Arc::new(texts.finish()))
}
