//! The journal's store while it is open.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::entry::{key, received_of};
use super::error::JournalError;
use crate::disk::embedded_store;
use crate::words::EventTime;

/// Entries that are dropped by one write.
pub(super) const EXPIRED_AT_ONCE: usize = 1_000;
#[derive(Clone)]
pub(super) struct OpenStore {
    pub(super) database: Database,
    pub(super) entries: Keyspace,
}

impl OpenStore {
    pub(super) fn open(folder: &Path) -> Result<Self, JournalError> {
        let database = embedded_store::open(folder)?;
        let entries = database.keyspace("entries", KeyspaceCreateOptions::default)?;
        Ok(Self { database, entries })
    }

    /// Drops some of the entries below `end` that were received before `received`; returns how many.
    pub(super) fn expire(&self, end: i64, received: EventTime) -> Result<usize, JournalError> {
        let mut batch = self.database.batch();
        let mut dropped = 0;
        for guard in self.entries.range(..key(end)).take(EXPIRED_AT_ONCE) {
            let (key, value) = guard.into_inner()?;
            if received_of(&value).is_some_and(|at| at >= received) {
                break;
            }
            batch.remove(&self.entries, key);
            dropped += 1;
        }
        if dropped > 0 {
            batch.commit()?;
        }
        Ok(dropped)
    }

    /// Removes what a failed write left behind whole: its requests were told that nothing of them is kept.
    pub(super) fn remove_from(&self, offset: i64) -> Result<(), JournalError> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for guard in self.entries.range(key(offset)..) {
            batch.remove(&self.entries, guard.key()?);
        }
        Ok(batch.commit()?)
    }

    pub(super) fn end(&self) -> Result<i64, JournalError> {
        let Some(last) = self.entries.last_key_value() else {
            return Ok(0);
        };
        let key = last.key()?;
        let bytes: [u8; 8] = key.as_ref().try_into().map_err(|_| JournalError::DamagedKey)?;
        Ok(u64::from_be_bytes(bytes) as i64 + 1)
    }
}
