//! Dead letters: every refused record, once, under its key (topic, partition, offset, index of the event in it).
//!
//! Kept in an embedded store of their own, so that they survive restarts and a record read again writes the same key.
//! The raw bytes lie in a keyspace apart: tables never see them, only audited commands do.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use serde::{Deserialize, Serialize};

use crate::refusal::{Refusal, RefusalReason};
use crate::time::{DAY, EventTime};

/// Raw bytes kept of a record that is too large.
pub const RAW_BYTES: usize = 64 * 1024;
/// How long raw bytes are kept, in microseconds after the record was received.
const RAW_RETENTION: i64 = 30 * DAY;
/// Free bytes of the disk with which a store that failed is opened again.
const ROOM: u64 = 1 << 20;
/// The topic of what the HTTP intake refused.
pub const HTTP_TOPIC: &str = "http";

/// One refused record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where it was read from; `http` for what the intake refused.
    pub topic: Arc<str>,
    /// Partition of the topic.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Which event of the record, counted from 0.
    pub index: u32,
    /// When the record was received.
    pub time: EventTime,
    /// Why it was refused.
    pub reason: RefusalReason,
    /// What was seen and what is allowed.
    pub detail: String,
    /// Bytes of the whole record.
    pub size: u64,
    /// XXH3-128 of the whole record.
    pub hash: u128,
}

impl DeadLetter {
    /// The dead letter of `record`, refused as a whole or in its event `index`.
    pub fn new(
        place: (&Arc<str>, i32, i64, u32),
        received: EventTime,
        refusal: &Refusal,
        record: &[u8],
    ) -> Self {
        Self {
            topic: Arc::clone(place.0),
            partition: place.1,
            offset: place.2,
            index: place.3,
            time: received,
            reason: refusal.reason,
            detail: refusal.detail.clone(),
            size: record.len() as u64,
            hash: twox_hash::XxHash3_128::oneshot(record),
        }
    }

