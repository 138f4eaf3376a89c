//! Records of the log and the bytes of their events.

use crate::dead_letter::KeptRecord;
use crate::decode::cloudevent::{decode_binary, decode_structured};
use crate::decode::feed::FeedMapper;
use crate::edge::FeedRules;
use crate::words::{BinaryAttributes, Candidate, EventTime, Refusal};

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
