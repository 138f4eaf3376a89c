//! The tables and table functions over a grid that real events made, asked in SQL.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod filters;
mod hotspots;
mod made;
