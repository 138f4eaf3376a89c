//! Placeholder.

pub mod alerting;
pub mod decisions;
pub mod problem;
pub mod routes;
pub mod webhooks;
