//! The member of the consumer group: a client of librdkafka, the queue that its messages come to, and what the group
//! gave it. When it stands still it is left behind for another one, which knows nothing of what it was given.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::message_queue::MessageQueue;
use crate::log::kafka::KafkaSettings;
use crate::log::kafka::pass_on;
use crate::pipeline::PipelineHandle;
use crate::threads::lock;
use crate::words::PartitionId;

/// After so long without a word the group takes a member for dead.
pub(super) const SESSION: Duration = Duration::from_secs(6);
/// How long closing the group member may take.
const CLOSING: Duration = Duration::from_secs(5);
/// How often it is looked whether nobody else uses a member that is to be closed.
const LOOK: Duration = Duration::from_millis(20);
/// An answer that did not come by then is asked for again. librdkafka's minute is longer than a broker's restart, and
/// while a commit waits for it nothing that is assigned is fetched.
const ANSWER: &str = "10000";

/// What the group gave.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) partitions: TopicPartitionList,
    /// Those of them that are this node's since.
    pub(super) claimed: BTreeSet<PartitionId>,
    /// When their offsets are compared with Kafka's; only after that they are read.
    pub(super) compare_at: Option<Instant>,
    /// Those that are read.
    pub(super) read: Option<TopicPartitionList>,
    /// The group has yet to say what it gives, if anything.
    pub(super) is_awaited: bool,
    /// The broker has yet to say how far some of them reach.
    pub(super) is_untold: bool,
}

impl Given {
    /// Nothing yet.
    pub(super) fn awaited() -> Self {
        Self {
            partitions: TopicPartitionList::new(),
            claimed: BTreeSet::new(),
            compare_at: None,
            read: None,
            is_awaited: true,
            is_untold: false,
        }
    }

    pub(super) fn anew(partitions: TopicPartitionList) -> Self {
        Self {
            partitions,
            compare_at: Some(Instant::now()),
            is_awaited: false,
            ..Self::awaited()
        }
    }

    pub(super) fn ids(&self) -> BTreeSet<PartitionId> {
        ids(&self.partitions)
    }

    /// Those that are read.
    pub(super) fn reading(&self) -> BTreeSet<PartitionId> {
        self.read.as_ref().map(ids).unwrap_or_default()
    }
}

/// The partitions of a list, whatever their offsets.
pub(super) fn ids(list: &TopicPartitionList) -> BTreeSet<PartitionId> {
    let elements = list.elements();
    let ids = elements.iter().map(|element| PartitionId {
        topic: element.topic().into(),
        partition: element.partition(),
    });
    ids.collect()
}

/// What answers librdkafka's questions to the group member.
pub(super) struct GroupContext {
    given: Arc<Mutex<Given>>,
    pipeline: PipelineHandle,
    is_left_behind: AtomicBool,
    is_committing: AtomicBool,
}

/// The client.
pub(super) type GroupConsumer = BaseConsumer<GroupContext>;

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        pass_on(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The reader is told too. Unknown topics are waited for, and a broker that is away comes back.
        tracing::debug!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for GroupContext {
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        self.is_committing.store(false, Ordering::Relaxed);
        if let Err(error) = result {
            tracing::debug!(%error, "offsets not committed; the checkpoint rules");
        }
    }

    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let result = if self.is_left_behind.load(Ordering::Relaxed) {
            consumer.unassign()
        } else if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            tracing::debug!(?partitions, "the group gives");
            *lock(&self.given) = Given::anew(partitions.clone());
            // Nothing is read before the offsets are compared, which asks the broker and may have to be tried again.
            consumer.assign(&TopicPartitionList::new())
        } else {
            tracing::debug!(?partitions, "the group takes back");
            *lock(&self.given) = Given::awaited();
            // Until this returns no other node is given them, unless the group has missed this one: then it is too late, and
            // saving may have to wait for the same broker. Without it they are read again from the checkpoint before.
            if !consumer.assignment_lost()
                && let Err(error) = self.pipeline.checkpoint_blocking()
            {
                tracing::warn!(%error, "partitions go back to the group without a last checkpoint");
            }
            consumer.unassign()
        };
        if let Err(error) = result {
            tracing::error!(%error, "partitions could not be assigned; the group will try again");
        }
    }
}

/// The member.
pub(super) struct Member {
    pub(super) consumer: Arc<GroupConsumer>,
    pub(super) queue: MessageQueue,
    pub(super) given: Arc<Mutex<Given>>,
}

