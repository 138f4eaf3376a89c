//! The words of webhooks, below both what stores them and what sends: who is told, the secret, and what became of an attempt.

mod attempt;
mod case_targets;
mod endpoint;
mod secret;

pub use attempt::Attempt;
pub use case_targets::{CaseTargets, CaseTold};
pub use endpoint::{Endpoint, EndpointChange, EndpointFilter, Grouping, NewEndpoint};
pub use secret::Secret;
