//! The routes of alerts: rules, alerts, silences, webhooks.

mod alerts;
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
        .merge(silences::routes(Arc::clone(state)))
        .merge(webhooks::routes(Arc::clone(state)))
}

impl From<DecisionsError> for Problem {
    fn from(error: DecisionsError) -> Self {
        match &error {
            DecisionsError::NameTaken { .. } | DecisionsError::Conflict(_) => {
                Self::conflict(error.to_string())
            }
            DecisionsError::OtherVersion { .. } => Self::precondition_failed(error.to_string()),
            DecisionsError::UnknownWebhook { .. } | DecisionsError::TooMany { .. } => {
                Self::unprocessable(error.to_string())
            }
            DecisionsError::NoRoom(none) => Self::unavailable(none.to_string(), 30),
            DecisionsError::Database(sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => {
                Self::unavailable("the decisions database is busy or closing; try again", 5)
            }
            DecisionsError::Database(sqlx::Error::Database(cause)) if is_full(cause.as_ref()) => {
                Self::unavailable(
                    "the disk of the decisions database is full; free space, then try again",
                    30,
                )
            }
            _ => Self::internal(&error),
        }
    }
}

/// The code of `SQLite` for a full disk.
fn is_full(cause: &dyn sqlx::error::DatabaseError) -> bool {
    cause.code().is_some_and(|code| code == "13")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
