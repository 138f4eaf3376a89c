//! The lock of a node's folder, held as long as the process may decide; what stands in it says where its decisions are.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use riskgrid_ingest::state_folder::{FILE_MODE, make_folder};

use super::DatabaseError;

/// Stands in the lock once there was a file.
const IN_A_FILE: &str = "decisions.sqlite was made";
/// Stands in the lock once they were in `PostgreSQL`.
const IN_POSTGRES: &str = "the decisions are in PostgreSQL";
/// Begins the line that names this folder as a holder of leases.
const HOLDER: &str = "holder ";

/// More is not read of it.
const MOST_BYTES: u64 = 4_096;

/// Held as long as it lives.
pub(super) struct FolderLock {
    path: PathBuf,
    file: File,
    text: String,
}

/// Where the decisions of a folder are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    File,
    Postgres,
}

impl Where {
    const fn line(self) -> &'static str {
        match self {
            Self::File => IN_A_FILE,
            Self::Postgres => IN_POSTGRES,
        }
    }
}

impl FolderLock {
    /// Makes the folder if it is not there, and locks it to this process.
    pub(super) fn take(folder: &Path) -> Result<Self, DatabaseError> {
        let path = folder.join("decisions.lock");
        let failed = |source| DatabaseError::File {
            path: path.clone(),
            source,
        };
        make_folder(folder).map_err(failed)?;
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DatabaseError::Locked { path }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // What was damaged says nothing; it is the database that counts.
        let mut bytes = Vec::new();
        Read::take(&mut file, MOST_BYTES)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Self { path, file, text })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the decisions have been there.
    pub(super) fn says(&self, place: Where) -> bool {
        self.text.lines().any(|line| line == place.line())
    }

    /// From now on decisions that are not there were lost. Answers under which name leases are held.
    pub(super) fn settle(&mut self, place: Where) -> Result<String, DatabaseError> {
        let mut added = String::new();
        if !self.says(place) {
            let is_cut_off = !self.text.is_empty() && !self.text.ends_with('\n');
            added = format!("{}{}\n", if is_cut_off { "\n" } else { "" }, place.line());
        }
        let known = self.text.lines().find_map(|line| line.strip_prefix(HOLDER));
        let holder = if let Some(holder) = known {
            holder.to_owned()
        } else {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes)?;
            let holder = format!("{:032x}", u128::from_be_bytes(bytes));
            added.push_str(HOLDER);
            added.push_str(&holder);
            added.push('\n');
            holder
        };
        if !added.is_empty() {
            let written = self.file.write_all(added.as_bytes());
            let written = written.and_then(|()| self.file.sync_all());
            written.map_err(|source| DatabaseError::File {
                path: self.path.clone(),
                source,
            })?;
            self.text.push_str(&added);
        }
        Ok(holder)
    }
}
