//! What riskgrid produces: the events of the HTTP intake, and refused records.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, FutureProducer, FutureRecord, Producer, ProducerContext, ThreadedProducer,
};
use rdkafka::types::RDKafkaErrorCode;

use super::KafkaSettings;
use super::presence::{QuietContext, pass_on};
use crate::dead_letter::{DeadLetter, RAW_BYTES};
use crate::event::EventKind;

/// Longest wait for all in-sync replicas.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked whether brokers are away while records are waited for.
const FLUSH_PAUSE: Duration = Duration::from_millis(500);
/// How often, and with what pause, a record is offered to a queue that is full.
const QUEUE_FULL_TRIES: u32 = 40;
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(50);

/// Why events of the intake are not in Kafka.
#[derive(Debug, thiserror::Error)]
#[error("Kafka did not take the events: {0}")]
pub struct ProduceError(String);

/// Produces the events of the HTTP intake, keyed by `source`, acknowledged by all in-sync replicas.
#[derive(Clone)]
pub struct EventProducer {
    producer: FutureProducer<QuietContext>,
    settings: KafkaSettings,
}

impl EventProducer {
    /// Connects lazily: a broker that is down shows when something is produced.
    pub fn new(settings: &KafkaSettings) -> KafkaResult<Self> {
        let producer = settings
            .client()
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "2")
            .set("message.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string())
            .create_with_context(QuietContext)?;
        Ok(Self {
            producer,
            settings: settings.clone(),
        })
    }

    /// Produces the events of one request, each `(kind, source, structured JSON)`; returns when all are durable.
    pub async fn produce(&self, events: &[(EventKind, String, Vec<u8>)]) -> Result<(), ProduceError> {
        // All are handed over before the first is waited for, so that they share batches.
        let mut sent = Vec::with_capacity(events.len());
        for (kind, source, json) in events {
            let topic = match kind {
                EventKind::Observation => &self.settings.observations,
                EventKind::Report => &self.settings.reports,
                EventKind::Position => &self.settings.positions,
            };
            let headers = OwnedHeaders::new().insert(Header {
                key: "content-type",
                value: Some("application/cloudevents+json"),
            });
            let record = FutureRecord::to(topic).key(source).payload(json).headers(headers);
            match self.producer.send_result(record) {
                Ok(delivery) => sent.push(delivery),
                // The producer's queue is full of others' events: wait for room.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), record)) => {
                    self.producer
                        .send(record, DELIVERY_TIMEOUT)
                        .await
                        .map_err(|(error, _)| ProduceError(error.to_string()))?;
                }
                Err((error, _)) => return Err(ProduceError(error.to_string())),
            }
        }
        for delivery in sent {
            match delivery.await {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => return Err(ProduceError(error.to_string())),
                Err(_) => return Err(ProduceError("the producer was closed".to_owned())),
            }
        }
        Ok(())
    }
}

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
