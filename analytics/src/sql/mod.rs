//! SQL around `DataFusion`: what may be asked, how much it may take, and how the answer is written.
//!
//! [`SqlEngine`] runs one read-only statement over the tables that a request brings, on threads of its own, within a time
//! and a memory limit, and gives a stream of batches; [`format`] writes that stream as JSON, NDJSON, CSV or Arrow.
//!
//! | what | where |
//! |---|---|
//! | which statements run, parameters | [`statement`], [`parameters`] |
//! | table functions with `name => value` | [`named_arguments`] |
//! | columns of H3 cells | [`cell_column`], [`cell_comparison`], [`cell_min_max`], [`cell_unnest`] |
//! | joins on geometries by an R-tree | [`spatial_join`] |
//! | what runs, and what ran | [`running`], [`queries_table`] |
//! | an end to every query | [`expansion`], [`cooperative`], [`stoppable`], [`query_memory`], [`window_memory`], [`wide_rows`], [`memory_fence`] |
//! | which functions there are, each within its bounds | [`functions_allowed`], [`value_bounds`], [`written`] |
//! | wrong answers of `DataFusion` kept out | [`guards`], [`nested_projections`], [`time_zones`], [`zoned_timestamps`] |
//! | `information_schema` with comments | [`information_schema`] |

mod cell_column;
mod cell_comparison;
mod cell_min_max;
mod cell_unnest;
mod cooperative;
mod engine;
mod error;
mod expansion;
pub mod format;
mod functions_allowed;
mod guards;
mod information_schema;
mod limits;
mod memory_fence;
mod named_arguments;
mod nested_projections;
mod parameters;
mod queries_table;
mod query_memory;
mod running;
mod session;
mod spatial_join;
mod statement;
mod stoppable;
mod text_concat;
mod time_zones;
mod value_bounds;
mod wide_rows;
mod window_memory;
mod written;
mod zoned_timestamps;

pub use cell_column::{CELL_TYPE, COMMENT_KEY, TYPE_KEY, cell_field, commented, is_cell, mark_cell};
pub(crate) use cell_column::{cell_item, cell_list_type, not_a_cell, parse_cell};
pub use engine::{SqlAnswer, SqlEngine, SqlRequest};
pub use error::SqlError;
pub(crate) use functions_allowed::{QueryGuard, Work, in_pieces, pieces};
pub use limits::SqlLimits;
pub use memory_fence::ProcessMemory;
pub use named_arguments::NamedTableFunction;
pub use queries_table::{QueryRecord, QueryState};
