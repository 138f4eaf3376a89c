//! What of Kafka both sides of the log know: its settings, messages as librdkafka holds them, the topic of dead letters.

mod client_lines;
mod dead_letter_topic;
mod message_batch;
mod settings;

pub(crate) use client_lines::{QuietContext, pass_on};
pub use dead_letter_topic::DeadLetterTopic;
pub(crate) use message_batch::topic_name;
pub use message_batch::{Message, MessageBatch};
pub use settings::KafkaSettings;
