//! Dead letters: every refused record, once, under its key (topic, partition, offset, index of the event in it), and
//! what was asked to be replayed of them.

mod kept;
mod limits;
mod open_store;
mod replays;
mod store;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::disk::{NoRoom, StoreOpenError};
use crate::words::{EventTime, PartitionId, Refusal, RefusalReason};

pub use kept::{KeptRecord, RawRecord};
pub(crate) use replays::QueuedReplay;
pub use store::DeadLetterStore;

/// Raw bytes kept of a record that is too large.
pub const RAW_BYTES: usize = 64 * 1024;
/// The topic of what the HTTP intake refused.
pub const HTTP_TOPIC: &str = "http";
/// The partition of [`HTTP_TOPIC`] whose letters are one event each.
pub const HTTP_EVENTS: i32 = 0;
/// The partition of [`HTTP_TOPIC`] whose letters are events one a line: what a request had refused beyond those told one by one.
pub const HTTP_LINES: i32 = 1;

/// Under what a dead letter is kept. In order of topic, partition, offset and index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LetterKey {
    /// Where it was read from; `http` for what the intake refused.
    pub topic: Arc<str>,
    /// Partition of the topic.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Which event of the record, counted from 0.
    pub index: u32,
}

impl LetterKey {
    /// The partition that refused it.
    pub fn partition_id(&self) -> PartitionId {
        PartitionId {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
        }
    }

    /// Orders by topic, partition, offset, index.
    fn bytes(&self) -> Vec<u8> {
        let mut key = prefix(&self.topic);
        key.reserve(16);
        key.extend_from_slice(&self.partition.to_be_bytes());
        key.extend_from_slice(&self.offset.to_be_bytes());
        key.extend_from_slice(&self.index.to_be_bytes());
        key
    }
}

/// How all keys of a topic begin.
fn prefix(topic: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(topic.len() + 17);
    key.extend_from_slice(topic.as_bytes());
    key.push(0);
    key
}

impl fmt::Display for LetterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic,
            partition,
            offset,
            index,
        } = self;
        write!(formatter, "{topic}/{partition}/{offset}/{index}")
    }
}

/// Not of the form `topic/partition/offset/index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is topic/partition/offset/index, for example journal/0/17/0")]
pub struct InvalidKey;

impl FromStr for LetterKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        // From the end: the name of a file feed may hold anything.
        let mut parts = text.rsplitn(4, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or(InvalidKey);
        let (index, offset, partition, topic) = (next()?, next()?, next()?, next()?);
        let parts = (partition.parse(), offset.parse(), index.parse());
        let (Ok(partition), Ok(offset), Ok(index)) = parts else {
            return Err(InvalidKey);
        };
        Ok(Self {
            topic: topic.into(),
            partition,
            offset,
            index,
        })
    }
}

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
    /// Why it was refused, the last time.
    pub reason: RefusalReason,
    /// What was seen and what is allowed.
    pub detail: String,
    /// Bytes of the whole record.
    pub size: u64,
    /// XXH3-128 of the whole record.
    pub hash: u128,
    /// When it was replayed and no longer refused: its event is counted.
    #[serde(skip)]
    pub replayed: Option<EventTime>,
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
            replayed: None,
        }
    }

    /// Under what it is kept.
    pub fn key(&self) -> LetterKey {
        LetterKey {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            offset: self.offset,
            index: self.index,
        }
    }

    /// Whether its record is events one a line, of the HTTP intake.
    pub fn is_lines(&self) -> bool {
        self.partition == HTTP_LINES && *self.topic == *HTTP_TOPIC
    }

    /// The bytes that are kept of its record: all, or the first ones of one that is too large.
    pub fn kept<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        match self.reason {
            // Of events that share a letter each was cut before.
            RefusalReason::TooLarge if !self.is_lines() => record.get(..RAW_BYTES).unwrap_or(record),
            _ => record,
        }
    }
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The embedded store failed.
    #[error("the store of dead letters: {0}")]
    Store(#[from] fjall::Error),
    /// It cannot be opened.
    #[error("the store of dead letters: {0}")]
    Open(#[from] StoreOpenError),
    /// Less room than is kept in reserve.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// It failed before, and could not be opened again yet.
    #[error("the store of dead letters is closed after an error; it is opened again when its disk has room")]
    Closed,
    /// A row cannot be read.
    #[error("a dead letter is damaged: {0}")]
    Damaged(#[from] postcard::Error),
    /// The operating system gave no random bytes.
    #[error("no random number for the store of dead letters: {0}")]
    Random(#[from] getrandom::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for text in ["journal/0/17/0", "file:a/b c/0/-3/4294967295", "t/2147483647/0/1"] {
            assert_eq!(text.parse::<LetterKey>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "journal",
            "journal/0/1",
            "/0/1/2",
            "t/0/1/-1",
            "t/0/x/1",
            "t/0/1/2/",
        ] {
            assert_eq!(text.parse::<LetterKey>(), Err(InvalidKey), "{text}");
        }
    }
}
