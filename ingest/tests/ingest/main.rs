//! The public face of ingest: the pipeline and the grid as a server runs them; and claims about the repository as a whole.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::duplicate_mod,
    reason = "tests"
)]

mod clocks;
mod documents;
#[path = "../../../fixtures/grid_rig.rs"]
mod grid_rig;
mod licences;
mod limits;
mod order;
mod pipeline_rig;
mod places;
mod queue;
mod replays;
mod seeds;
#[path = "../../../fixtures/skipped.rs"]
mod skipped;
mod windows;
