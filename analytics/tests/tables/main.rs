//! The tables and table functions over a grid that real events made, asked in SQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod areas;
mod beginnings;
mod cell_counts;
mod conditions;
mod filters;
mod golden;
#[path = "../shared/golden_files.rs"]
mod golden_files;
#[path = "../../../fixtures/grid_rig.rs"]
mod grid_rig;
mod hotspots;
mod local_statistics;
mod made;
mod over_time;
mod permissions;
mod risk;
mod whole_windows;
