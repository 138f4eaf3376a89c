//! The embedded store of dead letters: it survives restarts, and a record read again writes the same key.
//!
//! The raw bytes lie in a keyspace apart: tables never see them, only audited commands do.

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use fjall::PersistMode;

use super::kept::{KeptRecord, RawRecord};
use super::limits::{Limits, SMALL};
use super::open_store::{OpenStore, decode};
use super::{DeadLetter, DeadLetterError, HTTP_EVENTS, HTTP_LINES, HTTP_TOPIC, LetterKey, prefix};
use crate::disk::{Room, Writer};
use crate::words::{EventTime, Refusal};

/// After so many new letters, or so many bytes of them, it is time to look at the limits.
const LOOK_AFTER_LETTERS: u64 = 50_000;
const LOOK_AFTER_BYTES: u64 = 256 << 20;
/// Free bytes of the disk with which a store that failed is opened again.
const ROOM: u64 = 1 << 20;
/// The store. Clones share it.
///
/// After a failed write fjall takes no more; then the store is closed and opened again, which cuts off a torn write.
#[derive(Clone)]
pub struct DeadLetterStore {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) id: u64,
    pub(super) store: RwLock<Option<OpenStore>>,
    pub(super) room: Room,
    pub(super) limits: Limits,
    /// New letters since the last look at the limits, and bytes of their records.
    pub(super) new_letters: AtomicU64,
    pub(super) new_bytes: AtomicU64,
    /// Letters that went for their age or number since the process began.
    pub(super) dropped: AtomicU64,
}

impl DeadLetterStore {
    /// Opens it in a folder of its own, made when absent.
    pub fn open(folder: &Path) -> Result<Self, DeadLetterError> {
        Self::open_within(folder, Room::new(folder, 0))
    }