    /// The bytes that are kept of its record: all, or the first ones of one that is too large.
    pub fn kept<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        match self.reason {
            RefusalReason::TooLarge => record.get(..RAW_BYTES).unwrap_or(record),
            _ => record,
        }
    }

    /// Orders by topic, partition, offset, index.
    fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.topic.len() + 17);
        key.extend_from_slice(self.topic.as_bytes());
        key.push(0);
        key.extend_from_slice(&self.partition.to_be_bytes());
        key.extend_from_slice(&self.offset.to_be_bytes());
        key.extend_from_slice(&self.index.to_be_bytes());
        key
    }
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The embedded store failed.
    #[error("the store of dead letters: {0}")]
    Store(#[from] fjall::Error),
    /// It failed before, and could not be opened again yet.
    #[error("the store of dead letters is closed after an error; it is opened again when its disk has room")]
    Closed,
    /// A row cannot be read.
    #[error("a dead letter is damaged: {0}")]
    Damaged(#[from] postcard::Error),
}

/// The store. Clones share it.
///
/// After a failed write fjall takes no more; then the store is closed and opened again, which cuts off a torn write.
#[derive(Clone)]
pub struct DeadLetterStore {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    store: RwLock<Option<OpenStore>>,
}

#[derive(Clone)]
struct OpenStore {
    database: Database,
    letters: Keyspace,
    raw: Keyspace,
}

impl OpenStore {
    fn open(folder: &Path) -> Result<Self, DeadLetterError> {
        let database = Database::builder(folder).cache_size(8 << 20).open()?;
        let letters = database.keyspace("letters", KeyspaceCreateOptions::default)?;
        let raw = database.keyspace("raw", KeyspaceCreateOptions::default)?;
        Ok(Self {
            database,
            letters,
            raw,
        })
    }

    fn insert(&self, letter: &DeadLetter, record: &[u8]) -> Result<bool, DeadLetterError> {
        let key = letter.key();
        if self.letters.contains_key(&key)? {
            return Ok(false);
        }
        // Past the process's own buffer each: a failure later on then tears none of those that were kept before.
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        batch.insert(&self.raw, key.as_slice(), letter.kept(record));
        batch.insert(&self.letters, key, postcard::to_stdvec(letter)?);
        batch.commit()?;
        Ok(true)
    }
}

impl DeadLetterStore {
    /// Opens it in a folder of its own, made when absent.
    pub fn open(folder: &Path) -> Result<Self, DeadLetterError> {
        let store = OpenStore::open(folder)?;
        let shared = Shared {
            folder: folder.to_owned(),
            store: RwLock::new(Some(store)),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Keeps a dead letter. Whether it is new: a record that is read again changes nothing.
    /// Durable after [`persist`](Self::persist).
    ///
    /// # Errors
    /// Nothing of it is kept, or all: try again with the same key.
    pub fn insert(&self, letter: &DeadLetter, record: &[u8]) -> Result<bool, DeadLetterError> {
        self.write(|store| store.insert(letter, record))
    }

    /// Makes durable what was kept so far.
    pub fn persist(&self) -> Result<(), DeadLetterError> {
        self.write(|store| Ok(store.database.persist(PersistMode::SyncData)?))
    }

    fn write<T>(
        &self,
        write: impl FnOnce(&OpenStore) -> Result<T, DeadLetterError>,
    ) -> Result<T, DeadLetterError> {
        let result = self.store().and_then(|store| write(&store));
        if matches!(result, Err(DeadLetterError::Store(_) | DeadLetterError::Closed)) {
            self.open_again();
        }
        result
    }

    fn store(&self) -> Result<OpenStore, DeadLetterError> {
        let store = self.shared.store.read().unwrap_or_else(PoisonError::into_inner);
        store.clone().ok_or(DeadLetterError::Closed)
    }

    /// For the next try. While the disk has no room, reading goes on with what is there.
    fn open_again(&self) {
        if fs4::available_space(&self.shared.folder).is_ok_and(|room| room < ROOM) {
            return;
        }
        let mut store = self.shared.store.write().unwrap_or_else(PoisonError::into_inner);
        *store = None;
        match OpenStore::open(&self.shared.folder) {
            Ok(opened) => *store = Some(opened),
            Err(error) => tracing::error!(%error, "the store of dead letters stays closed for now"),
        }
    }

    /// All dead letters, ordered by topic, partition, offset and index.
    pub fn iter(&self) -> impl Iterator<Item = Result<DeadLetter, DeadLetterError>> + use<> {
        let (letters, closed) = match self.store() {
            Ok(store) => (Some(store.letters.iter()), None),
            Err(error) => (None, Some(Err(error))),
        };
        let letters = letters.into_iter().flatten();
        closed
            .into_iter()
            .chain(letters.map(|guard| Ok(postcard::from_bytes(&guard.value()?)?)))
    }

    /// The record's bytes, of one that was too large the first 64 KiB, while they are kept.
    pub fn raw(&self, letter: &DeadLetter) -> Result<Option<Vec<u8>>, DeadLetterError> {
        Ok(self.store()?.raw.get(letter.key())?.map(|bytes| bytes.to_vec()))
    }

    /// The offset after the last of what the HTTP intake refused.
    pub fn next_http_offset(&self) -> Result<i64, DeadLetterError> {
        let mut prefix = HTTP_TOPIC.as_bytes().to_vec();
        prefix.push(0);
        match self.store()?.letters.prefix(prefix).next_back() {
            Some(guard) => {
                let letter: DeadLetter = postcard::from_bytes(&guard.value()?)?;
                Ok(letter.offset + 1)
            }
            None => Ok(0),
        }
    }

    /// Drops raw bytes of records received 30 days or more before `now`. Returns how many.
    pub fn expire_raw(&self, now: EventTime) -> Result<usize, DeadLetterError> {
        let raw = self.store()?.raw;
        let mut dropped = 0;
        for letter in self.iter() {
            let letter = letter?;
            if now.since(letter.time) >= RAW_RETENTION && raw.contains_key(letter.key())? {
                raw.remove(letter.key())?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }
}

impl std::fmt::Debug for DeadLetterStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DeadLetterStore")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_read_again_is_kept_once_and_survives_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let topic: Arc<str> = HTTP_TOPIC.into();
        let letter_for = |offset, reason| {
            let refusal = Refusal::new(reason, String::new());
            DeadLetter::new(
                (&topic, 0, offset, 1),
                EventTime::from_micros(5),
                &refusal,
                b"record",
            )
        };
        let letter = |offset| letter_for(offset, RefusalReason::MissingField);
        let long = vec![1; 100_000];
        {
            let store = DeadLetterStore::open(folder.path()).unwrap();
            assert!(store.insert(&letter(7), b"record").unwrap());
            assert!(!store.insert(&letter(7), b"record").unwrap());
            assert!(
                store
                    .insert(&letter_for(3, RefusalReason::TooLarge), &long)
                    .unwrap()
            );
            assert!(store.insert(&letter(5), &long).unwrap());
            store.persist().unwrap();
        }
        let store = DeadLetterStore::open(folder.path()).unwrap();
        let offsets: Vec<i64> = store.iter().map(|letter| letter.unwrap().offset).collect();
        assert_eq!(offsets, [3, 5, 7]);
        assert_eq!(store.next_http_offset().unwrap(), 8);
        assert_eq!(store.raw(&letter(3)).unwrap().unwrap().len(), RAW_BYTES);
        assert_eq!(store.raw(&letter(5)).unwrap().unwrap().len(), long.len());
        assert_eq!(
            store
                .expire_raw(EventTime::from_micros(5 + RAW_RETENTION))
                .unwrap(),
            3
        );
        assert_eq!(store.raw(&letter(7)).unwrap(), None);
    }
}
