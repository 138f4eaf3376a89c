//! Produces the events of the HTTP intake.

use std::time::Duration;

use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;

use crate::log::kafka::{KafkaSettings, QuietContext};
use crate::words::EventKind;

/// Longest wait for all in-sync replicas.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// Why events of the intake are not in Kafka.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The client or the broker refused them.
    #[error("Kafka did not take the events: {0}")]
    Refused(#[source] KafkaError),
    /// The producer ended meanwhile.
    #[error("Kafka did not take the events: the producer was closed")]
    Closed,
}

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
                        .map_err(|(error, _)| ProduceError::Refused(error))?;
                }
                Err((error, _)) => return Err(ProduceError::Refused(error)),
            }
        }
        for delivery in sent {
            match delivery.await {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => return Err(ProduceError::Refused(error)),
                Err(_) => return Err(ProduceError::Closed),
            }
        }
        Ok(())
    }
}
