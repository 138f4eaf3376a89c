//! What sources hand to the pipeline: records of one partition, in the order of their offsets.

use std::sync::Arc;

use super::kafka::MessageBatch;
use super::record::{Feed, Record};
use crate::words::PartitionId;

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
    pub(crate) fn offsets(&self) -> Option<(i64, i64)> {
        match &self.records {
            Records::Owned(records) => Some((records.first()?.offset, records.last()?.offset)),
            Records::Kafka(messages) => Some((messages.iter().next()?.offset(), messages.next_offset() - 1)),
            Records::NoneBefore(next) => Some((*next, *next - 1)),
        }
    }

    /// Bytes of its records.
    pub(crate) fn bytes(&self) -> usize {
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
