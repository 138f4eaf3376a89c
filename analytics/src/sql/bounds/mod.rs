//! An end to every query and a size to every value.
//!
//! | what | where |
//! |---|---|
//! | statements that are short to write and endless to parse or plan | [`written`], [`expansion`] |
//! | plans that give their thread back, and stop when they are told | [`cooperative`], [`stoppable`] |
//! | values that a call would make, that are multiplied, or that windows hold | [`value_bounds`], [`wide_rows`], [`window_memory`] |

mod cooperative;
pub(crate) mod expansion;
mod stoppable;
pub(crate) mod value_bounds;
mod wide_rows;
mod window_memory;
pub(crate) mod written;

pub(crate) use cooperative::CooperativeJoins;
pub(crate) use stoppable::{Stop, stoppable};
pub(crate) use wide_rows::NarrowInputs;
pub(crate) use window_memory::{CountWindowInput, bytes_of};
