//! The embedded store of dead letters: it survives restarts, and a record read again writes the same key.
//!
//! The raw bytes lie in a keyspace apart: tables never see them, only audited commands do.

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{DeadLetter, DeadLetterError, HTTP_EVENTS, HTTP_LINES, HTTP_TOPIC, LetterKey, prefix};
use crate::decode::cloudevent::BinaryAttributes;
use crate::embedded_store;
use crate::refusal::Refusal;
use crate::room::{Room, Writer};
use crate::time::{DAY, EventTime};

/// How long raw bytes are kept, in microseconds after the record was received.
const RAW_RETENTION: i64 = 30 * DAY;
/// Free bytes of the disk with which a store that failed is opened again.
const ROOM: u64 = 1 << 20;
/// Bytes around a record, or of a note about one.
const SMALL: usize = 4 << 10;
/// The store. Clones share it.
///
/// After a failed write fjall takes no more; then the store is closed and opened again, which cuts off a torn write.
#[derive(Clone)]
pub struct DeadLetterStore {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    id: u64,
    store: RwLock<Option<OpenStore>>,
    room: Room,
}

#[derive(Clone)]
pub(super) struct OpenStore {
    pub(super) database: Database,
    letters: Keyspace,
    raw: Keyspace,
    /// Of records in binary mode.
    attributes: Keyspace,
    pub(super) replays: Keyspace,
}

/// A record as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct KeptRecord<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Its attributes, when it is in binary mode.
    pub attributes: Option<&'a BinaryAttributes<'a>>,
}

impl<'a> From<&'a [u8]> for KeptRecord<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            attributes: None,
        }
    }
}

/// A record as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Its bytes, of one that was too large the first 64 KiB.
    pub bytes: Vec<u8>,
    /// Its attributes, when it was in binary mode.
    pub attributes: Option<BinaryAttributes<'static>>,
}

impl OpenStore {
    fn open(folder: &Path) -> Result<Self, DeadLetterError> {
        let database = embedded_store::open(folder)?;
        let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default);
        let (letters, raw) = (keyspace("letters")?, keyspace("raw")?);
        let (attributes, replays) = (keyspace("attributes")?, keyspace("replays")?);
        Ok(Self {
            database,
            letters,
            raw,
            attributes,
            replays,
        })
    }

    /// The number by which checkpoints know this store's queues from those of other nodes.
    fn id(&self) -> Result<u64, DeadLetterError> {
        let meta = self.database.keyspace("meta", KeyspaceCreateOptions::default)?;
        if let Some(bytes) = meta.get("id")?
            && let Ok(bytes) = bytes.as_ref().try_into()
        {
            return Ok(u64::from_be_bytes(bytes));
        }
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)?;
        meta.insert("id", bytes)?;
        self.database.persist(PersistMode::SyncData)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn insert(&self, letter: &DeadLetter, record: KeptRecord<'_>) -> Result<bool, DeadLetterError> {
        let key = letter.key().bytes();
        if self.letters.contains_key(&key)? {
            return Ok(false);
        }
        // Past the process's own buffer each: a failure later on then tears none of those that were kept before.
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        batch.insert(&self.raw, key.as_slice(), letter.kept(record.bytes));
        if let Some(attributes) = record.attributes {
            let attributes = postcard::to_stdvec(attributes)?;
            batch.insert(&self.attributes, key.as_slice(), attributes);
        }
        batch.insert(&self.letters, key, encode(letter)?);
        batch.commit()?;
        Ok(true)
    }

    fn change(&self, key: &LetterKey, change: impl FnOnce(&mut DeadLetter)) -> Result<(), DeadLetterError> {
        let key = key.bytes();
        let Some(value) = self.letters.get(&key)? else {
            return Ok(());
        };
        let mut letter = decode(&value)?;
        change(&mut letter);
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        batch.insert(&self.letters, key, encode(&letter)?);
        Ok(batch.commit()?)
    }

    fn purge(&self, topic: &str) -> Result<usize, DeadLetterError> {
        let mut removed = 0;
        // Letters last: while there is one, another purge finds the rest of it.
        for keyspace in [&self.replays, &self.attributes, &self.raw, &self.letters] {
            removed = 0;
            for guard in keyspace.prefix(prefix(topic)) {
                keyspace.remove(guard.key()?)?;
                removed += 1;
            }
        }
        self.database.persist(PersistMode::SyncAll)?;
        Ok(removed)
    }
}

/// The time of the replay follows the rest, where there is one.
fn encode(letter: &DeadLetter) -> Result<Vec<u8>, DeadLetterError> {
    let mut bytes = postcard::to_stdvec(letter)?;
    if let Some(replayed) = letter.replayed {
        bytes.extend_from_slice(&postcard::to_stdvec(&replayed)?);
    }
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<DeadLetter, DeadLetterError> {
    let (mut letter, rest) = postcard::take_from_bytes::<DeadLetter>(bytes)?;
    if !rest.is_empty() {
        letter.replayed = Some(postcard::from_bytes(rest)?);
    }
    Ok(letter)
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
        self.write(|store| store.insert(letter, record))
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

    /// Drops raw bytes of records received 30 days or more before `now`, and what was asked to be replayed then. Returns
    /// of how many records.
    pub fn expire(&self, now: EventTime) -> Result<usize, DeadLetterError> {
        let store = self.store()?;
        self.ask(SMALL)?;
        store.expire_replays(now.plus(-RAW_RETENTION))?;
        let mut dropped = 0;
        for letter in self.iter() {
            let letter = letter?;
            let key = letter.key().bytes();
            if now.since(letter.time) >= RAW_RETENTION && store.raw.contains_key(&key)? {
                store.attributes.remove(key.as_slice())?;
                store.raw.remove(key)?;
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
    use crate::dead_letter::RAW_BYTES;
    use crate::refusal::RefusalReason;

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
    }
}
