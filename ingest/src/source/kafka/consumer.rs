//! The consumer group member: one thread that takes what was fetched, in batches of one partition, and hands them to the
//! pipeline. While the pipeline is behind it does not read, so librdkafka's bounded queues fill and fetching stops.
//!
//! A partition that the group gives is claimed first, so that who had it before can write no more of it, and read from
//! where its checkpoint stands. Before the group takes partitions away what was read of them is saved; they stay in the
//! grid until it is known that they went to another node.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message as _;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::messages::{MessageBatch, MessageQueue, Taken};
use super::{KafkaSettings, offsets};
use crate::grid::PartitionId;
use crate::pipeline::{Feed, PartitionBatch, PipelineEnded, PipelineHandle, Records, StartsAt, TakenOver};
use crate::source::Progress;

const POLL: Duration = Duration::from_millis(100);
/// How soon offsets that could not be compared with Kafka's are compared again.
const COMPARE_AGAIN: Duration = Duration::from_secs(1);
/// After so long without a word the group takes a member for dead.
const SESSION: Duration = Duration::from_secs(6);
/// A partition that another node claimed although the group still gives it to this one is claimed back after so long:
/// either of the two has heard from the group by then.
const CLAIM_BACK: Duration = Duration::from_secs(10);
/// How long closing the group member may take.
const CLOSING: Duration = Duration::from_secs(5);

/// What the shell can ask of the source.
#[derive(Debug, Default)]
pub struct KafkaStatus {
    connected: AtomicBool,
    /// The group has given partitions, none perhaps, and those are read.
    taken_up: AtomicBool,
    stopping: AtomicBool,
    /// Next offset to read, and the end of the partition as last seen.
    positions: Mutex<BTreeMap<PartitionId, (i64, i64)>>,
    /// The partitions that the group gave this node.
    given: Mutex<Given>,
    /// Those whose state this node shows.
    held: Mutex<BTreeSet<PartitionId>>,
    /// From where to where they lay in the log when they were taken up.
    spans: Mutex<BTreeMap<PartitionId, (i64, i64)>>,
    /// How many partitions the topics have, as far as the broker has said.
    counts: Mutex<BTreeMap<String, i32>>,
    problems: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Given {
    partitions: TopicPartitionList,
    /// Those of them that are this node's since.
    claimed: BTreeSet<PartitionId>,
    /// When their offsets are compared with Kafka's; only after that they are read.
    compare_at: Option<Instant>,
    /// Those that are read.
    read: Option<TopicPartitionList>,
}

impl Given {
    fn anew(partitions: TopicPartitionList) -> Self {
        Self {
            partitions,
            claimed: BTreeSet::new(),
            compare_at: Some(Instant::now()),
            read: None,
        }
    }

    fn ids(&self) -> BTreeSet<PartitionId> {
        let elements = self.partitions.elements();
        let ids = elements.iter().map(|element| PartitionId {
            topic: element.topic().into(),
            partition: element.partition(),
        });
        ids.collect()
    }
}

impl KafkaStatus {
    /// Whether a broker has answered.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Why some partitions are not read, and what to do; empty when all are.
    pub fn problems(&self) -> Vec<String> {
        lock(&self.problems).clone()
    }

    /// How many partitions this node shows, and how many there are.
    pub fn partitions(&self) -> (usize, usize) {
        let have = lock(&self.held).len();
        let total: i32 = lock(&self.counts).values().sum();
        (have, usize::try_from(total).unwrap_or(0).max(have))
    }

    /// How much is read of what was there when the partitions were taken up; none before the group has given any.
    pub fn progress(&self) -> Option<Progress> {
        if !self.taken_up.load(Ordering::Relaxed) {
            return None;
        }
        let spans = lock(&self.spans).clone();
        let positions = lock(&self.positions);
        let mut progress = Progress::default();
        for (id, (from, end)) in spans {
            let next = positions.get(&id).map_or(from, |(next, _)| *next);
            progress.add(from, next, end);
        }
        Some(progress)
    }

