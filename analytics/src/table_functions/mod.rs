//! Table functions over one grid snapshot, with arguments by name.

mod arguments;
pub mod hotspots;
