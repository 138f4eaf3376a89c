//! What sources hand to the pipeline: records of one partition, in the order of their offsets.

use std::sync::Arc;

use crate::dead_letter::KeptRecord;
use crate::decode::cloudevent::{BinaryAttributes, decode_binary, decode_structured};
use crate::decode::feed::FeedMapper;
use crate::edge::FeedRules;
use crate::event::Candidate;
use crate::grid::PartitionId;
use crate::refusal::Refusal;
use crate::source::kafka::MessageBatch;
use crate::time::EventTime;

/// Records of one partition, in order.
#[derive(Debug)]
pub struct PartitionBatch {
    /// Which partition.
    pub partition: PartitionId,
    /// The feed that maps it; none for CloudEvents.
    pub feed: Option<Arc<Feed>>,
    /// Ascending offsets.
    pub records: Records,
    /// Whether the source had nothing more when it read these: the partition is caught up.
    pub caught_up: bool,
}

impl PartitionBatch {
    /// The offsets of its first and its last record; of the end of a log, none that is before it; none of a batch without
    /// records.
    pub(super) fn offsets(&self) -> Option<(i64, i64)> {
        match &self.records {
            Records::Owned(records) => Some((records.first()?.offset, records.last()?.offset)),
            Records::Kafka(messages) => Some((messages.iter().next()?.offset(), messages.next_offset() - 1)),
            Records::NoneBefore(next) => Some((*next, *next - 1)),
        }
    }

    /// Bytes of its records.
    pub(super) fn bytes(&self) -> usize {
        match &self.records {
            Records::Owned(records) => records.iter().map(|record| record.payload.bytes()).sum(),
            Records::Kafka(messages) => messages.iter().map(|message| message.payload().len()).sum(),
            Records::NoneBefore(_) => 0,
        }
    }
}

/// The records of a batch, owned or still where librdkafka put them.
#[derive(Debug)]
pub enum Records {
    /// Of the journal and of files.
    Owned(Vec<Record>),
    /// Messages of Kafka, not copied.
    Kafka(MessageBatch),
    /// There are none before this offset that were not handed over.
    NoneBefore(i64),
}

/// A mapped feed, compiled.
#[derive(Debug)]
pub struct Feed {
    /// Its name.
    pub name: String,
    /// Rows to candidates.
    pub mapper: FeedMapper,
    /// What holds for all its events.
    pub rules: FeedRules,
}

/// One record of the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its offset in the partition.
    pub offset: i64,
    /// When the log received it; `in_future` compares with it.
    pub received: EventTime,
    /// What it holds.
    pub payload: Payload,
}

/// The forms in which owned records hold events.
#[derive(Clone, Debug)]
pub enum Payload {
    /// One CloudEvent in structured mode.
    Structured(Vec<u8>),
    /// The events of one HTTP request, each in structured mode.
    Group(Vec<Vec<u8>>),
    /// A row of a mapped feed.
    Row(Vec<u8>),
    /// More bytes than are read at all: the first ones, and how many there were.
    TooLarge(Vec<u8>, u64),
}

impl Payload {
    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Structured(bytes) | Self::Row(bytes) | Self::TooLarge(bytes, _) => bytes.len(),
            Self::Group(events) => events.iter().map(Vec::len).sum(),
        }
    }
}

/// The bytes of one or more events, wherever they lie.
#[derive(Clone, Debug)]
pub(crate) enum EventBytes<'a> {
    /// One CloudEvent in structured mode.
    Structured(&'a [u8]),
    /// One CloudEvent in binary mode.
    Binary(BinaryAttributes<'a>, &'a [u8]),
    /// A row of a mapped feed.
    Row(&'a Feed, &'a [u8]),
}

impl<'a> EventBytes<'a> {
    /// What a dead letter keeps.
    pub(crate) fn kept(&self) -> KeptRecord<'_> {
        match self {
            Self::Structured(bytes) | Self::Row(_, bytes) => (*bytes).into(),
            Self::Binary(attributes, bytes) => KeptRecord {
                bytes,
                attributes: Some(attributes),
            },
        }
    }

    /// Reads the events, and calls `judge` with each one's place among them.
    pub(crate) fn decode(&self, mut judge: impl FnMut(u32, Result<Candidate<'a>, Refusal>)) {
        match self {
            Self::Structured(bytes) => judge(0, decode_structured(bytes)),
            Self::Binary(attributes, bytes) => judge(0, decode_binary(attributes.clone(), bytes)),
            Self::Row(feed, bytes) => {
                for (index, candidate) in (0..).zip(feed.mapper.map(bytes)) {
                    judge(index, candidate);
                }
            }
        }
    }
}