    /// Records that each partition is behind its end.
    pub fn lag(&self) -> Vec<(PartitionId, i64)> {
        let positions = lock(&self.positions);
        positions
            .iter()
            .map(|(id, (next, end))| (id.clone(), (end - next).max(0)))
            .collect()
    }
}

impl KafkaStatus {
    fn forget(&self, id: &PartitionId) {
        lock(&self.held).remove(id);
        lock(&self.spans).remove(id);
        lock(&self.positions).remove(id);
    }
}

/// What answers librdkafka's questions to the group member.
pub(super) struct GroupContext {
    status: Arc<KafkaStatus>,
    pipeline: PipelineHandle,
}

/// The group member.
pub(super) type GroupConsumer = BaseConsumer<GroupContext>;

impl ClientContext for GroupContext {
    fn error(&self, error: KafkaError, reason: &str) {
        // Unknown topics are waited for, and a broker that is away comes back: neither is an operator's matter at once.
        tracing::debug!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let result = if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            *lock(&self.status.given) = Given::anew(partitions.clone());
            // Nothing is read before the offsets are compared, which asks the broker and may have to be tried again.
            consumer.assign(&TopicPartitionList::new())
        } else {
            *lock(&self.status.given) = Given::default();
            // Until this returns no other node is given them. Without it they are read again from the checkpoint before.
            if let Err(error) = self.pipeline.checkpoint_blocking() {
                tracing::warn!(error, "partitions go back to the group without a last checkpoint");
            }
            consumer.unassign()
        };
        if let Err(error) = result {
            tracing::error!(%error, "partitions could not be assigned; the group will try again");
        }
    }
}

/// The running source.
pub struct KafkaSource {
    consumer: Arc<GroupConsumer>,
    status: Arc<KafkaStatus>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl KafkaSource {
    /// Joins the group and starts reading on a thread of its own. `offsets` are those of the checkpoints; `feeds` maps
    /// topics to their mapping.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn start(
        settings: &KafkaSettings,
        instance_id: &str,
        feeds: HashMap<String, Arc<Feed>>,
        offsets: &BTreeMap<PartitionId, i64>,
        pipeline: PipelineHandle,
    ) -> KafkaResult<Self> {
        let own = [&settings.observations, &settings.reports, &settings.positions];
        let topics: Vec<String> = own.into_iter().chain(feeds.keys()).cloned().collect();
        let positions: BTreeMap<PartitionId, (i64, i64)> = offsets
            .iter()
            .filter(|(id, _)| topics.iter().any(|topic| **topic == *id.topic))
            .map(|(id, next)| (id.clone(), (*next, *next)))
            .collect();
        let status = Arc::new(KafkaStatus {
            held: Mutex::new(positions.keys().cloned().collect()),
            positions: Mutex::new(positions),
            ..KafkaStatus::default()
        });
        let refresh = settings.refresh_millis().to_string();
        let consumer: GroupConsumer = settings
            .client()
            .set("group.id", &settings.group)
            .set("group.instance.id", instance_id)
            .set("session.timeout.ms", SESSION.as_millis().to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            // Never silently from the beginning again: the offsets are compared, and the partition is not read.
            .set("auto.offset.reset", "error")
            // librdkafka would wait a second whenever its queue is full.
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.wait.max.ms", "50")
            .set("queued.max.messages.kbytes", "16384")
            .set("topic.metadata.refresh.interval.ms", &refresh)
            .set("topic.metadata.refresh.fast.interval.ms", "100")
            .set("allow.auto.create.topics", "false")
            .create_with_context(GroupContext {
                status: Arc::clone(&status),
                pipeline: pipeline.clone(),
            })?;
        let consumer = Arc::new(consumer);
        let queue = MessageQueue::new(Arc::clone(&consumer))
            .ok_or_else(|| KafkaError::ClientCreation("librdkafka gives no queue".to_owned()))?;
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&names)?;
        let reader = Reader {
            consumer: Arc::clone(&consumer),
            queue,
            status: Arc::clone(&status),
            topics,
            feeds,
            pipeline,
            look_for_claims_at: Instant::now(),
            warned_topics: HashSet::new(),
        };
        let thread = std::thread::Builder::new()
            .name("kafka".to_owned())
            .spawn(move || reader.run())
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self {
            consumer,
            status,
            thread: Some(thread),
        })
    }

    /// What it is doing.
    pub fn status(&self) -> Arc<KafkaStatus> {
        Arc::clone(&self.status)
    }

    /// Tells the group, for lag tools to see, how far checkpoints reach.
    pub fn committer(&self) -> impl Fn(&[(PartitionId, i64)]) + Send + use<> {
        let consumer = Arc::clone(&self.consumer);
        move |offsets| {
            let mut list = TopicPartitionList::new();
            let known = consumer.assignment().unwrap_or_default();
            for (id, next) in offsets {
                if known.find_partition(&id.topic, id.partition).is_some()
                    && let Err(error) =
                        list.add_partition_offset(&id.topic, id.partition, Offset::Offset(*next))
                {
                    tracing::debug!(%error, partition = %id, "offset not committed");
                }
            }
            if list.count() > 0
                && let Err(error) = consumer.commit(&list, CommitMode::Async)
            {
                tracing::debug!(%error, "offsets not committed; the checkpoint rules");
            }
        }
    }

    /// Stops reading; what was read is with the pipeline.
    pub fn stop(&mut self) {
        self.status.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the kafka thread panicked");
        }
    }

    /// Closes the group member, when all that was read is saved and committed. A rebalance that comes meanwhile can leave
    /// librdkafka waiting for an answer of its own for ever (its issue 4884): it is left behind then, and nothing is lost.
    pub fn close(self) {
        let (closed, closing) = std::sync::mpsc::sync_channel(1);
        let started = std::thread::Builder::new()
            .name("kafka-close".to_owned())
            .spawn(move || {
                drop(self);
                // Nobody waits for it any more after `CLOSING`.
                closed.send(()).ok();
            });
        if started.is_err() || closing.recv_timeout(CLOSING).is_err() {
            tracing::warn!(
                "the Kafka group member did not close in time and is left behind; everything was saved before"
            );
        }
    }
}

