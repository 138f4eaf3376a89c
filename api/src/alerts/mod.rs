//! Alerts, from a rule's decision to the receiver that is told of it.

mod alerting;
mod composites;
pub mod delivery;
mod domain_clocks;
pub mod evaluation;
pub mod inhibition;
pub mod mute;
mod pending;
pub mod routes;
pub mod rule_files;
pub mod silence;
pub mod store;
pub(crate) mod table;
mod terms;
pub mod webhook;

pub use alerting::{Alerting, AlertingError, EvaluatorCounts, Maker, RuleError};
pub use pending::PendingInstances;
