//! Messages in batches, as librdkafka holds them: neither called for nor copied one by one, which costs more than
//! reading them. This is the one place that speaks to librdkafka past rdkafka's own types.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as librdkafka;
use rdkafka::consumer::Consumer;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

use super::member::GroupConsumer;
use crate::decode::cloudevent::BinaryAttributes;
use crate::time::EventTime;

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
        let mut taken: Vec<Taken> = Vec::new();
        for message in std::iter::once(first).chain(messages) {
            let batch = MessageBatch {
                messages: vec![message],
                consumer: Arc::clone(&self.consumer),
            };
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

fn topic_name(topic: *mut librdkafka::rd_kafka_topic_t) -> String {
    // SAFETY: a message's topic lives as long as the message, and its name is text that ends in NUL.
    unsafe { CStr::from_ptr(librdkafka::rd_kafka_topic_name(topic)) }
        .to_string_lossy()
        .into_owned()
}

/// Messages of one partition, in order, at least one. They pin librdkafka's fetch buffers: not for keeping.
pub struct MessageBatch {
    messages: Vec<NonNull<librdkafka::rd_kafka_message_t>>,
    /// Messages must be gone before their client is.
    consumer: Arc<GroupConsumer>,
}

// SAFETY: the batch is the only owner of its messages, and librdkafka takes them back from any thread.
unsafe impl Send for MessageBatch {}

impl MessageBatch {
    fn is_of(&self, topic: *mut librdkafka::rd_kafka_topic_t, partition: i32) -> bool {
        self.first()
            .is_some_and(|first| ptr::eq(first.0.rkt, topic) && first.0.partition == partition)
    }

    fn absorb(&mut self, mut other: Self) {
        self.messages.append(&mut other.messages);
    }

    fn first(&self) -> Option<Message<'_>> {
        self.iter().next()
    }

    /// Their topic.
    pub fn topic(&self) -> String {
        self.first()
            .map(|first| topic_name(first.0.rkt))
            .unwrap_or_default()
    }

    /// Their partition.
    pub fn partition(&self) -> i32 {
        self.first().map_or(0, |first| first.0.partition)
    }

    /// The offset after the last one's.
    pub fn next_offset(&self) -> i64 {
        self.iter().last().map_or(0, |last| last.offset() + 1)
    }

    /// The messages.
    pub fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        // SAFETY: owned by this batch, which lives as long as the borrow.
        self.messages
            .iter()
            .map(|message| Message(unsafe { message.as_ref() }))
    }
}

impl Drop for MessageBatch {
    fn drop(&mut self) {
        for message in &self.messages {
            // SAFETY: owned by this batch alone; nothing borrows from it any more.
            unsafe { librdkafka::rd_kafka_message_destroy(message.as_ptr()) };
        }
    }
}

impl fmt::Debug for MessageBatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MessageBatch")
            .field("messages", &self.messages.len())
            .field("topic", &self.topic())
            .field("group", &self.consumer.group_metadata().is_some())
            .finish()
    }
}

/// One message of a batch.
#[derive(Clone, Copy)]
pub struct Message<'a>(&'a librdkafka::rd_kafka_message_t);

impl<'a> Message<'a> {
    /// Its offset in the partition.
    pub const fn offset(self) -> i64 {
        self.0.offset
    }

    /// Its value; empty when it has none.
    pub const fn payload(self) -> &'a [u8] {
        if self.0.payload.is_null() {
            return &[];
        }
        // SAFETY: librdkafka's payload of that length, alive as long as the message.
        unsafe { std::slice::from_raw_parts(self.0.payload.cast::<u8>(), self.0.len) }
    }

    fn timestamp(self) -> (i64, librdkafka::rd_kafka_timestamp_type_t) {
        let mut kind = librdkafka::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: a live message and a place for the kind.
        let millis = unsafe { librdkafka::rd_kafka_message_timestamp(self.0, &raw mut kind) };
        (millis, kind)
    }

    /// When the broker appended it, or its producer made it; `None` when nobody said.
    pub fn received(self) -> Option<EventTime> {
        let (millis, _) = self.timestamp();
        (millis >= 0).then(|| EventTime::from_micros(millis.saturating_mul(1000)))
    }

    /// Whether its timestamp is the producer's.
    pub fn is_stamped_by_producer(self) -> bool {
        self.timestamp().1 == librdkafka::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME
    }

    /// Its `ce_` headers; `None` when it is not in binary mode.
    pub fn attributes(self) -> Option<BinaryAttributes<'a>> {
        let mut headers = ptr::null_mut();
        // SAFETY: a live message of this thread. Headers are read lazily, which changes the message: the batch is owned by
        // one thread at a time.
        let found = unsafe { librdkafka::rd_kafka_message_headers(self.0, &raw mut headers) };
        if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        let mut attributes = BinaryAttributes::default();
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers belong to the message; name and value stay where they are as long as it lives.
            let (name, value) = unsafe {
                let end = librdkafka::rd_kafka_header_get_all(
                    headers,
                    index,
                    &raw mut name,
                    &raw mut value,
                    &raw mut size,
                );
                if end != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                    break;
                }
                let value: &'a [u8] = if value.is_null() {
                    continue;
                } else {
                    std::slice::from_raw_parts(value.cast::<u8>(), size)
                };
                (CStr::from_ptr(name), value)
            };
            if let Some(name) = name.to_str().ok().and_then(|name| name.strip_prefix("ce_")) {
                attributes.set(name, to_text(value));
            }
        }
        attributes.is_present().then_some(attributes)
    }
}

fn to_text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
