//! `h3_children(cell, res)`: the cells of a finer resolution below a cell.

use datafusion::arrow::array::ArrayRef;

use super::definition::{Definition, Kind};
use super::h3_disk::CellLists;
use super::row_values::Arguments;
use crate::sql::SqlError;

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_children",
    aliases: &["h3_cell_to_children", "h3tochildren"],
    description: "The cells of resolution res below the cell, in ascending order, at most 1 000 000; NULL if res is coarser than the cell's.",
    arguments: &[("cell", Kind::Cell), ("res", Kind::Whole)],
    optional: 0,
    result: Kind::Cells,
    call,
};

fn call(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let cells = arguments.cells(0)?;
    let resolutions = arguments.resolutions(1)?;
    let mut lists = CellLists::new(arguments);
    for row in 0..arguments.rows {
        match (cells.get(row), resolutions.get(row)) {
            (Some(cell), Some(resolution)) if resolution >= cell.resolution() => {
                lists.reserve(cell.children_count(resolution))?;
                lists.push(cell.children(resolution));
            }
            (Some(cell), Some(_)) => {
                arguments.no_answer::<()>(|| {
                    format!(
                        "{cell} has resolution {}, children are not coarser",
                        cell.resolution()
                    )
                })?;
                lists.push_null();
            }
            _ => lists.push_null(),
        }
    }
    Ok(lists.finish())
}
