//! What Kafka's retention has left of a topic.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;

use crate::log::kafka::KafkaSettings;

/// Longest wait for one answer of the broker.
const ANSWER: Duration = Duration::from_secs(10);

/// The oldest offset that each partition of a topic still holds; as many records before it are gone at most.
///
/// # Errors
/// The broker does not answer.
pub fn oldest_offsets(settings: &KafkaSettings, topic: &str) -> KafkaResult<Vec<(i32, i64)>> {
    let consumer: BaseConsumer = settings.client().create()?;
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let found = metadata.topics().iter().filter(|found| found.name() == topic);
    let partitions = found.flat_map(rdkafka::metadata::MetadataTopic::partitions);
    partitions
        .map(|partition| {
            let (oldest, _) = consumer.fetch_watermarks(topic, partition.id(), ANSWER)?;
            Ok((partition.id(), oldest))
        })
        .collect()
}
