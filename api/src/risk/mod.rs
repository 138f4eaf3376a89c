//! The risk surface as a task of the server: one after the other, of the newest state of the grid.

mod surfaces;

pub use surfaces::Surfaces;
