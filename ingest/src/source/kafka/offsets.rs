//! Whether the offsets of checkpoints still mean the log that was read: a topic that was deleted and made anew has other
//! records under them, and what retention deleted was never counted. Such a partition is not read, and it is said why.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::checkpoint::{folder_name, topic_name};
use crate::words::PartitionId;

/// Longest wait for one answer of the broker.
const ANSWER: Duration = Duration::from_secs(1);

/// What may be read, from which offsets, and why the rest may not.
#[derive(Default)]
pub(super) struct Compared {
    pub(super) read: TopicPartitionList,
    pub(super) problems: Vec<String>,
    /// Topics that the broker said nothing of: they are compared again.
    pub(super) waiting: Vec<String>,
    /// Some of them are there, as far as is known.
    pub(super) is_untold: bool,
    /// From where to where what is read now lay in the log.
    pub(super) spans: BTreeMap<PartitionId, (i64, i64)>,
    /// How many partitions the topics have.
    pub(super) counts: BTreeMap<String, i32>,
}

/// A partition of this node: the next offset to read, unless it is new, and the first offset and the end of its log.
#[derive(Clone, Copy)]
struct Seen {
    partition: i32,
    next: Option<i64>,
    first: i64,
    end: i64,
}

/// Compares the next offsets, those of partitions that were not given included, with what the broker says.
pub(super) fn compare<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    subscribed: &[String],
    given: &BTreeSet<PartitionId>,
    next: &BTreeMap<PartitionId, i64>,
) -> Compared {
    let mut compared = Compared::default();
    for topic in subscribed {
        let given = given.iter().filter(|id| *id.topic == **topic);
        let partitions: Vec<i32> = given.map(|id| id.partition).collect();
        match compare_topic(consumer, topic, &partitions, next, &mut compared) {
            Err(error) if !partitions.is_empty() => {
                compared.is_untold |= !is_unknown(&error);
                compared
                    .waiting
                    .push(format!("Kafka topic `{topic}` is not read yet: {error}"));
            }
            // Nothing of it is this node's to read.
            Ok(()) | Err(_) => {}
        }
    }
    compared
}

fn compare_topic<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
    next: &BTreeMap<PartitionId, i64>,
    compared: &mut Compared,
) -> KafkaResult<()> {
    let partition_count = count(consumer, topic)?;
    compared.counts.insert(topic.to_owned(), partition_count);
    let known = next
        .keys()
        .filter(|id| *id.topic == *topic)
        .map(|id| id.partition);
    if let Some(highest) = known.max()
        && let Some(sign) = missing_partition(partition_count, highest)
    {
        compared.problems.push(problem_of_topic(topic, &sign));
        return Ok(());
    }
    let seen = partitions
        .iter()
        // A static member is given back those that it had, there or not.
        .filter(|partition| **partition < partition_count)
        .map(|partition| see(consumer, topic, *partition, next))
        .collect::<KafkaResult<Vec<Seen>>>()?;
    if let Some(sign) = seen.iter().find_map(shorter_log) {
        compared.problems.push(problem_of_topic(topic, &sign));
        return Ok(());
    }
    for seen in seen {
        if let Some(problem) = problem_of_partition(topic, seen) {
            compared.problems.push(problem);
            continue;
        }
        let offset = seen.next.map_or(Offset::Beginning, Offset::Offset);
        compared
            .read
            .add_partition_offset(topic, seen.partition, offset)?;
        let id = PartitionId {
            topic: topic.into(),
            partition: seen.partition,
        };
        let from = seen.next.unwrap_or(seen.first);
        compared.spans.insert(id, (from, seen.end));
    }
    Ok(())
}

fn see<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
    next: &BTreeMap<PartitionId, i64>,
) -> KafkaResult<Seen> {
    let id = PartitionId {
        topic: topic.into(),
        partition,
    };
    let next = next.get(&id).copied();
    let (first, end) = consumer.fetch_watermarks(topic, partition, ANSWER)?;
    Ok(Seen {
        partition,
        next,
        first,
        end,
    })
}

