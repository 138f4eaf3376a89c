//! Takes messages in batches: called for one by one they cost more than reading them.

use std::ffi::{CString, c_int};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as librdkafka;
use rdkafka::consumer::Consumer;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

use super::member::GroupConsumer;
use crate::log::kafka::{MessageBatch, topic_name};

/// Messages taken at once. Their bytes are bounded by `queued.max.messages.kbytes`, which holds for the queue as a whole.
const AT_ONCE: usize = 4096;

/// A queue of one's own, to which the queues of assigned partitions are forwarded. Rebalances come by another way, the
/// consumer's own queue: taking them in a batch would answer them wrongly.
pub(super) struct MessageQueue {
    queue: NonNull<librdkafka::rd_kafka_queue_t>,
    consumer: Arc<GroupConsumer>,
    buffer: Vec<*mut librdkafka::rd_kafka_message_t>,
}

// SAFETY: librdkafka's queues may be used from any thread; the buffer is empty between calls.
unsafe impl Send for MessageQueue {}

/// What the queue held.
pub(super) enum Taken {
    /// Messages of one partition, in order.
    Messages(MessageBatch),
    /// All that there is of a partition has been taken; its next offset.
    End(String, i32, i64),
    /// A partition or the client says that something is wrong.
    Failed(Option<(String, i32)>, RDKafkaErrorCode),
}

impl MessageQueue {
    /// A queue of `consumer`; `None` when librdkafka has no memory for one.
    pub(super) fn new(consumer: Arc<GroupConsumer>) -> Option<Self> {
        // SAFETY: the client lives as long as `consumer`.
        let queue = unsafe { librdkafka::rd_kafka_queue_new(consumer.client().native_ptr()) };
        Some(Self {
            queue: NonNull::new(queue)?,
            consumer,
            buffer: vec![ptr::null_mut(); AT_ONCE],
        })
    }

    /// Has what is fetched of a partition come here, and what waits in its own queue. Whether it could be done.
    pub(super) fn forward(&self, topic: &str, partition: i32) -> bool {
        let Ok(topic) = CString::new(topic) else {
            return false;
        };
        let client = self.consumer.client().native_ptr();
        // SAFETY: client and queue are alive; the partition's own queue is a counted reference, given back.
        unsafe {
            let own = librdkafka::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            let Some(own) = NonNull::new(own) else {
                return false;
            };
            librdkafka::rd_kafka_queue_forward(own.as_ptr(), self.queue.as_ptr());
            librdkafka::rd_kafka_queue_destroy(own.as_ptr());
        }
        true
    }

    /// How much the client has to say: rebalances, errors, lines for the log. They are in the consumer's own queue.
    pub(super) fn events(&self) -> usize {
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client is alive; its queue is a counted reference, given back.
        unsafe {
            let events = librdkafka::rd_kafka_queue_get_consumer(client);
            let Some(events) = NonNull::new(events) else {
                return 0;
            };
            let count = librdkafka::rd_kafka_queue_length(events.as_ptr());
            librdkafka::rd_kafka_queue_destroy(events.as_ptr());
            count
        }
    }

    /// The newest end of a partition that fetching has told; `None` before the first answer.
    pub(super) fn known_end(&self, topic: &str, partition: i32) -> Option<i64> {
        let topic = CString::new(topic).ok()?;
        let (mut low, mut high) = (0, 0);
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client is alive; this reads what it knows and asks nobody.
        let answer = unsafe {
            librdkafka::rd_kafka_get_watermark_offsets(
                client,
                topic.as_ptr(),
                partition,
                &raw mut low,
                &raw mut high,
            )
        };
        (answer == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }

    /// Waits for one message, then takes what is there without waiting; runs of one partition together.
    pub(super) fn take(&mut self, wait: Duration) -> Vec<Taken> {
        let wait = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue is alive; the message is destroyed by the batch that gets it.
        let first = unsafe { librdkafka::rd_kafka_consume_queue(self.queue.as_ptr(), wait) };
        let Some(first) = NonNull::new(first) else {
            return Vec::new();
        };
        // SAFETY: as many places as are said; those below the returned count are set.
        let count = unsafe {
            librdkafka::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                0,
                self.buffer.as_mut_ptr(),
                self.buffer.len(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        let messages = self
            .buffer
            .iter()
            .take(count)
            .filter_map(|message| NonNull::new(*message));
        let client: Arc<dyn Send + Sync> = Arc::<GroupConsumer>::clone(&self.consumer);
        let mut taken: Vec<Taken> = Vec::new();
        for message in std::iter::once(first).chain(messages) {
            // SAFETY: librdkafka gave it to us, whole; it is nobody else's.
            let batch = unsafe { MessageBatch::of(message, Arc::clone(&client)) };
            // SAFETY: the batch owns the message and lives until the end of this turn at least.
            let raw = unsafe { message.as_ref() };
            if raw.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                match taken.last_mut() {
                    Some(Taken::Messages(run)) if run.is_of(raw.rkt, raw.partition) => run.absorb(batch),
                    _ => taken.push(Taken::Messages(batch)),
                }
                continue;
            }
            let place = (!raw.rkt.is_null()).then(|| (topic_name(raw.rkt), raw.partition));
            taken.push(match (raw.err, place) {
                (RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF, Some((topic, partition))) => {
                    Taken::End(topic, partition, raw.offset)
                }
                (error, place) => Taken::Failed(place, error.into()),
            });
        }
        taken
    }
}

impl Drop for MessageQueue {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_queue_new`, and destroyed here only, before the consumer.
        unsafe { librdkafka::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}
