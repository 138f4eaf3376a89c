//! Why something could not be decided.

use crate::database::DatabaseError;

/// Why a decision could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum DecisionsError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The name is taken.
    #[error("there is a {kind} named \"{name}\" already; choose another name or delete that one")]
    NameTaken {
        /// `rule` or `webhook`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A rule names a webhook that does not exist.
    #[error(
        "`webhooks` has \"{name}\"; there is no webhook of that name, make it first with POST /v1/webhooks"
    )]
    UnknownWebhook {
        /// The name.
        name: String,
    },
    /// There are as many as there may be.
    #[error("there are {most} {what} already, and there may be no more; {remedy}")]
    TooMany {
        /// `rules` or `webhooks`.
        what: &'static str,
        /// How many there may be.
        most: u64,
        /// What to do.
        remedy: &'static str,
    },
    /// It was changed since its reader saw it.
    #[error("the {kind} is at version {version}; read it again, merge your change and send it again")]
    OtherVersion {
        /// `rule` or `webhook`.
        kind: &'static str,
        /// At which it is.
        version: i64,
    },
    /// It cannot be done in the present state.
    #[error("{0}")]
    Conflict(String),
}

impl From<sqlx::Error> for DecisionsError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<getrandom::Error> for DecisionsError {
    fn from(error: getrandom::Error) -> Self {
        Self::Database(error.into())
    }
}

impl DecisionsError {
    pub(super) fn unreadable(what: &'static str, reason: &dyn std::fmt::Display) -> Self {
        Self::Database(DatabaseError::unreadable(what, reason))
    }
}
