//! Placeholder.
pub mod tiles;
