//! Messages in batches, as librdkafka holds them, not copied. Here and in the queue that fills them librdkafka is spoken to
//! past rdkafka's own types.

use std::borrow::Cow;
use std::ffi::CStr;
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rdkafka::bindings as librdkafka;
use rdkafka::types::RDKafkaRespErr;

use crate::words::{BinaryAttributes, EventTime};

/// The name of a message's topic.
pub(crate) fn topic_name(topic: *mut librdkafka::rd_kafka_topic_t) -> String {
    // SAFETY: a message's topic lives as long as the message, and its name is text that ends in NUL.
    unsafe { CStr::from_ptr(librdkafka::rd_kafka_topic_name(topic)) }
        .to_string_lossy()
        .into_owned()
}

/// Messages of one partition, in order, at least one. They pin librdkafka's fetch buffers: not for keeping.
pub struct MessageBatch {
    messages: Vec<NonNull<librdkafka::rd_kafka_message_t>>,
    /// The client that they come from: it must not be gone before them.
    _client: Arc<dyn Send + Sync>,
}

// SAFETY: the batch is the only owner of its messages, and librdkafka takes them back from any thread.
unsafe impl Send for MessageBatch {}

impl MessageBatch {
    /// A batch of one message.
    ///
    /// # Safety
    /// The message is whole, belongs to nobody else, and comes from `client`.
    pub(crate) unsafe fn of(
        message: NonNull<librdkafka::rd_kafka_message_t>,
        client: Arc<dyn Send + Sync>,
    ) -> Self {
        Self {
            messages: vec![message],
            _client: client,
        }
    }

    /// Whether its messages are of that partition.
    pub(crate) fn is_of(&self, topic: *mut librdkafka::rd_kafka_topic_t, partition: i32) -> bool {
        self.first()
            .is_some_and(|first| ptr::eq(first.0.rkt, topic) && first.0.partition == partition)
    }

    /// Takes what comes next of the same partition.
    pub(crate) fn absorb(&mut self, mut other: Self) {
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
            .finish_non_exhaustive()
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
