//! `DataFusion` tables and functions over grid snapshots, hotspot statistics, the rules of alerts.

pub mod functions;
pub mod geometry;
mod named_area;
pub mod permission;
pub mod rules;
pub mod sql;
pub mod statistics;
pub mod table_functions;
pub mod tables;
