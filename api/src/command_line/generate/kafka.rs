//! Lines to Kafka, as riskgrid's own intake produces them.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use riskgrid_fixtures::load::{Line, LineKind};
use riskgrid_ingest::EventKind;
use riskgrid_ingest::source::kafka::{EventProducer, create_own_topics};

use super::super::VerbResult;
use crate::config::Config;

/// How long a broker may take to answer at all.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct KafkaTarget {
    producer: EventProducer,
}

impl KafkaTarget {
    /// Makes the topics where they are missing: a broker that made them by itself would let the producer stamp them.
    pub(super) async fn open(
        brokers: &str,
        config: Option<&Path>,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let loaded = Config::load(config, &[("kafka.brokers", brokers.to_owned())])?;
        let settings = loaded.config.kafka;
        match tokio::time::timeout(PATIENCE, create_own_topics(&settings)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "topics could not be made; those that are there are used");
            }
            Err(_) => return Err(format!("no Kafka broker answers at {brokers}").into()),
        }
        Ok(Self {
            producer: EventProducer::new(&settings)?,
        })
    }

    pub(super) async fn send(&mut self, lines: Vec<Line>) -> VerbResult {
        let events: Vec<_> = lines
            .into_iter()
            .map(|line| {
                let kind = match line.kind {
                    LineKind::Observation => EventKind::Observation,
                    LineKind::Report => EventKind::Report,
                };
                (kind, line.source.to_string(), line.json.into_bytes())
            })
            .collect();
        Ok(self.producer.produce(&events).await?)
    }
}
