//! Alerts, from a rule's decision to the receiver that is told of it.

mod alerting;
mod composites;
pub mod delivery;
mod domain_clocks;
pub mod evaluation;
pub mod routes;
pub mod silence;
pub mod store;
pub(crate) mod table;
mod terms;
pub mod webhook;

pub use alerting::{Alerting, AlertingError, CaughtUp, EvaluatorCounts, Maker, RuleError};
