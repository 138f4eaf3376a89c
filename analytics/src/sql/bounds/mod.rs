//! An end to every query and a size to every value.
//!
//! | what | where |
//! |---|---|
//! | statements that are short to write and endless to parse or plan | [`written`], [`expansion`] |
//! | operators that give their thread back, and stop when they are told | [`operators`], [`stoppable`] |
//! | what a function learns of its query | [`query_guard`] |
//! | values that a call would make, that are multiplied, or that windows hold | [`value_bounds`], [`wide_rows`], [`window_memory`] |

pub(crate) mod expansion;
mod operators;
mod query_guard;
mod stoppable;
pub(crate) mod value_bounds;
mod watched_input;
mod wide_rows;
mod window_memory;
pub(crate) mod written;

pub(crate) use operators::BoundOperators;
pub(crate) use query_guard::QueryGuard;
pub(crate) use stoppable::Stop;
pub(crate) use window_memory::bytes_of;
