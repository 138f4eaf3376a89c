//! Decisions: rules, alerts with their transitions, webhooks, and the outbox of what is still to be told.
//!
//! One `SQLite` file in WAL mode, owned by one process, with one writing connection and several reading ones. What
//! belongs together is one transaction: an alert, its transition and the outbox rows of its webhooks are there
//! together or not at all, so a crash loses nothing and tells nothing twice under two ids.
//!
//! The queries use `$1` and plain SQL, so that the same ones can serve `PostgreSQL`.

mod acknowledge;
mod alerts;
mod bounds;
mod cells;
mod endpoints;
mod forget;
mod hold;
mod ids;
mod lines;
mod notice;
mod outbox;
mod record;
mod row;
mod rules;
mod silences;
mod tally;
mod versions;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use riskgrid_ingest::places::Places;
use riskgrid_ingest::state_folder::{FILE_MODE, make_folder};
use riskgrid_ingest::{NoRoom, Room, Writer};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{SqlSafeStr, Sqlite, Transaction};

pub use acknowledge::Terms;
pub use alerts::{Alert, AlertPage, AlertQuery, AlertState, rfc3339};
use bounds::Census;
pub use bounds::{Bounds, MAX_WEBHOOKS, RULE_FULL};
pub use cells::CellState;
pub use forget::{Forgotten, Keep};
pub use ids::{random_hex, webhook_id};
pub use lines::{AlertLine, Bound, Conditions, LinePlace};
pub use outbox::{AttemptRow, Delivery, DeliveryRow, DeliveryState};
pub use record::{Notify, Recorded};
pub(crate) use row::read_from_row;
pub use rules::ENDED_AT_ONCE;
pub use silences::{MAX_SILENCES, Preview, SilencePlace, StoredSilence};
pub use tally::{Held, Tally};
pub use versions::Versioned;

/// Transitions older than this are recorded and wake nobody.
pub const MAX_NOTIFY_AGE: Duration = Duration::from_hours(1);

/// Rows that one transaction changes of what is many: a fraction of a second.
const PIECE: i64 = 500;

const READING_CONNECTIONS: u32 = 4;
/// Bytes of the largest database that is looked through at the start; a larger one would hold the start up.
const LOOKED_THROUGH: u64 = 64 << 20;
/// With which a database of SQLite begins.
const MARK: &[u8; 16] = b"SQLite format 3\0";
/// Bytes that a transaction may add.
const TRANSACTION: u64 = 256 << 10;

/// The schema's steps, each with what it does. One that has been released is never changed.
const MIGRATIONS: [(i64, &str, &str); 6] = [
    (
        1,
        "decisions",
        include_str!("../../../migrations/0001_decisions.sql"),
    ),
    (2, "audit", include_str!("../../../migrations/0002_audit.sql")),
    (3, "bounds", include_str!("../../../migrations/0003_bounds.sql")),
    (4, "access", include_str!("../../../migrations/0004_access.sql")),
    (5, "life", include_str!("../../../migrations/0005_life.sql")),
    (
        10,
        "hotline",
        include_str!("../../../migrations/0010_hotline.sql"),
    ),
];

fn migrations() -> Migrator {
    let steps = MIGRATIONS.map(|(version, description, sql)| {
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(steps.to_vec())
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
    /// Less room than is kept in reserve.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
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
    pub(crate) fn unreadable(what: &'static str, reason: &dyn std::fmt::Display) -> Self {
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
    room: Option<Room>,
    places: Arc<Places>,
    /// Held as long as anybody may write.
    _lock: File,
}

impl Decisions {
    /// Opens or makes `decisions.sqlite` in `folder`, and locks it to this process. It holds no more than `bounds` allow.
    pub async fn open(folder: &Path, bounds: Bounds) -> Result<Self, DecisionsError> {
        let mut lock = lock(folder)?;
        let path = folder.join("decisions.sqlite");
        let bytes = prepare(&path, &lock)?;
        let damaged = |error: &dyn std::fmt::Display| DecisionsError::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        };
        let options = SqliteConnectOptions::new()
            .filename(&path)
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
        let writer = pool(1)
            .connect_with(options.clone())
            .await
            .map_err(|error| damaged(&error))?;
        if (1..=LOOKED_THROUGH).contains(&bytes) {
            let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
                .fetch_one(&writer)
                .await
                .map_err(|error| damaged(&error))?;
            if found != "ok" {
                return Err(damaged(&found));
            }
        }
        migrations().run(&writer).await.map_err(|error| match error {
            MigrateError::Execute(error) => damaged(&error),
            other => other.into(),
        })?;
        let readers = pool(READING_CONNECTIONS)
            .connect_with(options.pragma("query_only", "ON"))
            .await?;
        mark_as_made(&mut lock).map_err(|source| DecisionsError::File { path, source })?;
        let decisions = Self {
            inner: Arc::new(Inner {
                writer,
                readers,
                bounds,
                census: Mutex::default(),
                tally: Tally::default(),
                room: None,
                places: Arc::default(),
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

    /// The same, which leaves free what `room` says.
    #[must_use]
    pub fn within(mut self, room: Room) -> Self {
        // Nobody has another copy yet.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.room = Some(room);
        }
        self
    }

    /// The same, which knows the areas that silences name.
    #[must_use]
    pub fn among(mut self, places: Arc<Places>) -> Self {
        // Nobody has another copy yet.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.places = places;
        }
        self
    }

    /// The areas that silences name.
    pub fn places(&self) -> &Places {
        &self.inner.places
    }

    /// Whether something may be written: what was done without being noted is done again.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn ask_for_room(&self) -> Result<(), NoRoom> {
        match &self.inner.room {
            Some(room) => room.ask(Writer::Decisions, TRANSACTION).map(drop),
            None => Ok(()),
        }
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

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.inner.readers
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, DecisionsError> {
        self.ask_for_room()?;
        Ok(self.inner.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// Looks for the database, or makes an empty one that only its user can read: its side files get the same rights. Its
/// bytes.
fn prepare(path: &Path, mut lock: &File) -> Result<u64, DecisionsError> {
    let failed = |source| DecisionsError::File {
        path: path.to_owned(),
        source,
    };
    let bytes = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(failed(error)),
    };
    if bytes == 0 {
        let mut made = Vec::new();
        lock.read_to_end(&mut made).map_err(failed)?;
        if !made.is_empty() {
            return Err(DecisionsError::Missing {
                path: path.to_owned(),
                lock: path.with_extension("lock"),
            });
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(FILE_MODE)
            .open(path)
            .map_err(failed)?;
    } else {
        // SQLite itself would first write what its log holds over whatever is there.
        let mut begins = [0; MARK.len()];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut begins));
        if read.is_err() || begins != *MARK {
            return Err(DecisionsError::Damaged {
                path: path.to_owned(),
                problem: "it does not begin as a database of SQLite does. Nothing was changed".to_owned(),
            });
        }
    }
    Ok(bytes)
}

/// From now on a database that is not there was lost.
fn mark_as_made(lock: &mut File) -> std::io::Result<()> {
    if lock.metadata()?.len() == 0 {
        lock.write_all(b"decisions.sqlite was made\n")?;
        lock.sync_all()?;
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<File, DecisionsError> {
    let path = folder.join("decisions.lock");
    let failed = |source| DecisionsError::File {
        path: path.clone(),
        source,
    };
    make_folder(folder).map_err(failed)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(FILE_MODE)
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
mod life_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
