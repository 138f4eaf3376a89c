//! The consumer group member: one thread that polls, gathers what came into batches per partition, and hands them to
//! the pipeline. While the pipeline is behind it does not read, so librdkafka's bounded queues fill and fetching stops.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::util::Timeout;
use rdkafka::{ClientContext, Offset, Timestamp, TopicPartitionList};

use super::{KafkaSettings, offsets};
use crate::decode::cloudevent::BinaryAttributes;
use crate::grid::PartitionId;
use crate::pipeline::{Feed, PartitionBatch, Payload, PipelineHandle, Record};
use crate::time::EventTime;

/// Messages gathered before they are handed over.
const GATHERED_MESSAGES: usize = 5_000;
/// Bytes gathered before they are handed over.
const GATHERED_BYTES: usize = 8 << 20;
/// Bytes kept of a message that is longer than the largest event.
const KEPT_OF_TOO_LARGE: usize = 64 * 1024;
const POLL: Duration = Duration::from_millis(100);
/// How soon offsets that could not be compared with Kafka's are compared again.
const COMPARE_AGAIN: Duration = Duration::from_secs(1);

/// What the shell can ask of the source.
#[derive(Debug, Default)]
pub struct KafkaStatus {
    connected: AtomicBool,
    stopping: AtomicBool,
    /// Next offset to read, and the end of the partition as last seen.
    positions: Mutex<BTreeMap<PartitionId, (i64, i64)>>,
    /// The partitions that the group gave this node.
    given: Mutex<Given>,
    problems: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Given {
    partitions: TopicPartitionList,
    /// When their offsets are compared with Kafka's; only after that they are read.
    compare_at: Option<Instant>,
    /// Those that are read.
    read: Option<TopicPartitionList>,
}

impl Given {
    fn anew(partitions: TopicPartitionList) -> Self {
        Self {
            partitions,
            compare_at: Some(Instant::now()),
            read: None,
        }
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

    /// Records that each partition is behind its end.
    pub fn lag(&self) -> Vec<(PartitionId, i64)> {
        let positions = lock(&self.positions);
        positions
            .iter()
            .map(|(id, (next, end))| (id.clone(), (end - next).max(0)))
            .collect()
    }
}

struct GroupContext {
    status: Arc<KafkaStatus>,
}

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
            consumer.unassign()
        };
        if let Err(error) = result {
            tracing::error!(%error, "partitions could not be assigned; the group will try again");
        }
    }
}

