//! Kafka: a consumer group whose start offsets come from the checkpoints, and the topics that riskgrid produces to.

mod consumer;
mod messages;
mod offsets;
mod producer;
mod retention;
mod topics;

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

pub use consumer::{KafkaSource, KafkaStatus};
pub use messages::{Message, MessageBatch};
pub use producer::{DeadLetterTopic, EventProducer, ProduceError};
pub use retention::oldest_offsets;
pub use topics::create_own_topics;

/// Bytes of the largest message that is produced: an event of `edge.max_event` by default, with room for what is around
/// it. librdkafka's own limit is a little less than such an event needs; the broker has the last word.
const LARGEST_MESSAGE: &str = "2097152";

/// `[kafka]`: where events are read from and produced to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaSettings {
    /// Comma-separated `host:port` list. Empty (the default): no Kafka, events go to the embedded journal.
    pub brokers: String,
    /// Consumer group. Default `riskgrid`.
    pub group: String,
    /// Topic of observations. Default `riskgrid.observations`.
    pub observations: String,
    /// Topic of reports. Default `riskgrid.reports`.
    pub reports: String,
    /// Topic of positions. Default `riskgrid.positions`.
    pub positions: String,
    /// Topic of refused records. Default `riskgrid.dead-letters`.
    pub dead_letters: String,
    /// How often topics that do not exist yet are looked for. Default `5s`.
    pub refresh: String,
    /// Further librdkafka properties, for example `"security.protocol"`.
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            group: "riskgrid".to_owned(),
            observations: "riskgrid.observations".to_owned(),
            reports: "riskgrid.reports".to_owned(),
            positions: "riskgrid.positions".to_owned(),
            dead_letters: "riskgrid.dead-letters".to_owned(),
            refresh: "5s".to_owned(),
            properties: BTreeMap::new(),
        }
    }
}

impl KafkaSettings {
    /// Whether Kafka is configured.
    pub fn is_enabled(&self) -> bool {
        !self.brokers.trim().is_empty()
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "riskgrid")
            .set("message.max.bytes", LARGEST_MESSAGE);
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    fn refresh_millis(&self) -> u128 {
        humantime::parse_duration(&self.refresh).map_or(5_000, |refresh| refresh.as_millis().max(10))
    }
}
