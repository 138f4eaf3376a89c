//! The routes of alerts: rules, alerts, incidents, silences, webhooks.

mod alerts;
mod incidents;
mod mode;
mod rules;
mod silences;
mod webhooks;

use std::sync::Arc;

use axum::Router;

use super::Alerting;
use crate::alerts::store::DecisionsError;
use crate::problem::Problem;

/// All of them.
pub fn all(state: &Arc<Alerting>) -> Router {
    Router::new()
        .merge(rules::routes(Arc::clone(state)))
        .merge(alerts::routes(Arc::clone(state)))
        .merge(incidents::routes(Arc::clone(state)))
        .merge(mode::routes(Arc::clone(state)))
        .merge(silences::routes(Arc::clone(state)))
        .merge(webhooks::routes(Arc::clone(state)))
}

impl From<DecisionsError> for Problem {
    fn from(error: DecisionsError) -> Self {
        match error {
            DecisionsError::NameTaken { .. } | DecisionsError::Conflict(_) => {
                Self::conflict(error.to_string())
            }
            DecisionsError::OtherVersion { .. } => Self::precondition_failed(error.to_string()),
            DecisionsError::UnknownWebhook { .. } | DecisionsError::TooMany { .. } => {
                Self::unprocessable(error.to_string())
            }
            DecisionsError::Database(error) => error.into(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
