//! The reading thread: takes what was fetched, in batches of one partition, and hands them to the pipeline. While the
//! pipeline is behind it does not read, so librdkafka's bounded queues fill and fetching stops.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaErrorCode;

use super::member::{Given, Member, SESSION};
use super::message_queue::Taken;
use super::status::KafkaStatus;
use super::taking_up::{COMPARE_AGAIN, TakingUp, forward};
use super::upkeep::Upkeep;
use crate::log::kafka::MessageBatch;
use crate::log::{Feed, PartitionBatch, Records};
use crate::pipeline::{PipelineEnded, PipelineHandle};
use crate::threads::lock;
use crate::words::PartitionId;

/// How long the reader waits for messages before it looks round.
const POLL: Duration = Duration::from_millis(100);

pub(super) struct Reader {
    pub(super) member: Member,
    pub(super) status: Arc<KafkaStatus>,
    pub(super) taking_up: TakingUp,
    pub(super) upkeep: Upkeep,
    pub(super) feeds: HashMap<String, Arc<Feed>>,
    pub(super) pipeline: PipelineHandle,
    pub(super) warned_topics: HashSet<String>,
    /// What partitions complained of last, so that it is said once.
    pub(super) complaints: HashMap<PartitionId, RDKafkaErrorCode>,
    /// What the client complained of last, beside the broker's absence.
    pub(super) complaint: Option<RDKafkaErrorCode>,
    /// How long the pipeline held the last turn up.
    pub(super) held_up: Duration,
}

impl Reader {
    /// Reads until it is stopped, or the pipeline ends.
    pub(super) fn run(mut self) {
        let mut turned = Instant::now();
        while !self.status.stopping.load(Ordering::Relaxed) {
            let turn = turned.elapsed();
            if turn.saturating_sub(self.held_up) > SESSION {
                // The process slept, perhaps: the group may have given the partitions away, and not said so yet. A
                // checkpoint finds out.
                if let Err(error) = self.pipeline.checkpoint_blocking() {
                    tracing::warn!(%error, "after a long pause no checkpoint could be written");
                }
            }
            self.upkeep.turned_after(turn.max(turned.elapsed()));
            turned = Instant::now();
            self.status.turns(turned);
            if self.turn().is_err() {
                return;
            }
        }
    }

    fn turn(&mut self) -> Result<(), PipelineEnded> {
        self.hear_events();
        self.upkeep.look_for_the_broker(&self.member);
        self.taking_up.take_up(&self.member)?;
        self.taking_up.give_up(&self.member)?;
        if let Some(another) = self.upkeep.look(&self.member)? {
            std::mem::replace(&mut self.member, another).leave_behind();
            self.complaints.clear();
        }
        if let Some(read) = &lock(&self.member.given).read {
            forward(&self.member, read);
        }
        let taken = self.member.queue.take(POLL);
        let began = Instant::now();
        let handed_over = self.hand_over(taken);
        self.held_up = began.elapsed();
        handed_over
    }

    /// Hears all that the client has to say: rebalances, errors, lines for the log. All of it: a client whose broker is
    /// away says more in a turn than one thing, and what the group gives comes after it. Messages come by another queue.
    fn hear_events(&mut self) {
        let consumer = Arc::clone(&self.member.consumer);
        // Those that are there now, not those that come meanwhile.
        for _ in 0..self.member.queue.events() {
            match consumer.poll(Duration::ZERO) {
                None => {}
                Some(Err(error)) => {
                    let is_fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
                    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                    if is_fatal {
                        self.upkeep.has_failed(&error);
                    } else {
                        self.failed(None, code);
                    }
                }
                Some(Ok(message)) => {
                    // Cannot be, as long as partitions are forwarded before they are assigned. It is not lost: all are read
                    // again from what was handed over, and what the queue holds is outdated by that.
                    tracing::warn!(
                        topic = message.topic(),
                        partition = message.partition(),
                        "a message came by the consumer's own queue; partitions are assigned anew"
                    );
                    self.start_anew();
                }
            }
        }
    }

