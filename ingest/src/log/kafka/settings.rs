//! `[kafka]` of the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::words::Timespan;

/// Bytes of the largest message that is produced: an event of `edge.max_event` by default, with room for what is around
/// it. librdkafka's own limit is a little less than such an event needs; the broker has the last word.
const LARGEST_MESSAGE: &str = "2097152";

/// Metadata is not asked for more often.
const LEAST_REFRESH: Duration = Duration::from_millis(10);
/// A consumer has its partitions again after a second or two; it is not made anew before.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

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
    /// After how long a partition that has records to be read and does not go on is noticed, and the consumer made anew.
    /// Default `30s`.
    pub stalled_after: String,
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
            stalled_after: "30s".to_owned(),
            properties: BTreeMap::new(),
        }
    }
}

impl KafkaSettings {
    /// Whether Kafka is configured.
    pub fn is_enabled(&self) -> bool {
        !self.brokers.trim().is_empty()
    }

    pub(crate) fn client(&self) -> ClientConfig {
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

    /// What is wrong with them, and what is right; none when nothing is.
    pub fn problem(&self) -> Option<String> {
        let durations = [
            ("refresh", &self.refresh, LEAST_REFRESH),
            ("stalled_after", &self.stalled_after, LEAST_PATIENCE),
        ];
        durations.into_iter().find_map(|(key, text, least)| {
            let is_right = text.parse::<Timespan>().is_ok_and(|span| span.0 >= least);
            (!is_right).then(|| {
                let least = Timespan(least);
                format!("`kafka.{key}`: `{text}` is not a duration of {least} or more, such as \"30s\"")
            })
        })
    }

    pub(crate) fn refresh_millis(&self) -> u128 {
        self.refresh
            .parse::<Timespan>()
            .map_or(5_000, |refresh| refresh.0.as_millis().max(10))
    }

    pub(crate) fn stalled_after(&self) -> Duration {
        let after = self.stalled_after.parse::<Timespan>();
        after.map_or(Duration::from_secs(30), |after| after.0.max(LEAST_PATIENCE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_that_are_none_or_too_short_are_told_with_their_key() {
        let with = |refresh: &str, stalled_after: &str| KafkaSettings {
            refresh: refresh.to_owned(),
            stalled_after: stalled_after.to_owned(),
            ..KafkaSettings::default()
        };
        assert_eq!(KafkaSettings::default().problem(), None);
        assert_eq!(with("10ms", "2s").problem(), None);
        for (settings, key) in [
            (with("soon", "30s"), "`kafka.refresh`: `soon`"),
            (with("1ms", "30s"), "`kafka.refresh`: `1ms`"),
            (with("", "30s"), "`kafka.refresh`: ``"),
            (with("5s", "1s"), "`kafka.stalled_after`: `1s`"),
            (with("5s", "-1"), "`kafka.stalled_after`: `-1`"),
        ] {
            let problem = settings.problem().unwrap();
            assert!(problem.starts_with(key), "{problem}");
        }
    }
}
