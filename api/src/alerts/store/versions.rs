//! Versions of what clients change: each change is by somebody who has seen what they change.

use super::{Decisions, DecisionsError};
use crate::database::Connection;

/// What has versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioned {
    /// A rule.
    Rule,
    /// A webhook.
    Webhook,
}

impl Versioned {
    /// As people name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Webhook => "webhook",
        }
    }

    const fn select(self) -> &'static str {
        match self {
            Self::Rule => "SELECT version FROM rules WHERE id = $1",
            Self::Webhook => "SELECT version FROM webhooks WHERE id = $1",
        }
    }
}

impl Decisions {
    /// At which version it is; none when there is no such thing.
    ///
    /// # Errors
    /// The database's.
    pub async fn version_of(&self, what: Versioned, id: &str) -> Result<Option<i64>, DecisionsError> {
        let version = sqlx::query_scalar(what.select()).bind(id);
        Ok(version.fetch_optional(self.readers()).await?)
    }
}

/// Whether it is at the version that is expected, if any is; what is not there is at none.
pub(super) async fn expect_version(
    connection: &mut Connection,
    what: Versioned,
    id: &str,
    expected: Option<i64>,
) -> Result<(), DecisionsError> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let version: Option<i64> = sqlx::query_scalar(what.select())
        .bind(id)
        .fetch_optional(connection)
        .await?;
    match version {
        Some(version) if version != expected => Err(DecisionsError::OtherVersion {
            kind: what.name(),
            version,
        }),
        _ => Ok(()),
    }
}
