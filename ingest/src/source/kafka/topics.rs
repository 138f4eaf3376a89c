//! The topics that riskgrid makes itself, with the broker's timestamps.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::log::kafka::KafkaSettings;
use crate::log::kafka::QuietContext;

/// Why riskgrid's own topics are not all there.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The brokers do not answer.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// They do not make one.
    #[error("topic `{topic}` could not be created: {code}; create it, or allow riskgrid to")]
    Refused {
        /// Which.
        topic: String,
        /// Why.
        #[source]
        code: RDKafkaErrorCode,
    },
}

/// Creates riskgrid's own topics where they are missing, with LogAppendTime so that `in_future` is decided by the
/// broker's clock. Partitions and replicas are the broker's defaults. Topics of feeds are left to their producers.
///
/// # Errors
/// The first that could not be created; topics that exist already are no error.
pub async fn create_own_topics(settings: &KafkaSettings) -> Result<(), TopicError> {
    let admin: AdminClient<QuietContext> = settings.client().create_with_context(QuietContext)?;
    let names = [
        &settings.observations,
        &settings.reports,
        &settings.positions,
        &settings.dead_letters,
    ];
    let topics: Vec<NewTopic<'_>> = names
        .into_iter()
        .map(|name| {
            NewTopic::new(name, -1, TopicReplication::Fixed(-1))
                .set("message.timestamp.type", "LogAppendTime")
        })
        .collect();
    for result in admin.create_topics(&topics, &AdminOptions::new()).await? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(TopicError::Refused { topic, code }),
        }
    }
    Ok(())
}