    /// Compares the offsets of all partitions again, and assigns them anew from what was handed over.
    fn start_anew(&self) {
        let mut given = lock(&self.member.given);
        *given = Given::anew(std::mem::take(&mut given.partitions));
    }

    /// The batches of each partition, the last one marked when nothing is behind it.
    fn hand_over(&mut self, taken: Vec<Taken>) -> Result<(), PipelineEnded> {
        let mut waiting: BTreeMap<PartitionId, PartitionBatch> = BTreeMap::new();
        for taken in taken {
            match taken {
                Taken::Messages(messages) => {
                    let batch = self.batch(messages);
                    if let Some(before) = waiting.insert(batch.partition.clone(), batch) {
                        self.pipeline.send(before)?;
                    }
                }
                Taken::End(topic, partition, offset) => {
                    let id = PartitionId {
                        topic: topic.as_str().into(),
                        partition,
                    };
                    self.complaints.remove(&id);
                    lock(&self.status.positions).insert(id.clone(), (offset, offset));
                    if let Some(batch) = waiting.get_mut(&id) {
                        batch.caught_up = true;
                        continue;
                    }
                    // Its messages were handed over before: only the news is left.
                    let batch = PartitionBatch {
                        feed: self.feeds.get(&topic).map(Arc::clone),
                        partition: id.clone(),
                        records: Records::NoneBefore(offset),
                        caught_up: true,
                    };
                    waiting.insert(id, batch);
                }
                Taken::Failed(place, error) => self.failed(place, error),
            }
        }
        for batch in waiting.into_values() {
            self.pipeline.send(batch)?;
        }
        Ok(())
    }

    fn batch(&mut self, messages: MessageBatch) -> PartitionBatch {
        let topic = messages.topic();
        if let Some(first) = messages.iter().next()
            && first.is_stamped_by_producer()
            && self.warned_topics.insert(topic.clone())
        {
            tracing::warn!(
                topic,
                "timestamps are the producers' (CreateTime): `in_future` trusts their clocks; set message.timestamp.type=LogAppendTime"
            );
        }
        let next = messages.next_offset();
        let end = self.member.queue.known_end(&topic, messages.partition());
        let id = PartitionId {
            topic: topic.as_str().into(),
            partition: messages.partition(),
        };
        self.complaint = None;
        if !self.complaints.is_empty() {
            self.complaints.remove(&id);
        }
        lock(&self.status.positions).insert(id.clone(), (next, end.unwrap_or(next).max(next)));
        PartitionBatch {
            partition: id,
            feed: self.feeds.get(&topic).map(Arc::clone),
            records: Records::Kafka(messages),
            caught_up: false,
        }
    }

    fn failed(&mut self, place: Option<(String, i32)>, error: RDKafkaErrorCode) {
        if error == RDKafkaErrorCode::AutoOffsetReset {
            self.start_anew();
            return;
        }
        if error == RDKafkaErrorCode::UnknownTopicOrPartition {
            // A topic that does not exist yet is waited for. One that was read is gone, and may come back as another.
            let mut given = lock(&self.member.given);
            if place.is_some() && given.read.is_some() && given.compare_at.is_none() {
                given.compare_at = Some(Instant::now() + COMPARE_AGAIN);
            }
            return;
        }
        let Some((topic, partition)) = place else {
            // Old news, perhaps: the broker is asked.
            self.upkeep.doubt(error.to_string());
            let is_absence = matches!(
                error,
                RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::OperationTimedOut
            );
            if !is_absence && self.complaint != Some(error) {
                tracing::warn!(%error, "the Kafka client complains and tries again");
                self.complaint = Some(error);
            }
            return;
        };
        let id = PartitionId {
            topic: topic.into(),
            partition,
        };
        if self.complaints.get(&id) != Some(&error) {
            tracing::warn!(%error, partition = %id, "Kafka cannot give the next records of a partition; they are asked for again");
            self.complaints.insert(id, error);
        }
    }
}
