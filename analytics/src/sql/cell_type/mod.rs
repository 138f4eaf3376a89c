//! The type of H3 cells: columns that are marked as such, what compares with them, and what keeps the mark.

mod column;
mod comparison;
mod min_max;
mod unnest;

pub use column::{CELL_TYPE, COMMENT_KEY, TYPE_KEY, cell_field, commented, is_cell, mark_cell};
pub(crate) use column::{cell_item, cell_list_type, not_a_cell, parse_cell};
pub(crate) use comparison::CellComparison;
pub(crate) use min_max::cell_min_max;
pub(crate) use unnest::cell_unnest;
