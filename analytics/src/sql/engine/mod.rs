//! Runs statements: from the text to the stream of its rows.
//!
//! | what | where |
//! |---|---|
//! | the engine | [`sql_engine`] |
//! | one query in it: asked, planned, its rows | [`request`], [`query`], [`rows`] |
//! | which statements run, parameters | [`statement`], [`parameters`] |
//! | table functions with `name => value` | [`named_arguments`] |
//! | functions, rules and settings of a session | [`session`] |
//! | who asks, whose turn it is | [`asker`], [`turns`], [`queue`] |
//! | what a plan will cost | [`estimate`] |
//! | what runs, and what ran | [`running`] |
//! | how much memory a query takes | [`limits`], [`query_memory`], [`memory_fence`] |

mod asker;
mod estimate;
mod limits;
mod memory_fence;
mod named_arguments;
mod parameters;
mod query;
mod query_memory;
mod queue;
mod request;
mod rows;
mod running;
mod session;
mod shared_disk;
mod sql_engine;
mod statement;
mod turns;

pub use asker::Asker;
pub use estimate::Estimate;
pub use limits::{RoleLimits, RoleOverrides, Spill, SqlLimits};
pub use memory_fence::ProcessMemory;
pub use named_arguments::NamedTableFunction;
pub use request::{SqlAnswer, SqlRequest};
pub(crate) use session::Registration;
#[cfg(test)]
pub(crate) use session::Session;
pub use sql_engine::SqlEngine;
