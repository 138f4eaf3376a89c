//! The riskgrid server: routes, tiles, alerts, delivery and the console.

pub mod access;
pub mod alerts;
pub mod app;
pub mod audit;
pub mod command_line;
pub mod config;
pub mod console;
pub mod data_dir;
pub mod database;
pub mod dead_letters;
pub mod digest;
pub mod durations;
mod guard;
pub mod hotline;
pub mod http;
pub mod intake;
pub mod metrics;
pub mod problem;
mod process_memory;
pub mod publication;
pub mod risk;
pub mod routes;
pub mod server;
pub mod sql_tables;
pub mod stream;
pub mod tiles;
