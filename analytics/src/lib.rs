//! `DataFusion` tables and functions over grid snapshots, hotspot statistics, the risk surface, the rules of alerts, the
//! incidents that they make, and the rules of the hotline.

mod derived_id;
pub mod functions;
pub mod geometry;
pub mod hotline;
pub mod incidents;
mod named_area;
pub mod permission;
pub mod publication;
mod query_tables;
mod registration;
pub mod risk;
pub mod rules;
mod scan_at_once;
pub mod series;
pub mod sql;
pub mod statistics;
pub mod table_functions;
pub mod tables;

pub use query_tables::QueryTables;
