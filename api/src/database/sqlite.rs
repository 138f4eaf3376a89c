//! The database as one `SQLite` file in WAL mode, owned by one process, with one writing connection and several reading ones.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use riskgrid_ingest::state_folder::FILE_MODE;
use sqlx::ConnectOptions;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::DatabaseError;
use super::lock::{FolderLock, Where};
use super::migrations::of_sqlite;
use super::pool::{Opened, pool};

const READING_CONNECTIONS: u32 = 4;
/// Bytes of the largest database that is looked through at the start; a larger one would hold the start up.
const LOOKED_THROUGH: u64 = 64 << 20;
/// With which a database of SQLite begins.
const MARK: &[u8; 16] = b"SQLite format 3\0";

/// What each connection is told. A committed decision survives a power cut: the checkpoint that relies on it does too.
const OF_WRITERS: &str = "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000";
const OF_READERS: &str = "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000; PRAGMA query_only = ON";

/// Opens or makes `decisions.sqlite` in `folder`, which is locked to this process.
pub(super) async fn open(folder: &Path, lock: &mut FolderLock) -> Result<Opened, DatabaseError> {
    if lock.says(Where::Postgres) {
        return Err(DatabaseError::Elsewhere {
            lock: lock.path().to_owned(),
        });
    }
    let path = folder.join("decisions.sqlite");
    let bytes = prepare(&path, lock)?;
    let damaged = |error: &dyn std::fmt::Display| DatabaseError::Damaged {
        path: path.clone(),
        problem: error.to_string(),
    };
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10));
    let first = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options.clone())
        .await
        .map_err(|error| damaged(&error))?;
    if (1..=LOOKED_THROUGH).contains(&bytes) {
        let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&first)
            .await
            .map_err(|error| damaged(&error))?;
        if found != "ok" {
            return Err(damaged(&found));
        }
    }
    let up_to_date = of_sqlite().run(&first).await;
    up_to_date.map_err(|error| match error {
        MigrateError::Execute(error) => damaged(&error),
        other => other.into(),
    })?;
    let url = options.to_url_lossy();
    // Before the first is closed, so that the log of writes is not worked off and made anew.
    let writer = pool(&url, 1, OF_WRITERS).await?;
    let readers = pool(&url, READING_CONNECTIONS, OF_READERS).await?;
    first.close().await;
    Ok(Opened {
        writer,
        readers,
        holder: lock.settle(Where::File)?,
    })
}

/// Looks for the database, or makes an empty one that only its user can read: its side files get the same rights. Its
/// bytes.
fn prepare(path: &Path, lock: &FolderLock) -> Result<u64, DatabaseError> {
    let failed = |source| DatabaseError::File {
        path: path.to_owned(),
        source,
    };
    let bytes = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(failed(error)),
    };
    if bytes == 0 {
        if lock.says(Where::File) {
            return Err(DatabaseError::Missing {
                path: path.to_owned(),
                lock: lock.path().to_owned(),
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
            return Err(DatabaseError::Damaged {
                path: path.to_owned(),
                problem: "it does not begin as a database of SQLite does. Nothing was changed".to_owned(),
            });
        }
    }
    Ok(bytes)
}
