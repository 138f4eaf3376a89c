//! H3 cells by the bits of their ids: parents, children, families and places, without asking the library cell by cell.

mod cell_set;
mod digit;
mod ids;
mod places;

pub use cell_set::CellSet;
pub use digit::{DIGITS, Digit};
pub use ids::{ALL_CELLS, children_range, own_range, parent_of, unused_bits};
pub(crate) use places::CellPlaces;
