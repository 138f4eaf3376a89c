//! The decisions database: what people and rules decided, who may what, who did what, and what has to be told.
//!
//! It is opened, brought up to date and begun in here; what is in its tables is said by those who own them, each in one
//! transaction for what belongs together. Queries are written once for all databases that it can be: with `$1`, plain SQL,
//! and only types that all have.

mod conditions;
mod error;
mod lease;
mod lock;
mod migrations;
mod pool;
mod postgres;
mod problem;
mod row;
mod sqlite;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use riskgrid_ingest::{NoRoom, Room, Writer};

pub use conditions::{Bound, Conditions};
pub use error::DatabaseError;
pub use lease::{LEASE, Lease, Standing};
use lock::FolderLock;
use pool::Opened;
pub use postgres::{PostgresAddress, UnfitAddress};
pub(crate) use row::read_from_row;
pub use row::{Connection, Pool, Row, Transaction};

/// Bytes that a transaction may add.
const TRANSACTION: u64 = 256 << 10;

/// The decisions database. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
    /// What its transactions hang on.
    standing: Standing,
}

impl fmt::Debug for Database {
    /// Without its address, which may name a user.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Database")
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}

struct Inner {
    writer: Pool,
    readers: Pool,
    is_shared: bool,
    /// Under which name it holds leases.
    holder: String,
    room: Option<Room>,
    /// Held as long as anybody may write.
    _lock: Option<FolderLock>,
}

impl Database {
    /// Opens or makes `decisions.sqlite` in `folder`, and locks the folder to this process.
    ///
    /// # Errors
    /// Another process has it, it is lost or damaged, or a newer riskgrid wrote it.
    pub async fn open(folder: &Path) -> Result<Self, DatabaseError> {
        #[cfg(test)]
        if let Some(other) = Box::pin(on_postgres::instead_of(folder)).await {
            return other;
        }
        let mut lock = FolderLock::take(folder)?;
        let opened = sqlite::open(folder, &mut lock).await?;
        Ok(Self::of(opened, false, Some(lock)))
    }

    /// Opens one of `PostgreSQL`, which other nodes may use too, and locks `folder` to this process.
    ///
    /// # Errors
    /// Another process has the folder; the server cannot be reached; it was emptied, or a newer riskgrid wrote it.
    pub async fn open_shared(folder: &Path, address: &PostgresAddress) -> Result<Self, DatabaseError> {
        let mut lock = FolderLock::take(folder)?;
        let opened = postgres::open(address, &mut lock).await?;
        Ok(Self::of(opened, true, Some(lock)))
    }

    fn of(opened: Opened, is_shared: bool, lock: Option<FolderLock>) -> Self {
        Self {
            inner: Arc::new(Inner {
                writer: opened.writer,
                readers: opened.readers,
                is_shared,
                holder: opened.holder,
                room: None,
                _lock: lock,
            }),
            standing: Standing::Alone,
        }
    }

    /// The same database as another node has it.
    #[cfg(test)]
    pub(crate) fn as_another_node(&self) -> Self {
        let opened = Opened {
            writer: self.inner.writer.clone(),
            readers: self.inner.readers.clone(),
            holder: format!("not {}", self.inner.holder),
        };
        Self::of(opened, self.inner.is_shared, None)
    }

    /// Whether other nodes may use it too.
    pub fn is_shared(&self) -> bool {
        self.inner.is_shared
    }

    fn holder(&self) -> &str {
        &self.inner.holder
    }

    /// The same, whose transactions fail unless its lease is still held.
    #[must_use]
    pub fn under(&self, standing: Standing) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            standing,
        }
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

    /// Where queries that change nothing run, beside the one who writes.
    pub fn readers(&self) -> &Pool {
        &self.inner.readers
    }

    /// Begins a transaction that may write, after those of others have ended.
    ///
    /// # Errors
    /// There is no room for it, the lease is another's, or the database's.
    pub async fn begin(&self) -> Result<Transaction, DatabaseError> {
        self.ask_for_room()?;
        let mut transaction = if self.inner.is_shared {
            let mut transaction = self.inner.writer.begin().await?;
            postgres::wait_for_others(&mut transaction).await?;
            transaction
        } else {
            self.inner.writer.begin_with("BEGIN IMMEDIATE").await?
        };
        if let Standing::Holder(lease) = self.standing {
            lease.check(&mut transaction).await?;
        }
        Ok(transaction)
    }

    /// A value kept under `key`, such as what the oldest row of the audit hangs on.
    ///
    /// # Errors
    /// The database's.
    pub async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, DatabaseError> {
        let query = sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(key);
        Ok(query.fetch_optional(self.readers()).await?)
    }

    /// Waits for running queries and closes it. Later calls fail.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }
}

/// Keeps a value under `key`.
///
/// # Errors
/// The database's.
pub(crate) async fn put_meta(
    connection: &mut Connection,
    key: &str,
    value: &[u8],
) -> Result<(), DatabaseError> {
    sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2")
        .bind(key)
        .bind(value)
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
mod on_postgres;