struct Reader {
    consumer: Arc<GroupConsumer>,
    queue: MessageQueue,
    status: Arc<KafkaStatus>,
    topics: Vec<String>,
    feeds: HashMap<String, Arc<Feed>>,
    pipeline: PipelineHandle,
    look_for_claims_at: Instant,
    warned_topics: HashSet<String>,
}

impl Reader {
    fn run(mut self) {
        let mut turned = Instant::now();
        while !self.status.stopping.load(Ordering::Relaxed) {
            if turned.elapsed() > SESSION {
                // The process slept, perhaps: the group may have given the partitions away, and not said so yet. A
                // checkpoint finds out.
                if let Err(error) = self.pipeline.checkpoint_blocking() {
                    tracing::warn!(error, "after a long pause no checkpoint could be written");
                }
            }
            turned = Instant::now();
            if !self.status.is_connected() {
                let connected = self.consumer.fetch_metadata(None, POLL).is_ok();
                self.status.connected.store(connected, Ordering::Relaxed);
            }
            // Rebalances and the client's own errors; messages come by the other queue.
            match self.consumer.poll(Duration::ZERO) {
                None => {}
                Some(Err(error)) => {
                    self.failed(None, error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail));
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
            if self.take_up().is_err() || self.give_up().is_err() {
                return;
            }
            if let Some(read) = &lock(&self.status.given).read {
                self.forward(read);
            }
            let taken = self.queue.take(POLL);
            if self.hand_over(taken).is_err() {
                return;
            }
        }
    }

    /// Starts to read the partitions that were given, each where the grid stands: the checkpoint's offsets rule, not
    /// Kafka's. Those that cannot be claimed, and those whose log is not the one that was read before, are left out.
    fn take_up(&self) -> Result<(), PipelineEnded> {
        let mut given = lock(&self.status.given);
        self.part_with_lost(&mut given);
        if given.compare_at.is_none_or(|due| Instant::now() < due) {
            return Ok(());
        }
        let unclaimed = self.claim(&mut given)?;
        let next: BTreeMap<PartitionId, i64> = lock(&self.status.positions)
            .iter()
            .map(|(id, (next, _))| (id.clone(), *next))
            .collect();
        let mut compared = offsets::compare(&self.consumer, &self.topics, &given.claimed, &next);
        compared.waiting.extend(unclaimed);
        given.compare_at = (!compared.waiting.is_empty()).then(|| Instant::now() + COMPARE_AGAIN);
        // What is read already need not be fetched again because another topic is still waited for.
        if given
            .read
            .as_ref()
            .is_none_or(|read| read.count() != compared.read.count())
        {
            tracing::info!(partitions = ?compared.read, "reading");
            self.forward(&compared.read);
            match self.consumer.assign(&compared.read) {
                Ok(()) => {
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
    fn give_up(&mut self) -> Result<(), PipelineEnded> {
        if self.look_for_claims_at > Instant::now() {
            return Ok(());
        }
        self.look_for_claims_at = Instant::now() + COMPARE_AGAIN;
        let given = lock(&self.status.given).ids();
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

    /// Has what is fetched come to our queue: before partitions are assigned, or librdkafka sends it to the consumer's; and
    /// again on each turn, because it forgets this when they are assigned anew. What came between waits in the
    /// partition's own queue and is moved along.
    fn forward(&self, partitions: &TopicPartitionList) {
        for element in partitions.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            if !self.queue.forward(topic, partition) {
                tracing::error!(
                    topic,
                    partition,
                    "librdkafka gives no queue for the partition; it is not read"
                );
            }
        }
    }

    /// Compares the offsets of all partitions again, and assigns them anew from what was handed over.
    fn start_anew(&self) {
        let mut given = lock(&self.status.given);
        *given = Given::anew(std::mem::take(&mut given.partitions));
    }

    /// The batches of each partition, the last one marked when nothing is behind it.
    fn hand_over(&mut self, taken: Vec<Taken>) -> Result<(), PipelineEnded> {
        let mut waiting: BTreeMap<PartitionId, PartitionBatch> = BTreeMap::new();
        for taken in taken {
            match taken {
                Taken::Messages(messages) => {
                    self.status.connected.store(true, Ordering::Relaxed);
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
                    lock(&self.status.positions).insert(id.clone(), (offset, offset));
                    if let Some(batch) = waiting.get_mut(&id) {
                        batch.caught_up = true;
                        continue;
                    }
                    // Its messages were handed over before: only the news is left.
                    let batch = PartitionBatch {
                        feed: self.feeds.get(&topic).map(Arc::clone),
                        partition: id.clone(),
                        records: Records::Owned(Vec::new()),
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
        let end = self.queue.known_end(&topic, messages.partition());
        let id = PartitionId {
            topic: topic.as_str().into(),
            partition: messages.partition(),
        };
        lock(&self.status.positions).insert(id.clone(), (next, end.unwrap_or(next).max(next)));
        PartitionBatch {
            partition: id,
            feed: self.feeds.get(&topic).map(Arc::clone),
            records: Records::Kafka(messages),
            caught_up: false,
        }
    }

    fn failed(&self, place: Option<(String, i32)>, error: RDKafkaErrorCode) {
        if error == RDKafkaErrorCode::AutoOffsetReset {
            self.start_anew();
            return;
        }
        if error == RDKafkaErrorCode::UnknownTopicOrPartition {
            // A topic that does not exist yet is waited for. One that was read is gone, and may come back as another.
            let mut given = lock(&self.status.given);
            if place.is_some() && given.read.is_some() && given.compare_at.is_none() {
                given.compare_at = Some(Instant::now() + COMPARE_AGAIN);
            }
            return;
        }
        let (topic, partition) = place.unzip();
        tracing::warn!(%error, topic, partition, "kafka: reading goes on when the broker is back");
        self.status.connected.store(false, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds the lock; if it did, the map behind is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
