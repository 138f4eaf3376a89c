//! SQL around `DataFusion`: what may be asked, how much it may take, and how the answer is written.
//!
//! [`SqlEngine`] runs one read-only statement over the tables that a request brings, on threads of its own, within a time
//! and a memory limit, and gives a stream of batches; [`mod@format`] writes that stream as JSON, NDJSON, CSV or Arrow. Which tables
//! and functions there are is not known here: `registration` puts them in.
//!
//! | what | where |
//! |---|---|
//! | what can go wrong | [`error`] |
//! | columns of H3 cells | [`cell_type`] |
//! | an end to every query, a size to every value | [`bounds`] |
//! | which functions there are, each within its bounds | [`functions_allowed`] |
//! | wrong answers of `DataFusion` kept out | [`guards`] |
//! | joins on geometries by an R-tree | [`spatial_join`] |
//! | `information_schema` with comments, the table `queries` | [`catalogue`] |
//! | statements, sessions, and what runs | [`engine`] |

mod at_time;
mod bounds;
mod catalogue;
mod cell_type;
mod delegated;
pub(crate) mod engine;
mod error;
pub mod format;
pub(crate) mod functions_allowed;
mod guards;
mod query_phase;
mod rare_rules;
mod spatial_join;

pub use at_time::at_time;
pub(crate) use bounds::QueryGuard;
pub use catalogue::{QueryRecord, QueryState};
pub use cell_type::{CELL_TYPE, COMMENT_KEY, TYPE_KEY, cell_field, commented, is_cell, mark_cell};
pub(crate) use cell_type::{cell_item, cell_list_type, not_a_cell, parse_cell};
pub use engine::{
    Asker, Estimate, NamedTableFunction, ProcessMemory, RoleLimits, RoleOverrides, Spill, SqlAnswer,
    SqlEngine, SqlLimits, SqlRequest,
};
pub use error::SqlError;
pub(crate) use functions_allowed::{Work, in_pieces, pieces};
pub use query_phase::QueryPhase;
pub(crate) use spatial_join::NEAREST;
