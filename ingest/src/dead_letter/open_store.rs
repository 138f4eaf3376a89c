//! The store of dead letters while it is open. The raw bytes lie in a keyspace apart.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::kept::KeptRecord;
use super::{DeadLetter, DeadLetterError, LetterKey, prefix};
use crate::disk::embedded_store;

#[derive(Clone)]
pub(super) struct OpenStore {
    pub(super) database: Database,
    pub(super) letters: Keyspace,
    pub(super) raw: Keyspace,
    /// Of records in binary mode.
    pub(super) attributes: Keyspace,
    pub(super) replays: Keyspace,
}

impl OpenStore {
    pub(super) fn open(folder: &Path) -> Result<Self, DeadLetterError> {
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
    pub(super) fn id(&self) -> Result<u64, DeadLetterError> {
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

    pub(super) fn insert(
        &self,
        letter: &DeadLetter,
        record: KeptRecord<'_>,
    ) -> Result<bool, DeadLetterError> {
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

    pub(super) fn change(
        &self,
        key: &LetterKey,
        change: impl FnOnce(&mut DeadLetter),
    ) -> Result<(), DeadLetterError> {
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

    pub(super) fn purge(&self, topic: &str) -> Result<usize, DeadLetterError> {
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

pub(super) fn decode(bytes: &[u8]) -> Result<DeadLetter, DeadLetterError> {
    let (mut letter, rest) = postcard::take_from_bytes::<DeadLetter>(bytes)?;
    if !rest.is_empty() {
        letter.replayed = Some(postcard::from_bytes(rest)?);
    }
    Ok(letter)
}
