//! What the group gave becomes this node's and is read: claimed, so that who had it before can write no more of it;
//! compared with what Kafka holds; and assigned, each partition from where the grid stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;

use super::member::{Given, Member, ids};
use super::offsets;
use super::status::KafkaStatus;
use crate::pipeline::{PipelineEnded, PipelineHandle, StartsAt, TakenOver};
use crate::threads::lock;
use crate::words::PartitionId;

/// How soon offsets that could not be compared with Kafka's are compared again.
pub(super) const COMPARE_AGAIN: Duration = Duration::from_secs(1);
/// A partition that another node claimed although the group still gives it to this one is claimed back after so long:
/// either of the two has heard from the group by then.
const CLAIM_BACK: Duration = Duration::from_secs(10);

/// Claims what the group gives, and has it read.
pub(super) struct TakingUp {
    pub(super) topics: Vec<String>,
    pub(super) pipeline: PipelineHandle,
    pub(super) status: Arc<KafkaStatus>,
    pub(super) look_for_claims_at: Instant,
}

impl TakingUp {
    /// Starts to read the partitions that were given, each where the grid stands: the checkpoint's offsets rule, not
    /// Kafka's. Those that cannot be claimed, and those whose log is not the one that was read before, are left out.
    pub(super) fn take_up(&self, member: &Member) -> Result<(), PipelineEnded> {
        let mut given = lock(&member.given);
        self.part_with_lost(&mut given);
        if given.read.is_none() {
            lock(&self.status.reading).clear();
        }
        if given.compare_at.is_none_or(|due| Instant::now() < due) || !self.status.is_connected() {
            return Ok(());
        }
        let unclaimed = self.claim(&mut given)?;
        let next: BTreeMap<PartitionId, i64> = lock(&self.status.positions)
            .iter()
            .map(|(id, (next, _))| (id.clone(), *next))
            .collect();
        let mut compared = offsets::compare(&member.consumer, &self.topics, &given.claimed, &next);
        compared.waiting.extend(unclaimed);
        given.compare_at = (!compared.waiting.is_empty()).then(|| Instant::now() + COMPARE_AGAIN);
        given.is_untold = compared.is_untold;
        if is_another(given.read.as_ref(), &compared.read) {
            tracing::info!(partitions = %shown(&compared.read), "reading");
            forward(member, &compared.read);
            match member.consumer.assign(&compared.read) {
                Ok(()) => {
                    *lock(&self.status.reading) = ids(&compared.read);
                    given.read = Some(compared.read);
                    self.status.taken_up.store(true, Ordering::Relaxed);
                }
                Err(error) => {
                    tracing::error!(%error, "partitions could not be assigned; it is tried again");
                    given.compare_at = Some(Instant::now() + COMPARE_AGAIN);
                }
            }
        }
        for (id, span) in compared.spans {
            lock(&self.status.spans).entry(id).or_insert(span);
        }
        lock(&self.status.counts).append(&mut compared.counts);
        let mut known = lock(&self.status.problems);
        for problem in compared
            .problems
            .iter()
            .filter(|problem| !known.contains(problem))
        {
            tracing::error!("{problem}");
        }
        for topic in compared.waiting.iter().filter(|topic| !known.contains(topic)) {
            tracing::warn!("{topic}");
        }
        *known = compared.problems;
        known.extend(compared.waiting);
        Ok(())
    }

    /// Makes what the group gave this node's own, and says what could not be.
    fn claim(&self, given: &mut Given) -> Result<Vec<String>, PipelineEnded> {
        let unclaimed: Vec<PartitionId> = given.ids().difference(&given.claimed).cloned().collect();
        let mut problems = Vec::new();
        if unclaimed.is_empty() {
            return Ok(problems);
        }
        for TakenOver { id, outcome } in self.pipeline.take_over(unclaimed)? {
            let mut positions = lock(&self.status.positions);
            match outcome {
                Ok(StartsAt::Here) => {}
                Ok(StartsAt::Offset(next)) => {
                    positions.insert(id.clone(), (next, next));
                }
                Ok(StartsAt::Beginning) => {
                    positions.remove(&id);
                }
                Err(problem) => {
                    problems.push(format!("Kafka partition {id} is not read yet: {problem}"));
                    continue;
                }
            }
            lock(&self.status.held).insert(id.clone());
            given.claimed.insert(id);
        }
        Ok(problems)
    }

