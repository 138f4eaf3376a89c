//! Opening a store of fjall. It takes a folder in which files are missing for one that was never finished, removes what it
//! does not know, and goes on without: so what must be there is looked for first.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fjall::Database;

use crate::disk::state_folder::{FILE_MODE, make_folder};

/// The bytes with which each store's version file begins.
const VERSION: &[u8] = b"FJL";
/// Bytes of a log that are looked at; one without any record is all zero there.
const LOOKED_AT: u64 = 64 << 10;
const CACHE: u64 = 8 << 20;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    /// Another process has it.
    #[error(
        "{} is in use by another process. One process at a time may use storage.data_dir",
        folder.display()
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A file is missing or is not what was written.
    #[error(
        "{} is damaged: {problem}. Nothing was changed; restore the folder from a backup",
        folder.display()
    )]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The system refused.
    #[error("{}: {error}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What it said.
        #[source]
        error: std::io::Error,
    },
}

/// Opens the store in a folder of its own, made when absent.
pub(crate) fn open(folder: &Path) -> Result<Database, StoreOpenError> {
    let io = |error| StoreOpenError::Io {
        folder: folder.to_owned(),
        error,
    };
    let damaged = |problem: String| StoreOpenError::Damaged {
        folder: folder.to_owned(),
        problem,
    };
    make_folder(folder).map_err(io)?;
    if let Some(problem) = missing_in(folder).map_err(io)? {
        return Err(damaged(problem));
    }
    if folder.join("version").exists() {
        // Nothing is in it, and fjall does not make it anew.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(FILE_MODE)
            .open(folder.join("lock"))
            .map_err(io)?;
    } else {
        // Its making was cut off before anything was in it, and fjall would not begin again.
        for log in names_in(folder).map_err(io)?.iter().filter(|name| is_log(name)) {
            fs::remove_file(folder.join(log)).map_err(io)?;
        }
    }
    // Names and numbers that it does not expect it answers by a panic.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        Database::builder(folder).cache_size(CACHE).open()
    }));
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(fjall::Error::Locked)) => Err(StoreOpenError::InUse {
            folder: folder.to_owned(),
        }),
        Ok(Err(fjall::Error::Io(error))) if error.kind() != ErrorKind::AlreadyExists => Err(io(error)),
        Ok(Err(error)) => Err(damaged(error.to_string())),
        Err(_) => Err(damaged("its files contradict each other".to_owned())),
    }
}

/// What is missing of a store that was finished once; none of one that is whole as far as can be seen, or new.
fn missing_in(folder: &Path) -> std::io::Result<Option<String>> {
    let names = names_in(folder)?;
    let logs: Vec<&String> = names.iter().filter(|name| is_log(name)).collect();
    let keyspaces = folder.join("keyspaces");
    match fs::read(folder.join("version")) {
        Ok(bytes) if bytes.starts_with(VERSION) => {}
        Ok(_) => return Ok(Some("the file `version` is not one".to_owned())),
        // Made last: without it the folder was never finished, unless there is something in it.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let has_records = has_records(folder, &logs)?;
            let has_keyspaces = keyspaces.is_dir() && !names_in(&keyspaces)?.is_empty();
            return Ok((has_records || has_keyspaces).then(|| "the file `version` is missing".to_owned()));
        }
        Err(error) => return Err(error),
    }
    if logs.is_empty() {
        return Ok(Some("its log, a file `….jnl`, is missing".to_owned()));
    }
    if !keyspaces.is_dir() || !has_records(folder, &logs)? {
        return Ok(None);
    }
    for name in names_in(&keyspaces)? {
        let keyspace = keyspaces.join(&name);
        if keyspace.is_dir() && !keyspace.join("current").is_file() {
            return Ok(Some(format!("the file `keyspaces/{name}/current` is missing")));
        }
    }
    Ok(None)
}

fn is_log(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "jnl")
}

fn has_records(folder: &Path, logs: &[&String]) -> std::io::Result<bool> {
    for log in logs {
        let mut beginning = Vec::new();
        File::open(folder.join(log))?
            .take(LOOKED_AT)
            .read_to_end(&mut beginning)?;
        if beginning.iter().any(|byte| *byte != 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn names_in(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use fjall::{KeyspaceCreateOptions, PersistMode};

    use super::*;

    fn made() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let database = open(folder.path()).unwrap();
        let entries = database
            .keyspace("entries", KeyspaceCreateOptions::default)
            .unwrap();
        entries.insert("a", "b").unwrap();
        database.persist(PersistMode::SyncAll).unwrap();
        folder
    }

    fn value(folder: &Path) -> Option<Vec<u8>> {
        let database = open(folder).unwrap();
        let entries = database
            .keyspace("entries", KeyspaceCreateOptions::default)
            .unwrap();
        entries.get("a").unwrap().map(|value| value.to_vec())
    }

    #[test]
    fn a_store_in_which_a_file_is_missing_is_not_taken_for_a_new_one() {
        for missing in ["version", "0.jnl", "keyspaces/0/current", "keyspaces/1/current"] {
            let folder = made();
            let file = folder.path().join(missing);
            let bytes = fs::read(&file).unwrap();
            fs::remove_file(&file).unwrap();
            let error = open(folder.path()).err().unwrap();
            assert!(
                matches!(error, StoreOpenError::Damaged { .. }),
                "{missing}: {error}"
            );
            fs::write(&file, bytes).unwrap();
            assert_eq!(value(folder.path()).as_deref(), Some(&b"b"[..]), "{missing}");
        }
        let folder = made();
        fs::remove_file(folder.path().join("lock")).unwrap();
        assert_eq!(value(folder.path()).as_deref(), Some(&b"b"[..]));
    }

    #[test]
    fn a_store_whose_making_was_cut_off_is_made() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("0.jnl"), vec![0; 1 << 20]).unwrap();
        fs::create_dir(folder.path().join("keyspaces")).unwrap();
        assert_eq!(value(folder.path()), None);
    }

    #[test]
    fn a_store_that_another_has_open_is_told_from_one_that_is_damaged() {
        let folder = made();
        let _held = open(folder.path()).unwrap();
        let error = open(folder.path()).err().unwrap();
        assert!(matches!(error, StoreOpenError::InUse { .. }), "{error}");
    }
}