impl Member {
    /// Joins the group; what it gives is told later.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub(super) fn join(
        settings: &KafkaSettings,
        instance_id: &str,
        topics: &[String],
        pipeline: PipelineHandle,
    ) -> KafkaResult<Self> {
        let given = Arc::new(Mutex::new(Given::awaited()));
        let mut config = settings.client();
        if !settings.properties.contains_key("socket.timeout.ms") {
            config.set("socket.timeout.ms", ANSWER);
        }
        let consumer: GroupConsumer = config
            .set("group.id", &settings.group)
            .set("group.instance.id", instance_id)
            .set("session.timeout.ms", SESSION.as_millis().to_string())
            // What is assigned is always told as a whole.
            .set("partition.assignment.strategy", "range,roundrobin")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            // Never silently from the beginning again: the offsets are compared, and the partition is not read.
            .set("auto.offset.reset", "error")
            // librdkafka would wait a second whenever its queue is full.
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.wait.max.ms", "50")
            .set("queued.max.messages.kbytes", "16384")
            .set(
                "topic.metadata.refresh.interval.ms",
                settings.refresh_millis().to_string(),
            )
            .set("topic.metadata.refresh.fast.interval.ms", "100")
            .set("allow.auto.create.topics", "false")
            .create_with_context(GroupContext {
                given: Arc::clone(&given),
                pipeline,
                is_left_behind: AtomicBool::new(false),
                is_committing: AtomicBool::new(false),
            })?;
        let consumer = Arc::new(consumer);
        let queue = MessageQueue::new(Arc::clone(&consumer))
            .ok_or_else(|| KafkaError::ClientCreation("librdkafka gives no queue".to_owned()))?;
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&names)?;
        Ok(Self {
            consumer,
            queue,
            given,
        })
    }

    /// Leaves it behind, standing still as it does: it is closed elsewhere, if it can be. As a static member it does not
    /// tell the group, which takes the one that joins next for it.
    pub(super) fn leave_behind(self) {
        self.consumer
            .client()
            .context()
            .is_left_behind
            .store(true, Ordering::Relaxed);
        drop(self.queue);
        if let Err(error) = close_elsewhere(self.consumer) {
            tracing::warn!(%error, "a Kafka client that stood still could not be closed and is left behind");
        }
    }
}

/// Closes a member on a thread of its own, and says there when it is closed. Nobody else may be the last to let go of it:
/// that one would wait for librdkafka.
fn close_elsewhere(mut consumer: Arc<GroupConsumer>) -> std::io::Result<std::sync::mpsc::Receiver<()>> {
    let (closed, closing) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("kafka-close".to_owned())
        .spawn(move || {
            loop {
                match Arc::try_unwrap(consumer) {
                    Ok(last) => break drop(last),
                    Err(shared) => consumer = shared,
                }
                std::thread::park_timeout(LOOK);
            }
            // Nobody waits for it any more after `CLOSING`.
            closed.send(()).ok();
        })?;
    Ok(closing)
}

/// Closes the group member, when all that was read is saved and committed. A rebalance that comes meanwhile can leave
/// librdkafka waiting for an answer of its own for ever (its issue 4884): it is left behind then, and nothing is lost.
pub(super) fn close(consumer: Arc<GroupConsumer>) {
    let closing = close_elsewhere(consumer);
    if closing.is_err() || closing.is_ok_and(|closing| closing.recv_timeout(CLOSING).is_err()) {
        tracing::warn!(
            "the Kafka group member did not close in time and is left behind; everything was saved before"
        );
    }
}

/// Tells the group, for lag tools to see, how far checkpoints reach.
///
/// One at a time: while a commit is under way nothing that is assigned anew is fetched.
pub(super) fn commit(
    consumer: &GroupConsumer,
    offsets: &[(PartitionId, i64)],
    reading: &BTreeSet<PartitionId>,
    is_last: bool,
) {
    let is_under_way = &consumer.client().context().is_committing;
    if is_under_way.load(Ordering::Relaxed) && !is_last {
        return;
    }
    let mut list = TopicPartitionList::new();
    for (id, next) in offsets {
        if reading.contains(id)
            && let Err(error) = list.add_partition_offset(&id.topic, id.partition, Offset::Offset(*next))
        {
            tracing::debug!(%error, partition = %id, "offset not committed");
        }
    }
    if list.count() == 0 {
        return;
    }
    is_under_way.store(true, Ordering::Relaxed);
    if let Err(error) = consumer.commit(&list, CommitMode::Async) {
        is_under_way.store(false, Ordering::Relaxed);
        tracing::debug!(%error, "offsets not committed; the checkpoint rules");
    }
}