    /// The same, which leaves free what `room` says.
    pub fn open_within(folder: &Path, room: Room) -> Result<Self, DeadLetterError> {
        let store = OpenStore::open(folder)?;
        let shared = Shared {
            folder: folder.to_owned(),
            id: store.id()?,
            store: RwLock::new(Some(store)),
            room,
            limits: Limits::default(),
            new_letters: AtomicU64::new(0),
            new_bytes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The number by which checkpoints know this store's queues from those of other nodes.
    pub(crate) fn id(&self) -> u64 {
        self.shared.id
    }

    /// Keeps a dead letter. Whether it is new: a record that is read again changes nothing.
    /// Durable after [`persist`](Self::persist).
    ///
    /// # Errors
    /// Nothing of it is kept, or all: try again with the same key.
    pub fn insert(&self, letter: &DeadLetter, record: KeptRecord<'_>) -> Result<bool, DeadLetterError> {
        self.ask(SMALL + record.bytes.len())?;
        let is_new = self.write(|store| store.insert(letter, record))?;
        if is_new {
            let bytes = letter.kept(record.bytes).len() as u64;
            self.shared.new_letters.fetch_add(1, Ordering::Relaxed);
            self.shared.new_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(is_new)
    }

    /// Whether so much was kept since the last [`expire`](Self::expire) that its limits should be looked at.
    pub fn has_grown(&self) -> bool {
        self.shared.new_letters.load(Ordering::Relaxed) >= LOOK_AFTER_LETTERS
            || self.shared.new_bytes.load(Ordering::Relaxed) >= LOOK_AFTER_BYTES
    }

    /// How many letters went for their age or their number since the process began.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Notes that a letter was replayed and that its event is counted. Durable after [`persist`](Self::persist).
    pub fn mark_replayed(&self, key: &LetterKey, at: EventTime) -> Result<(), DeadLetterError> {
        self.ask(SMALL)?;
        self.write(|store| store.change(key, |letter| letter.replayed = Some(at)))
    }

    /// Notes why a letter that was replayed was refused again. Durable after [`persist`](Self::persist).
    pub fn mark_refused(&self, key: &LetterKey, refusal: &Refusal) -> Result<(), DeadLetterError> {
        self.ask(SMALL)?;
        self.write(|store| {
            store.change(key, |letter| {
                letter.replayed = None;
                letter.reason = refusal.reason;
                letter.detail.clone_from(&refusal.detail);
            })
        })
    }

    /// Removes all that came from a topic, and what is queued of it. Returns how many letters; durable then.
    ///
    /// # Errors
    /// Some may be gone: another call removes the rest.
    pub fn purge(&self, topic: &str) -> Result<usize, DeadLetterError> {
        self.write(|store| store.purge(topic))
    }

    /// Makes durable what was kept so far.
    pub fn persist(&self) -> Result<(), DeadLetterError> {
        self.write(|store| Ok(store.database.persist(PersistMode::SyncData)?))
    }

    /// The room on its disk.
    pub fn room(&self) -> &Room {
        &self.shared.room
    }

    /// Before anything is written: after a write that a full disk tore the store takes no more.
    pub(super) fn ask(&self, bytes: usize) -> Result<(), DeadLetterError> {
        self.shared.room.ask(Writer::DeadLetters, bytes as u64)?;
        Ok(())
    }

    pub(super) fn write<T>(
        &self,
        write: impl FnOnce(&OpenStore) -> Result<T, DeadLetterError>,
    ) -> Result<T, DeadLetterError> {
        let result = self.store().and_then(|store| write(&store));
        if matches!(result, Err(DeadLetterError::Store(_) | DeadLetterError::Closed)) {
            self.open_again();
        }
        result
    }

    pub(super) fn store(&self) -> Result<OpenStore, DeadLetterError> {
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
        self.iter_after(None)
    }

    /// Those after `key`, in the same order.
    pub fn iter_after(
        &self,
        key: Option<&LetterKey>,
    ) -> impl Iterator<Item = Result<DeadLetter, DeadLetterError>> + use<> {
        let after = key
            .map(LetterKey::bytes)
            .map_or(Bound::Unbounded, Bound::Excluded);
        let (letters, closed) = match self.store() {
            Ok(store) => (Some(store.letters.range((after, Bound::Unbounded))), None),
            Err(error) => (None, Some(Err(error))),
        };
        let letters = letters.into_iter().flatten();
        closed
            .into_iter()
            .chain(letters.map(|guard| decode(&guard.value()?)))
    }

    /// One dead letter.
    pub fn get(&self, key: &LetterKey) -> Result<Option<DeadLetter>, DeadLetterError> {
        let value = self.store()?.letters.get(key.bytes())?;
        value.map(|value| decode(&value)).transpose()
    }

    /// The record of a letter, while it is kept.
    pub fn raw(&self, key: &LetterKey) -> Result<Option<RawRecord>, DeadLetterError> {
        let (store, key) = (self.store()?, key.bytes());
        let Some(bytes) = store.raw.get(&key)? else {
            return Ok(None);
        };
        let attributes = store.attributes.get(&key)?;
        Ok(Some(RawRecord {
            bytes: bytes.to_vec(),
            attributes: attributes
                .map(|attributes| postcard::from_bytes(&attributes))
                .transpose()?,
        }))
    }

    /// The offset after the last of what the HTTP intake refused.
    pub fn next_http_offset(&self) -> Result<i64, DeadLetterError> {
        let store = self.store()?;
        let mut next = 0;
        for partition in [HTTP_EVENTS, HTTP_LINES] {
            let mut begin = prefix(HTTP_TOPIC);
            begin.extend_from_slice(&partition.to_be_bytes());
            if let Some(guard) = store.letters.prefix(begin).next_back() {
                next = next.max(decode(&guard.value()?)?.offset + 1);
            }
        }
        Ok(next)
    }
}

impl std::fmt::Debug for DeadLetterStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DeadLetterStore")
    }
}

#[cfg(test)]
mod tests {
    use super::super::RAW_BYTES;
    use super::super::limits::RAW_RETENTION;
    use super::*;
    use crate::words::RefusalReason;

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
            assert!(store.insert(&letter(7), b"record"[..].into()).unwrap());
            assert!(!store.insert(&letter(7), b"record"[..].into()).unwrap());
            assert!(
                store
                    .insert(&letter_for(3, RefusalReason::TooLarge), long[..].into())
                    .unwrap()
            );
            assert!(store.insert(&letter(5), long[..].into()).unwrap());
            store.persist().unwrap();
        }
        let store = DeadLetterStore::open(folder.path()).unwrap();
        let offsets: Vec<i64> = store.iter().map(|letter| letter.unwrap().offset).collect();
        assert_eq!(offsets, [3, 5, 7]);
        assert_eq!(store.next_http_offset().unwrap(), 8);
        assert_eq!(
            store.raw(&letter(3).key()).unwrap().unwrap().bytes.len(),
            RAW_BYTES
        );
        assert_eq!(
            store.raw(&letter(5).key()).unwrap().unwrap().bytes.len(),
            long.len()
        );
        assert_eq!(
            store.expire(EventTime::from_micros(5 + RAW_RETENTION)).unwrap(),
            3
        );
        assert_eq!(store.raw(&letter(7).key()).unwrap(), None);
        assert_eq!(store.iter().count(), 0);
    }
}
