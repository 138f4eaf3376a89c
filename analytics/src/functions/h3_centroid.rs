//! `h3_centroid(cell)`: the centre of a cell.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringBuilder};
use h3o::LatLng;

use super::definition::{Definition, Kind};
use super::row_values::Arguments;
use super::well_known_text;
use crate::sql::SqlError;

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_centroid",
    aliases: &[],
    description: "The centre of the cell as WKT: POINT(lon lat), in degrees, to 9 decimals.",
    arguments: &[("cell", Kind::Cell)],
    optional: 0,
    result: Kind::Text,
    call,
};

fn call(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let cells = arguments.cells(0)?;
    let mut points = StringBuilder::with_capacity(arguments.rows, arguments.rows * 32);
    let mut text = String::new();
    for row in 0..arguments.rows {
        match cells.get(row) {
            Some(cell) => {
                text.clear();
                text.push_str("POINT(");
                let centre = LatLng::from(cell);
                well_known_text::push_position(&mut text, centre.lng(), centre.lat());
                text.push(')');
                points.append_value(&text);
            }
            None => points.append_null(),
        }
    }
    Ok(Arc::new(points.finish()))
}