/// The running source.
pub struct KafkaSource {
    consumer: Arc<BaseConsumer<GroupContext>>,
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
        max_event: usize,
        pipeline: PipelineHandle,
        clock: fn() -> EventTime,
    ) -> KafkaResult<Self> {
        let positions = offsets
            .iter()
            .map(|(id, next)| (id.clone(), (*next, *next)))
            .collect();
        let status = Arc::new(KafkaStatus {
            positions: Mutex::new(positions),
            ..KafkaStatus::default()
        });
        let refresh = settings.refresh_millis().to_string();
        let consumer: BaseConsumer<GroupContext> = settings
            .client()
            .set("group.id", &settings.group)
            .set("group.instance.id", instance_id)
            .set("session.timeout.ms", "6000")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            // Never silently from the beginning again: the offsets are compared, and the partition is not read.
            .set("auto.offset.reset", "error")
            // librdkafka would wait a second whenever its queue is full.
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.wait.max.ms", "50")
            .set("queued.max.messages.kbytes", "65536")
            .set("topic.metadata.refresh.interval.ms", &refresh)
            .set("topic.metadata.refresh.fast.interval.ms", "100")
            .set("allow.auto.create.topics", "false")
            .create_with_context(GroupContext {
                status: Arc::clone(&status),
            })?;
        let own = [&settings.observations, &settings.reports, &settings.positions];
        let topics: Vec<&str> = own
            .into_iter()
            .map(String::as_str)
            .chain(feeds.keys().map(String::as_str))
            .collect();
        consumer.subscribe(&topics)?;
        let consumer = Arc::new(consumer);
        let reader = Reader {
            consumer: Arc::clone(&consumer),
            status: Arc::clone(&status),
            feeds,
            max_event,
            pipeline,
            clock,
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
}

struct Reader {
    consumer: Arc<BaseConsumer<GroupContext>>,
    status: Arc<KafkaStatus>,
    feeds: HashMap<String, Arc<Feed>>,
    max_event: usize,
    pipeline: PipelineHandle,
    clock: fn() -> EventTime,
    warned_topics: HashSet<String>,
}

impl Reader {
    fn run(mut self) {
        while !self.status.stopping.load(Ordering::Relaxed) {
            if !self.status.is_connected() {
                let connected = self.consumer.fetch_metadata(None, POLL).is_ok();
                self.status.connected.store(connected, Ordering::Relaxed);
            }
            self.take_up();
            for batch in self.gather() {
                if let Some(last) = batch.records.last() {
                    let mut positions = lock(&self.status.positions);
                    let entry = positions.entry(batch.partition.clone()).or_default();
                    *entry = (last.offset + 1, entry.1.max(last.offset + 1));
                }
                if self.pipeline.send(batch).is_err() {
                    return;
                }
            }
        }
    }

    /// Starts to read the partitions that were given, each where the grid stands: the checkpoint's offsets rule, not
    /// Kafka's. Those whose log is not the one that was read before are left out.
    fn take_up(&self) {
        let mut given = lock(&self.status.given);
        if given.compare_at.is_none_or(|due| Instant::now() < due) {
            return;
        }
        let next: BTreeMap<PartitionId, i64> = lock(&self.status.positions)
            .iter()
            .map(|(id, (next, _))| (id.clone(), *next))
            .collect();
        let compared = offsets::compare(&self.consumer, &given.partitions, &next);
        given.compare_at = (!compared.waiting.is_empty()).then(|| Instant::now() + COMPARE_AGAIN);
        // What is read already need not be fetched again because another topic is still waited for.
        if given
            .read
            .as_ref()
            .is_none_or(|read| read.count() != compared.read.count())
        {
            tracing::info!(partitions = ?compared.read, "reading");
            match self.consumer.assign(&compared.read) {
                Ok(()) => given.read = Some(compared.read),
                Err(error) => {
                    tracing::error!(%error, "partitions could not be assigned; it is tried again");
                    given.compare_at = Some(Instant::now() + COMPARE_AGAIN);
                }
            }
        }
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
    }

    /// Waits for one message, then takes what is there without waiting.
    fn gather(&mut self) -> Vec<PartitionBatch> {
        let mut batches: BTreeMap<PartitionId, PartitionBatch> = BTreeMap::new();
        let (mut messages, mut bytes) = (0, 0);
        let mut wait = POLL;
        let consumer = Arc::clone(&self.consumer);
        while messages < GATHERED_MESSAGES && bytes < GATHERED_BYTES {
            match consumer.poll(Timeout::After(wait)) {
                None => break,
                Some(Ok(message)) => {
                    messages += 1;
                    bytes += message.payload_len();
                    self.status.connected.store(true, Ordering::Relaxed);
                    let id = PartitionId {
                        topic: message.topic().into(),
                        partition: message.partition(),
                    };
                    let feed = self.feeds.get(message.topic()).map(Arc::clone);
                    let record = self.record(&message, feed.is_some());
                    let batch = batches.entry(id.clone()).or_insert_with(|| PartitionBatch {
                        partition: id,
                        feed,
                        records: Vec::new(),
                        caught_up: false,
                    });
                    batch.records.push(record);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    // The event names no topic: one partition of that number among those gathered has ended.
                    for batch in batches
                        .values_mut()
                        .filter(|batch| batch.partition.partition == partition)
                    {
                        batch.caught_up = true;
                    }
                }
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition))) => {}
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                    // The error names no partition.
                    let mut given = lock(&self.status.given);
                    *given = Given::anew(std::mem::take(&mut given.partitions));
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "kafka: reading goes on when the broker is back");
                    self.status.connected.store(false, Ordering::Relaxed);
                }
            }
            wait = Duration::ZERO;
        }
        batches.into_values().collect()
    }

    fn record(&mut self, message: &BorrowedMessage<'_>, is_feed: bool) -> Record {
        let received = match message.timestamp() {
            Timestamp::LogAppendTime(millis) => EventTime::from_micros(millis * 1000),
            Timestamp::CreateTime(millis) => {
                if self.warned_topics.insert(message.topic().to_owned()) {
                    tracing::warn!(
                        topic = message.topic(),
                        "timestamps are the producers' (CreateTime): `in_future` trusts their clocks; set message.timestamp.type=LogAppendTime"
                    );
                }
                EventTime::from_micros(millis * 1000)
            }
            Timestamp::NotAvailable => (self.clock)(),
        };
        let bytes = message.payload().unwrap_or_default();
        let payload = if bytes.len() > self.max_event {
            Payload::TooLarge(
                bytes[..bytes.len().min(KEPT_OF_TOO_LARGE)].to_vec(),
                bytes.len() as u64,
            )
        } else if is_feed {
            Payload::Row(bytes.to_vec())
        } else {
            match binary_attributes(message) {
                Some(attributes) => Payload::Binary(Box::new(attributes), bytes.to_vec()),
                None => Payload::Structured(bytes.to_vec()),
            }
        };
        Record {
            offset: message.offset(),
            received,
            payload,
        }
    }
}

/// The `ce_` headers of a message in binary mode.
fn binary_attributes(message: &BorrowedMessage<'_>) -> Option<BinaryAttributes<'static>> {
    let headers = message.headers()?;
    let mut attributes = BinaryAttributes::default();
    for header in headers.iter() {
        if let Some(name) = header.key.strip_prefix("ce_")
            && let Some(value) = header.value
        {
            attributes.set(name, Cow::Owned(String::from_utf8_lossy(value).into_owned()));
        }
    }
    attributes.is_present().then_some(attributes)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds the lock; if it did, the map behind is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
