//! The database as one `SQLite` file in WAL mode, owned by one process, with one writing connection and several reading ones.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use riskgrid_ingest::state_folder::{FILE_MODE, make_folder};
use sqlx::ConnectOptions;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::migrations::migrations;
use super::{DatabaseError, Pool};

const READING_CONNECTIONS: u32 = 4;
/// Bytes of the largest database that is looked through at the start; a larger one would hold the start up.
const LOOKED_THROUGH: u64 = 64 << 20;
/// With which a database of SQLite begins.
const MARK: &[u8; 16] = b"SQLite format 3\0";

/// What each connection is told. A committed decision survives a power cut: the checkpoint that relies on it does too.
const OF_WRITERS: &str = "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000";
const OF_READERS: &str = "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000; PRAGMA query_only = ON";

/// An open file.
pub(super) struct Opened {
    pub(super) writer: Pool,
    pub(super) readers: Pool,
    pub(super) lock: File,
}

/// Opens or makes `decisions.sqlite` in `folder`, and locks it to this process.
pub(super) async fn open(folder: &Path) -> Result<Opened, DatabaseError> {
    let mut lock = lock(folder)?;
    let path = folder.join("decisions.sqlite");
    let bytes = prepare(&path, &lock)?;
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
    let up_to_date = migrations().run(&first).await;
    up_to_date.map_err(|error| match error {
        MigrateError::Execute(error) => damaged(&error),
        other => other.into(),
    })?;
    // Before the first is closed, so that the log of writes is not worked off and made anew.
    let writer = connect(&options, 1, OF_WRITERS).await?;
    let readers = connect(&options, READING_CONNECTIONS, OF_READERS).await?;
    first.close().await;
    mark_as_made(&mut lock).map_err(|source| DatabaseError::File { path, source })?;
    Ok(Opened {
        writer,
        readers,
        lock,
    })
}

async fn connect(
    options: &SqliteConnectOptions,
    connections: u32,
    told: &'static str,
) -> Result<Pool, DatabaseError> {
    sqlx::any::install_default_drivers();
    let options = AnyConnectOptions::from_url(&options.to_url_lossy())?;
    let pool = AnyPoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            Box::pin(async move { sqlx::raw_sql(told).execute(connection).await.map(drop) })
        });
    Ok(pool.connect_with(options).await?)
}

/// Looks for the database, or makes an empty one that only its user can read: its side files get the same rights. Its
/// bytes.
fn prepare(path: &Path, mut lock: &File) -> Result<u64, DatabaseError> {
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
        let mut made = Vec::new();
        lock.read_to_end(&mut made).map_err(failed)?;
        if !made.is_empty() {
            return Err(DatabaseError::Missing {
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
            return Err(DatabaseError::Damaged {
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

fn lock(folder: &Path) -> Result<File, DatabaseError> {
    let path = folder.join("decisions.lock");
    let failed = |source| DatabaseError::File {
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
        Err(TryLockError::WouldBlock) => Err(DatabaseError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