    /// Lets go of what another node has claimed. What the group has not given to this node stays as it was until then.
    pub(super) fn give_up(&mut self, member: &Member) -> Result<(), PipelineEnded> {
        if self.look_for_claims_at > Instant::now() {
            return Ok(());
        }
        self.look_for_claims_at = Instant::now() + COMPARE_AGAIN;
        let given = lock(&member.given).ids();
        let others: Vec<PartitionId> = lock(&self.status.held).difference(&given).cloned().collect();
        if others.is_empty() {
            return Ok(());
        }
        for id in self.pipeline.give_up(others)? {
            tracing::info!(partition = %id, "given up");
            self.status.forget(&id);
        }
        Ok(())
    }

    /// What turned out to be another node's is read no more. When the group does not say so too, it is claimed again.
    fn part_with_lost(&self, given: &mut Given) {
        for id in self.pipeline.take_lost() {
            self.status.forget(&id);
            if given.claimed.remove(&id) {
                given.read = None;
                given.compare_at = Some(Instant::now() + CLAIM_BACK);
            }
        }
    }
}

/// Whether other partitions are to be read than are read. Where they stand does not matter: what is read already need not
/// be fetched again because another topic is still waited for.
fn is_another(read: Option<&TopicPartitionList>, to_read: &TopicPartitionList) -> bool {
    read.is_none_or(|read| ids(read) != ids(to_read))
}

/// Has what is fetched come to the member's queue: before partitions are assigned, or librdkafka sends it to the
/// consumer's; and again on each turn, because it forgets this when they are assigned anew. What came between waits in the
/// partition's own queue and is moved along.
pub(super) fn forward(member: &Member, partitions: &TopicPartitionList) {
    for element in partitions.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        if !member.queue.forward(topic, partition) {
            tracing::error!(
                topic,
                partition,
                "librdkafka gives no queue for the partition; it is not read"
            );
        }
    }
}

/// `topic/partition@offset` of each.
fn shown(partitions: &TopicPartitionList) -> String {
    let elements = partitions.elements();
    let shown: BTreeSet<String> = elements
        .iter()
        .map(|element| {
            let offset = element.offset().to_raw().filter(|offset| *offset >= 0);
            let offset = offset.map_or_else(|| "beginning".to_owned(), |offset| offset.to_string());
            format!("{}/{}@{offset}", element.topic(), element.partition())
        })
        .collect();
    Vec::from_iter(shown).join(" ")
}

#[cfg(test)]
mod tests {
    use rdkafka::Offset;

    use super::*;

    fn list(partitions: &[(&str, i32, i64)]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset) in partitions {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
                .unwrap();
        }
        list
    }

    #[test]
    fn partitions_are_compared_as_a_set_not_by_their_number() {
        let read = list(&[("a", 0, 5), ("a", 1, 7)]);
        for another in [
            list(&[("a", 0, 5), ("a", 2, 7)]),
            list(&[("a", 0, 5), ("b", 1, 7)]),
            list(&[("b", 0, 5), ("b", 1, 7)]),
            list(&[("a", 1, 7)]),
            list(&[("a", 0, 5), ("a", 1, 7), ("a", 2, 0)]),
            list(&[]),
        ] {
            assert!(is_another(Some(&read), &another), "{}", shown(&another));
        }
        // In another order, and further on: they are read already.
        assert!(!is_another(Some(&read), &list(&[("a", 1, 9), ("a", 0, 8)])));
        assert!(is_another(None, &list(&[])));
        assert!(!is_another(Some(&list(&[])), &list(&[])));
    }
}
