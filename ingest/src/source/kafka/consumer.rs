//! The consumer group member: one thread that takes what was fetched, in batches of one partition, and hands them to the
//! pipeline. While the pipeline is behind it does not read, so librdkafka's bounded queues fill and fetching stops.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::KafkaSettings;
use super::messages::{ForwardTarget, MessageBatch, MessageQueue, Taken, forward, known_end};
use crate::grid::PartitionId;
use crate::pipeline::{Feed, PartitionBatch, PipelineHandle, Records};

const POLL: Duration = Duration::from_millis(100);

/// What the shell can ask of the source.
#[derive(Debug, Default)]
pub struct KafkaStatus {
    connected: AtomicBool,
    stopping: AtomicBool,
    /// Next offset to read, and the end of the partition as last seen.
    positions: Mutex<BTreeMap<PartitionId, (i64, i64)>>,
}

impl KafkaStatus {
    /// Whether a broker has answered.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
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

/// What answers librdkafka's questions to the group member.
pub(super) struct GroupContext {
    status: Arc<KafkaStatus>,
    /// Where the messages of assigned partitions go; set before the first poll.
    target: OnceLock<ForwardTarget>,
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
            self.assign(consumer, partitions)
        } else {
            consumer.unassign()
        };
        if let Err(error) = result {
            tracing::error!(%error, "partitions could not be assigned; the group will try again");
        }
    }
}

impl GroupContext {
    /// Starts each partition where the grid stands: the checkpoint's offsets rule, not Kafka's.
    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) -> KafkaResult<()> {
        let mut assigned = TopicPartitionList::new();
        {
            let positions = lock(&self.status.positions);
            for element in partitions.elements() {
                let id = PartitionId {
                    topic: element.topic().into(),
                    partition: element.partition(),
                };
                let offset = positions
                    .get(&id)
                    .map_or(Offset::Beginning, |(next, _)| Offset::Offset(*next));
                tracing::info!(partition = %id, ?offset, "reading");
                let forwarded = self.target.get().is_some_and(|target| {
                    forward(consumer.client().native_ptr(), &id.topic, id.partition, *target)
                });
                if !forwarded {
                    tracing::error!(partition = %id, "librdkafka gives no queue for the partition; it is not read");
                    continue;
                }
                assigned.add_partition_offset(element.topic(), element.partition(), offset)?;
            }
        }
        consumer.assign(&assigned)
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
        let positions = offsets
            .iter()
            .map(|(id, next)| (id.clone(), (*next, *next)))
            .collect();
        let status = Arc::new(KafkaStatus {
            positions: Mutex::new(positions),
            ..KafkaStatus::default()
        });
        let refresh = settings.refresh_millis().to_string();
        let consumer: GroupConsumer = settings
            .client()
            .set("group.id", &settings.group)
            .set("group.instance.id", instance_id)
            .set("session.timeout.ms", "6000")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            // librdkafka would wait a second whenever its queue is full.
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.wait.max.ms", "50")
            .set("queued.max.messages.kbytes", "65536")
            .set("topic.metadata.refresh.interval.ms", &refresh)
            .set("topic.metadata.refresh.fast.interval.ms", "100")
            .set("allow.auto.create.topics", "false")
            .create_with_context(GroupContext {
                status: Arc::clone(&status),
                target: OnceLock::new(),
            })?;
        let own = [&settings.observations, &settings.reports, &settings.positions];
        let topics: Vec<&str> = own
            .into_iter()
            .map(String::as_str)
            .chain(feeds.keys().map(String::as_str))
            .collect();
        let consumer = Arc::new(consumer);
        let queue = MessageQueue::new(Arc::clone(&consumer))
            .ok_or_else(|| KafkaError::ClientCreation("librdkafka gives no queue".to_owned()))?;
        // Set once, here.
        let _ = consumer.context().target.set(queue.target());
        consumer.subscribe(&topics)?;
        let reader = Reader {
            consumer: Arc::clone(&consumer),
            queue,
            status: Arc::clone(&status),
            feeds,
            pipeline,
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
    consumer: Arc<GroupConsumer>,
    queue: MessageQueue,
    status: Arc<KafkaStatus>,
    feeds: HashMap<String, Arc<Feed>>,
    pipeline: PipelineHandle,
    warned_topics: HashSet<String>,
}

impl Reader {
    fn run(mut self) {
        while !self.status.stopping.load(Ordering::Relaxed) {
            if !self.status.is_connected() {
                let connected = self.consumer.fetch_metadata(None, POLL).is_ok();
                self.status.connected.store(connected, Ordering::Relaxed);
            }
            // Rebalances and the client's own errors; messages come by the other queue.
            if let Some(Err(error)) = self.consumer.poll(Duration::ZERO) {
                self.failed(None, error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail));
            }
            let taken = self.queue.take(POLL);
            if self.hand_over(taken).is_err() {
                return;
            }
        }
    }

    /// The batches of each partition, the last one marked when nothing is behind it.
    fn hand_over(&mut self, taken: Vec<Taken>) -> Result<(), crate::pipeline::PipelineEnded> {
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
                    match waiting.get_mut(&id) {
                        Some(batch) => batch.caught_up = true,
                        // Its messages were handed over before: only the news is left.
                        None => {
                            let batch = PartitionBatch {
                                feed: self.feeds.get(&topic).map(Arc::clone),
                                partition: id.clone(),
                                records: Records::Owned(Vec::new()),
                                caught_up: true,
                            };
                            waiting.insert(id, batch);
                        }
                    }
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
        let end = known_end(self.consumer.client().native_ptr(), &topic, messages.partition());
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
        // A topic that does not exist yet is waited for.
        if error == RDKafkaErrorCode::UnknownTopicOrPartition {
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
