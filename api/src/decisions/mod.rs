//! Decisions: rules, alerts with their transitions, webhooks, and the outbox of what is still to be told.
//!
//! One `SQLite` file in WAL mode, owned by one process, with one writing connection and several reading ones. What
//! belongs together is one transaction: an alert, its transition and the outbox rows of its webhooks are there
//! together or not at all, so a crash loses nothing and tells nothing twice under two ids.
//!
//! The queries use `$1` and plain SQL, so that the same ones can serve `PostgreSQL`.

mod alerts;
mod audit;
mod bounds;
mod cells;
mod endpoints;
mod forget;
mod ids;
mod lines;
mod notice;
mod outbox;
mod record;
mod row;
mod rules;
mod tally;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{SqlSafeStr, Sqlite, Transaction};

pub use alerts::{Alert, AlertPage, AlertQuery, AlertState};
pub use audit::AuditRow;
use bounds::Census;
pub use bounds::{Bounds, MAX_WEBHOOKS, RULE_FULL};
pub use cells::CellState;
pub use endpoints::{Endpoint, NewEndpoint};
pub use forget::{Forgotten, Keep};
pub use ids::{random_hex, webhook_id};
pub use lines::{AlertLine, Bound, Conditions, LinePlace};
pub use outbox::{AttemptRow, Delivery, DeliveryRow, DeliveryState};
pub use record::{Notify, Recorded};
pub use rules::ENDED_AT_ONCE;
pub use tally::{Held, Tally};

/// Transitions older than this are recorded and wake nobody.
pub const MAX_NOTIFY_AGE: Duration = Duration::from_hours(1);

/// Rows that one transaction changes of what is many: a fraction of a second.
const PIECE: i64 = 500;

const READING_CONNECTIONS: u32 = 4;

/// The schema's steps, each with what it does. One that has been released is never changed.
const MIGRATIONS: [(&str, &str); 3] = [
    ("decisions", include_str!("../../migrations/0001_decisions.sql")),
    ("audit", include_str!("../../migrations/0002_audit.sql")),
    ("bounds", include_str!("../../migrations/0003_bounds.sql")),
];

fn migrations() -> Migrator {
    let steps = (1..).zip(MIGRATIONS).map(|(version, (description, sql))| {
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(steps.collect())
}

/// Why a decision could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum DecisionsError {
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
    /// The schema could not be brought up to date.
    #[error("cannot bring the decisions database up to date; a newer riskgrid may have written it")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A query failed.
    #[error("the decisions database failed")]
    Database(#[from] sqlx::Error),
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
    /// It cannot be done in the present state.
    #[error("{0}")]
    Conflict(String),
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

impl DecisionsError {
    fn unreadable(what: &'static str, reason: &dyn std::fmt::Display) -> Self {
        Self::Unreadable {
            what,
            reason: reason.to_string(),
        }
    }
}

/// The decisions database. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Decisions {
    inner: Arc<Inner>,
}

struct Inner {
    writer: SqlitePool,
    readers: SqlitePool,
    bounds: Bounds,
    census: Mutex<Census>,
    tally: Tally,
    /// Held as long as anybody may write.
    _lock: File,
}

impl Decisions {
    /// Opens or makes `decisions.sqlite` in `folder`, and locks it to this process. It holds no more than `bounds` allow.
    pub async fn open(folder: &Path, bounds: Bounds) -> Result<Self, DecisionsError> {
        let lock = lock(folder)?;
        let options = SqliteConnectOptions::new()
            .filename(folder.join("decisions.sqlite"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A committed decision survives a power cut: the checkpoint that relies on it does too.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        let writer = pool(1).connect_with(options.clone()).await?;
        migrations().run(&writer).await?;
        let readers = pool(READING_CONNECTIONS)
            .connect_with(options.pragma("query_only", "ON"))
            .await?;
        let decisions = Self {
            inner: Arc::new(Inner {
                writer,
                readers,
                bounds,
                census: Mutex::default(),
                tally: Tally::default(),
                _lock: lock,
            }),
        };
        let census = Census::take(&decisions).await?;
        *decisions.census() = census;
        Ok(decisions)
    }

    /// How much it may hold.
    pub fn bounds(&self) -> &Bounds {
        &self.inner.bounds
    }

    fn census(&self) -> MutexGuard<'_, Census> {
        self.inner.census.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for running queries and closes the file. Later calls fail.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }

    /// A value kept under `key`, such as the state of rules on cells.
    pub async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, DecisionsError> {
        let query = sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(key);
        Ok(query.fetch_optional(self.readers()).await?)
    }

    fn readers(&self) -> &SqlitePool {
        &self.inner.readers
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, DecisionsError> {
        Ok(self.inner.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

fn lock(folder: &Path) -> Result<File, DecisionsError> {
    let path = folder.join("decisions.lock");
    let failed = |source| DecisionsError::File {
        path: path.clone(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DecisionsError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod bounds_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
