//! What a worker is at, in a file that outlives the process: so that a record which ends the process itself is known at
//! the next start.
//!
//! A batch costs two small writes and no fsync: what the process wrote the system keeps when only the process ends. Only
//! records that are suspect (of a batch in which the process ended, say) are noted one by one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::tries::{Subject, Tries};
use crate::words::PartitionId;

/// Bytes of a note, filled up with blanks: a shorter one leaves nothing of a longer one behind. Topics have 249 characters at
/// most, and names of file feeds 64.
const NOTE_BYTES: usize = 1024;

/// What a worker is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    partition: PartitionId,
    at: At,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum At {
    /// Some record from the first to the last of these.
    Batch(i64, i64),
    /// One event or replay, which was tried so often, this time included.
    One(Subject, u32),
}

/// The note of one worker.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// None where nothing is to outlive the process.
    file: Option<File>,
}

impl Attempts {
    /// The note of a worker in a folder, made when absent.
    pub(super) fn open(folder: &Path, worker: usize) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("worker-{worker}.json"));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Ok(Self { file: Some(file) })
    }

    /// A batch is begun.
    pub(super) fn batch(&self, partition: &PartitionId, (first, last): (i64, i64)) {
        self.write(partition, At::Batch(first, last));
    }

    /// A suspect event or replay is tried.
    pub(super) fn one(&self, partition: &PartitionId, subject: Subject, tries: u32) {
        self.write(partition, At::One(subject, tries));
    }

    /// Nothing is tried: whoever ends the process now, it is no record.
    pub(super) fn none(&self) {
        self.put(Vec::new());
    }

    fn write(&self, partition: &PartitionId, at: At) {
        if self.file.is_none() {
            return;
        }
        let note = Note {
            partition: partition.clone(),
            at,
        };
        // A note that cannot be encoded, which would be a defect, is none.
        self.put(serde_json::to_vec(&note).unwrap_or_default());
    }

    fn put(&self, mut note: Vec<u8>) {
        let Some(file) = &self.file else { return };
        note.resize(NOTE_BYTES.max(note.len()), b' ');
        if let Err(error) = file.write_all_at(&note, 0) {
            // Ingest goes on: without the note a record that ends the process is found later.
            tracing::debug!(%error, "what a worker is at cannot be noted");
        }
    }
}

/// What the workers of the process before were at when it ended, by partition.
pub(super) fn left_behind(folder: &Path) -> Vec<(PartitionId, Tries)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let notes = entries.filter_map(|entry| {
        let note: Note = serde_json::from_slice(&fs::read(entry.ok()?.path()).ok()?).ok()?;
        let mut tries = Tries::default();
        match note.at {
            At::Batch(first, last) => tries.watch(first, last),
            At::One(subject, number) => tries.set(subject, number),
        }
        tracing::warn!(partition = %note.partition, at = ?note.at, "the process ended while this was applied; it is tried with care");
        Some((note.partition, tries))
    });
    notes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_was_at_is_known_after_the_process_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("attempts");
        assert!(left_behind(&folder).is_empty());
        let id = PartitionId::of_file("a_feed");
        let event = Subject::Event(17, 3);
        let attempts = Attempts::open(&folder, 0).unwrap();
        attempts.batch(&id, (10, i64::MAX));
        let of_batch = left_behind(&folder);
        assert!(of_batch[0].0 == id && of_batch[0].1.concern(10) && !of_batch[0].1.concern(9));
        attempts.one(&id, event, 2);
        assert_eq!(left_behind(&folder)[0].1.of(event), 2);
        attempts.none();
        assert!(left_behind(&folder).is_empty());
        // The next process begins without a note.
        attempts.one(&id, event, 1);
        drop(Attempts::open(&folder, 0).unwrap());
        assert!(left_behind(&folder).is_empty());
    }
}
