//! What clients of librdkafka have to say, passed on to our own log.

use std::collections::BTreeSet;
use std::sync::Mutex;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use crate::threads::lock;

/// Lines of librdkafka that are remembered, so that each is said once: there are about a dozen kinds.
const MOST_LINES: usize = 64;

/// The lines that clients of librdkafka have said, numbers aside.
static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// What tells of a connection that went or could not be made: it is tried again, several times a second.
const OF_CONNECTIONS: [&str; 9] = [
    "refused",
    "Disconnected",
    "onnection reset",
    "Connection closed",
    "brokers are down",
    "broker connections are down",
    "transport failure",
    "timed out",
    "No route to host",
];

/// Passes on what a client of librdkafka has to say, each kind of line once; what becomes of connections is said by who
/// waits for the broker, and is for debugging here.
pub(crate) fn pass_on(level: RDKafkaLogLevel, facility: &str, line: &str) {
    let is_news = !OF_CONNECTIONS.iter().any(|part| line.contains(part)) && {
        let kind: String = line.chars().filter(|c| !c.is_ascii_digit()).collect();
        let mut said = lock(&SAID);
        if said.len() >= MOST_LINES {
            said.clear();
        }
        said.insert(kind)
    };
    match level {
        RDKafkaLogLevel::Debug => tracing::debug!(facility, "librdkafka: {line}"),
        _ if !is_news => tracing::debug!(facility, "librdkafka: {line}"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => tracing::info!(facility, "librdkafka: {line}"),
        _ => tracing::warn!(facility, "librdkafka: {line}"),
    }
}

/// The context of a client whose errors its callers are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct QuietContext;

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        pass_on(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        pass_on(RDKafkaLogLevel::Warning, "ERROR", &format!("{error}: {reason}"));
    }
}
