//! Alerts, from a rule's decision to the receiver that is told of it.

mod alerting;
pub mod delivery;
pub mod evaluation;
pub mod routes;
pub mod store;
pub(crate) mod table;
pub mod webhook;

pub use alerting::{Alerting, AlertingError, EvaluatorCounts, RuleError};
