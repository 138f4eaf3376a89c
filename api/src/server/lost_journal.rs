//! Whether the journal still is the log that the checkpoint has read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use riskgrid_ingest::source::journal::{AtMost, Journal, JournalError};

/// One entry, however large, is read.
const BYTES: usize = 1;

/// The journal is not the one that was read: it was lost, removed or replaced.
#[derive(Debug, thiserror::Error)]
pub enum LostJournal {
    /// Its first entry cannot be read.
    #[error("{}: {error}", folder.display())]
    Unreadable {
        /// Where it lies.
        folder: PathBuf,
        /// Why.
        #[source]
        error: JournalError,
    },
    /// It does not begin at its beginning, and nothing says that what came before was read.
    #[error(
        "the journal in {} {problem}, and there is no checkpoint of what came before: it was lost. Nothing was changed; \
         restore the folder `journal@0` of the folder of checkpoints from a backup; or make it, with nothing in it: then \
         the journal is read from where it begins, and what was counted before is gone",
        folder.display()
    )]
    WithoutCheckpoint {
        /// Where it lies.
        folder: PathBuf,
        /// Where it goes on.
        problem: String,
    },
    /// It has not what the checkpoint has read, or what comes after it.
    #[error(
        "the journal in {} {problem}, and its checkpoint has read up to {read_to}: it was removed or replaced. Restore it \
         from a backup; or empty the folder `journal@0` of the folder of checkpoints: then the journal is read from where it \
         begins, and what was counted before is gone",
        folder.display()
    )]
    Replaced {
        /// Where it lies.
        folder: PathBuf,
        /// Where it ends or goes on.
        problem: String,
        /// The offset that the checkpoint reads next.
        read_to: i64,
    },
}

/// Whether the journal still is the log that a checkpoint has read up to `read_to`, or that no checkpoint has read yet.
///
/// # Errors
/// It ends before, or entries are missing there: says what to do. Events that are appended to such a journal would
/// get offsets that count as read.
pub(super) fn check(journal: &Journal, read_to: Option<i64>, folder: &Path) -> Result<(), LostJournal> {
    let offset = read_to.unwrap_or(0);
    let end = journal.end();
    let folder = folder.to_owned();
    let first = match journal.read(
        offset,
        AtMost {
            entries: 1,
            bytes: BYTES,
        },
        Duration::ZERO,
    ) {
        Ok(entries) => entries.first().map_or(end, |entry| entry.offset),
        Err(error) => return Err(LostJournal::Unreadable { folder, error }),
    };
    let problem = if end < offset {
        format!("ends at offset {end}")
    } else if first > offset {
        format!("goes on at offset {first}")
    } else {
        return Ok(());
    };
    Err(match read_to {
        None => LostJournal::WithoutCheckpoint { folder, problem },
        Some(read_to) => LostJournal::Replaced {
            folder,
            problem,
            read_to,
        },
    })
}
