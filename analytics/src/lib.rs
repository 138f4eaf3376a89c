//! Placeholder.

pub mod rules;
