//! The topic that refused records go to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use super::client_lines::{QuietContext, pass_on};
use super::settings::KafkaSettings;
use crate::dead_letter::{DeadLetter, RAW_BYTES};

/// Longest wait for all in-sync replicas.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked whether brokers are away while records are waited for.
const FLUSH_PAUSE: Duration = Duration::from_millis(500);
/// How often, and with what pause, a record is offered to a queue that is full.
const QUEUE_FULL_TRIES: u32 = 40;
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(50);

/// Brokers take 1 MiB by default, key and headers included.
const LARGEST_IN_TOPIC: usize = 1_000_000;

/// Says what the broker refused for good; it is with the dead letters here all the same.
#[derive(Default)]
struct Complaints {
    /// All brokers are away: nothing was delivered since it was said.
    is_away: Arc<AtomicBool>,
}

impl ClientContext for Complaints {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        pass_on(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.is_away.store(true, Ordering::Relaxed);
        }
        QuietContext.error(error, reason);
    }
}

impl ProducerContext for Complaints {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.is_away.store(false, Ordering::Relaxed);
        }
        if let Err((error, record)) = result {
            let key = record.key().map(String::from_utf8_lossy);
            tracing::error!(%error, topic = record.topic(), ?key, "a dead letter is not in its topic: the broker refuses it");
        }
    }
}

/// Produces refused records to the dead-letter topic; a record read again after a crash may be there twice, under one key.
pub struct DeadLetterTopic {
    producer: ThreadedProducer<Complaints>,
    is_away: Arc<AtomicBool>,
    topic: String,
}

impl DeadLetterTopic {
    /// Connects lazily.
    pub fn new(settings: &KafkaSettings) -> KafkaResult<Self> {
        let complaints = Complaints::default();
        let is_away = Arc::clone(&complaints.is_away);
        let producer = settings
            .client()
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            // Never given up for its age: while the broker is away a flush fails, and no checkpoint covers the record.
            .set("message.timeout.ms", "0")
            .set("queue.buffering.max.kbytes", "65536")
            .create_with_context(complaints)?;
        Ok(Self {
            producer,
            is_away,
            topic: settings.dead_letters.clone(),
        })
    }

    /// Hands over a record; the first [`RAW_BYTES`] of one that is longer than brokers take by default. Waits a while when
    /// the producer's queue is full.
    ///
    /// # Errors
    /// The queue stayed full, because the broker is away; or the record cannot be produced at all.
    pub fn send(&self, letter: &DeadLetter, raw: &[u8]) -> KafkaResult<()> {
        let raw = letter.kept(raw);
        let raw = if raw.len() > LARGEST_IN_TOPIC {
            &raw[..RAW_BYTES]
        } else {
            raw
        };
        let key = format!(
            "{}/{}/{}/{}",
            letter.topic, letter.partition, letter.offset, letter.index
        );
        let text = |key, value| Header {
            key,
            value: Some(value),
        };
        let (size, hash) = (letter.size.to_string(), format!("{:032x}", letter.hash));
        let headers = OwnedHeaders::new()
            .insert(text("riskgrid-reason", letter.reason.as_str()))
            .insert(text("riskgrid-detail", letter.detail.as_str()))
            .insert(text("riskgrid-size", size.as_str()))
            .insert(text("riskgrid-hash", hash.as_str()));
        let mut record = BaseRecord::to(&self.topic)
            .key(&key)
            .payload(raw)
            .headers(headers);
        for _ in 0..QUEUE_FULL_TRIES {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    self.producer.poll(QUEUE_FULL_PAUSE);
                }
                Err((error, _)) => return Err(error),
            }
        }
        Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))
    }

    /// Waits until what was handed over is durable; not for long when all brokers are away, as ingest waits for it.
    ///
    /// # Errors
    /// Something is not durable yet.
    pub fn flush(&self) -> KafkaResult<()> {
        let began = Instant::now();
        loop {
            match self.producer.flush(FLUSH_PAUSE) {
                Err(_) if began.elapsed() < DELIVERY_TIMEOUT && !self.is_away.load(Ordering::Relaxed) => {}
                flushed => return flushed,
            }
        }
    }
}

impl std::fmt::Debug for DeadLetterTopic {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DeadLetterTopic")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
