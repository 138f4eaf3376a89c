//! Why the database could not be opened, written or read.

use std::path::PathBuf;

use riskgrid_ingest::NoRoom;

/// Why a decision could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Another process has the file.
    #[error("{} is in use by another riskgrid process; stop it, or give this one another data directory", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file or its folder cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database is gone.
    #[error(
        "{} is missing or empty, but was made before. It holds rules, alerts, webhooks and the audit. Nothing was changed; \
         restore it from a backup, with its side files; or remove {} to begin without what it held",
        path.display(), lock.display()
    )]
    Missing {
        /// The database.
        path: PathBuf,
        /// What says that it was made.
        lock: PathBuf,
    },
    /// The database is not one, or not whole.
    #[error(
        "{} cannot be used: {problem}. It holds rules, alerts, webhooks and the audit. Restore it from a backup, with its \
         side files; or move it away and remove decisions.lock to begin without what it held",
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The file is not where the decisions are.
    #[error(
        "{} says that the decisions of this folder are in PostgreSQL: set `decisions.url`, or ask the server that runs. Remove \
         that file to begin without what they hold",
        lock.display()
    )]
    Elsewhere {
        /// What says so.
        lock: PathBuf,
    },
    /// `PostgreSQL` does not let in.
    #[error(
        "cannot use the decisions database {server}: {source}. It must be there, and this user may connect and make tables in it"
    )]
    Unreachable {
        /// Which one, without any secret.
        server: String,
        /// What it said.
        source: sqlx::Error,
    },
    /// `PostgreSQL` has lost it.
    #[error(
        "{server} has no tables of riskgrid, but had before. They held rules, alerts, webhooks and the audit. Nothing was \
         changed; restore them from a backup; or remove {} to begin without what they held",
        lock.display()
    )]
    Emptied {
        /// Which one.
        server: String,
        /// What says that there were some.
        lock: PathBuf,
    },
    /// Another node has taken over.
    #[error("another node has taken over ({name}) while this one was away; what it decided is not stored")]
    LeaseLost {
        /// Of the lease.
        name: &'static str,
    },
    /// Less room than is kept in reserve.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The schema could not be brought up to date.
    #[error("cannot bring the decisions database up to date; a newer riskgrid may have written it")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A query failed.
    #[error("the decisions database failed")]
    Query(#[from] sqlx::Error),
    /// What was stored cannot be read back.
    #[error("a stored {what} cannot be read: {reason}")]
    Unreadable {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    Random(#[from] getrandom::Error),
}

impl DatabaseError {
    pub(crate) fn unreadable(what: &'static str, reason: &dyn std::fmt::Display) -> Self {
        Self::Unreadable {
            what,
            reason: reason.to_string(),
        }
    }
}
