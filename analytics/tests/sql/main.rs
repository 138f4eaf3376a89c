//! The SQL engine from outside: what it answers, what it refuses, and that every query ends.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what went wrong and stops"
)]

mod answers;
mod endings;
mod formats;
mod golden;
#[path = "../shared/golden_files.rs"]
mod golden_files;
mod hostile_functions;
mod hostile_geometries;
mod limits;
mod logic;
mod mistakes;
mod named_arguments;
mod nearest;
mod queries;
mod reference;
mod refusals;
#[path = "../../../fixtures/skipped.rs"]
mod skipped;
mod spatial_joins;
mod tables;
mod upstream;
