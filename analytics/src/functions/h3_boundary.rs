//! `h3_boundary(cell)`: the outline of a cell.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringBuilder};
use h3o::CellIndex;

use super::definition::{Definition, Kind};
use super::row_values::Arguments;
use super::well_known_text;
use crate::sql::SqlError;

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_boundary",
    aliases: &["h3_cell_to_boundary_wkt"],
    description: "The outline of the cell as WKT: POLYGON((lon lat, …)), in degrees, to 9 decimals, counter-clockwise and closed. Across the antimeridian longitudes go on past 180 or -180, so that the polygon stays whole.",
    arguments: &[("cell", Kind::Cell)],
    optional: 0,
    result: Kind::Text,
    call,
};

fn call(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let cells = arguments.cells(0)?;
    let mut outlines = StringBuilder::with_capacity(arguments.rows, arguments.rows * 192);
    let mut text = String::new();
    for row in 0..arguments.rows {
        match cells.get(row) {
            Some(cell) => {
                text.clear();
                push_outline(&mut text, cell);
                outlines.append_value(&text);
            }
            None => outlines.append_null(),
        }
    }
    Ok(Arc::new(outlines.finish()))
}

fn push_outline(text: &mut String, cell: CellIndex) {
    let boundary = cell.boundary();
    let Some(first) = boundary.first() else { return };
    text.push_str("POLYGON((");
    let mut previous = first.lng();
    for corner in boundary.iter() {
        let mut lon = corner.lng();
        if lon - previous > 180.0 {
            lon -= 360.0;
        } else if previous - lon > 180.0 {
            lon += 360.0;
        }
        previous = lon;
        well_known_text::push_position(text, lon, corner.lat());
        text.push_str(", ");
    }
    well_known_text::push_position(text, first.lng(), first.lat());
    text.push_str("))");
}