/// The ends of partitions, as their brokers say.
///
/// # Errors
/// One of them is not told.
pub(super) fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[PartitionId],
) -> KafkaResult<BTreeMap<PartitionId, i64>> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for id in partitions {
        list.add_partition_offset(&id.topic, id.partition, Offset::End)?;
    }
    let told = consumer.offsets_for_times(list, ANSWER)?;
    let elements = told.elements();
    let ends = elements.iter().map(|element| {
        element.error()?;
        let id = PartitionId {
            topic: element.topic().into(),
            partition: element.partition(),
        };
        Ok(element
            .offset()
            .to_raw()
            .filter(|end| *end >= 0)
            .map(|end| (id, end)))
    });
    let ends: KafkaResult<Vec<_>> = ends.collect();
    Ok(ends?.into_iter().flatten().collect())
}

/// Whether an error means that a topic or partition is not there.
pub(super) fn is_unknown(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}

/// How many partitions a topic has.
pub(super) fn count<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str) -> KafkaResult<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let count = metadata.topics().iter().find(|found| found.name() == topic);
    match count.map(|found| found.partitions().len() as i32) {
        None | Some(0) => Err(KafkaError::MetadataFetch(
            RDKafkaErrorCode::UnknownTopicOrPartition,
        )),
        Some(count) => Ok(count),
    }
}

fn missing_partition(partitions: i32, highest_known: i32) -> Option<String> {
    (highest_known >= partitions).then(|| {
        format!("has {partitions} partitions, and there is a checkpoint of its partition {highest_known}")
    })
}

fn shorter_log(seen: &Seen) -> Option<String> {
    let next = seen.next.filter(|next| *next > seen.end)?;
    let Seen { partition, end, .. } = seen;
    Some(format!(
        "ends at offset {end} in partition {partition}, and its checkpoint has read up to {next}"
    ))
}

/// By that sign the whole topic is another one: Kafka neither takes partitions away nor records from the end of a log.
fn problem_of_topic(topic: &str, sign: &str) -> String {
    let name = topic_name(topic);
    format!(
        "Kafka topic `{topic}` {sign}: it was deleted and made anew, or lost records. Nothing of it is read. Bring the \
         topic back as it was; or stop riskgrid, remove the folders `{name}@…` of its partitions from the folder of \
         checkpoints, and start again: then the topic is read from its beginning, and what was counted before is gone"
    )
}

fn problem_of_partition(topic: &str, seen: Seen) -> Option<String> {
    let next = seen.next.filter(|next| *next < seen.first)?;
    let (partition, first) = (seen.partition, seen.first);
    let folder = folder_name(&PartitionId {
        topic: topic.into(),
        partition,
    });
    Some(format!(
        "Kafka topic `{topic}` begins at offset {first} in partition {partition}, and its checkpoint has read up to \
         {next}: the records between were deleted before they were counted (retention). The partition is not read. \
         Bring them back; or stop riskgrid, remove the folder `{folder}` from the folder of checkpoints, and start \
         again: then the partition is read from its oldest record, and what was counted before is gone"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(next: Option<i64>, first: i64, end: i64) -> Seen {
        Seen {
            partition: 1,
            next,
            first,
            end,
        }
    }

    #[test]
    fn a_log_that_holds_the_next_offset_or_ends_there_is_read() {
        for sound in [
            seen(None, 5, 9),
            seen(Some(5), 5, 9),
            seen(Some(9), 5, 9),
            seen(Some(0), 0, 0),
        ] {
            assert_eq!(shorter_log(&sound), None);
            assert_eq!(problem_of_partition("t", sound), None);
        }
        assert_eq!(missing_partition(2, 1), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        let fewer = problem_of_topic("a/b", &missing_partition(2, 2).unwrap());
        assert!(
            fewer.contains("`a/b` has 2 partitions, and there is a checkpoint of its partition 2"),
            "{fewer}"
        );
        assert!(fewer.contains("`a%2fb@…`"), "{fewer}");
        let shorter = shorter_log(&seen(Some(6), 0, 5)).unwrap();
        assert!(
            shorter.contains("ends at offset 5 in partition 1, and its checkpoint has read up to 6"),
            "{shorter}"
        );
        let deleted = problem_of_partition("t", seen(Some(4), 5, 9)).unwrap();
        assert!(
            deleted.contains("begins at offset 5 in partition 1, and its checkpoint has read up to 4"),
            "{deleted}"
        );
        assert!(deleted.contains("`t@1`"), "{deleted}");
    }
}
