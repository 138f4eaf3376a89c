//! `h3_distance(a, b)`: steps between two cells.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Builder};

use super::definition::{Definition, Kind};
use super::row_values::Arguments;
use crate::sql::SqlError;

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_distance",
    aliases: &["h3_grid_distance", "h3distance"],
    description: "Steps from cell a to cell b; NULL if they differ in resolution, or are so far apart or so near to a pentagon that H3 cannot tell.",
    arguments: &[("a", Kind::Cell), ("b", Kind::Cell)],
    optional: 0,
    result: Kind::Whole,
    call,
};

fn call(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let (from, to) = (arguments.cells(0)?, arguments.cells(1)?);
    let mut distances = Int64Builder::with_capacity(arguments.rows);
    for row in 0..arguments.rows {
        let distance = match (from.get(row), to.get(row)) {
            (Some(from), Some(to)) => match from.grid_distance(to) {
                Ok(distance) => Some(i64::from(distance)),
                Err(error) => arguments.no_answer(|| format!("no distance from {from} to {to}: {error}"))?,
            },
            _ => None,
        };
        distances.append_option(distance);
    }
    Ok(Arc::new(distances.finish()))
}
