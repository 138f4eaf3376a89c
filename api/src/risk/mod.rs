//! The risk surface as a task of the server: one after the other, of the newest state of the grid.

mod circumstances;
mod scores;
mod surfaces;

pub use circumstances::Circumstances;
pub use scores::Scores;
pub(crate) use scores::scores_table;
pub use surfaces::Surfaces;
