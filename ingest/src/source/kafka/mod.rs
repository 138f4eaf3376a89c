//! Kafka: a consumer group whose start offsets come from the checkpoints, and the topics that riskgrid produces to.

mod consumer;
mod event_producer;
mod member;
mod message_queue;
mod offsets;
mod presence;
mod reader;
mod retention;
mod status;
mod taking_up;
mod topics;
mod upkeep;
mod watch;

pub use consumer::KafkaSource;
pub use event_producer::{EventProducer, ProduceError};
pub use retention::oldest_offsets;
pub use status::KafkaStatus;
pub use topics::{TopicError, create_own_topics};

pub use crate::log::kafka::{DeadLetterTopic, KafkaSettings, Message, MessageBatch};

/// What librdkafka says.
pub use rdkafka::error::KafkaError;
