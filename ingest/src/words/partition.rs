//! A partition of the log, as everybody speaks of it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::time::EventTime;

/// A partition of the log: a Kafka topic's, the journal (`journal`, 0), or a file feed (`file:<name>`, 0).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartitionId {
    /// Topic.
    pub topic: Arc<str>,
    /// Number in the topic.
    pub partition: i32,
}

/// The topic that the journal's partition has.
const JOURNAL: &str = "journal";
/// How the topics of file feeds begin; no Kafka topic may have a colon.
const FILE: &str = "file:";

impl PartitionId {
    /// The embedded journal.
    pub fn of_journal() -> Self {
        Self {
            topic: JOURNAL.into(),
            partition: 0,
        }
    }

    /// The file that a feed reads.
    pub fn of_file(feed: &str) -> Self {
        Self {
            topic: format!("{FILE}{feed}").into(),
            partition: 0,
        }
    }

    /// Whether it is what people call by this name: a topic, one partition of it as `topic/0`, or the feed that reads a file.
    pub fn is_called(&self, name: &str) -> bool {
        let topic = self.topic.strip_prefix(FILE).unwrap_or(&self.topic);
        topic == name || *self.topic == *name || self.to_string() == name
    }

    /// Whether only one node can have it: a journal or a file, which are never another node's.
    pub fn is_of_one_node(&self) -> bool {
        &*self.topic == JOURNAL || self.topic.starts_with(FILE)
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.topic, self.partition)
    }
}

/// What a partition knows of time when an event is judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartitionClock {
    /// Events before this are too late; `None` before the first accepted event, and for the HTTP intake,
    /// which leaves lateness to the partition.
    pub oldest_admitted: Option<EventTime>,
}
