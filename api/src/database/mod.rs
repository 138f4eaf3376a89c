//! The decisions database: what people and rules decided, who may what, who did what, and what has to be told.
//!
//! It is opened, brought up to date and begun in here; what is in its tables is said by those who own them, each in one
//! transaction for what belongs together. Queries are written once for all databases that it can be: with `$1`, plain SQL,
//! and only types that all have.

mod error;
mod migrations;
mod problem;
mod row;
mod sqlite;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use riskgrid_ingest::{NoRoom, Room, Writer};

pub use error::DatabaseError;
pub(crate) use row::read_from_row;
pub use row::{Connection, Pool, Row, Transaction};

/// Bytes that a transaction may add.
const TRANSACTION: u64 = 256 << 10;

/// The decisions database. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Pool,
    readers: Pool,
    room: Option<Room>,
    /// Held as long as anybody may write.
    _lock: File,
}

impl Database {
    /// Opens or makes `decisions.sqlite` in `folder`, and locks it to this process.
    ///
    /// # Errors
    /// Another process has it, it is lost or damaged, or a newer riskgrid wrote it.
    pub async fn open(folder: &Path) -> Result<Self, DatabaseError> {
        let opened = sqlite::open(folder).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                writer: opened.writer,
                readers: opened.readers,
                room: None,
                _lock: opened.lock,
            }),
        })
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
    /// There is no room for it, or the database's.
    pub async fn begin(&self) -> Result<Transaction, DatabaseError> {
        self.ask_for_room()?;
        Ok(self.inner.writer.begin_with("BEGIN IMMEDIATE").await?)
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
