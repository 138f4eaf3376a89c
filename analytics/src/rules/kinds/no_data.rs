//! A sensor or feed that stopped: nothing was heard of it for longer than it is silent otherwise.

use std::time::Duration;

use riskgrid_ingest::words::Timespan;
use serde::Serialize;

use super::super::fields::Fields;
use super::super::printed::as_humantime;
use super::super::read::{is_layer_id, read_duration, read_names};
use super::super::rule::RuleBounds;
use super::What;

const MAX_NAMED: usize = 1_000;
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// What is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Each sensor of a layer.
    Sensor,
    /// Each of some feeds.
    Feed,
}

/// How long a silence may last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// So long.
    Fixed(Duration),
    /// As long as its own past says.
    Learned,
}

/// A sensor or feed that stopped.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoData {
    /// What is listened to.
    pub of: Of,
    /// Whose sensors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// Sensors that are listened to although they were never heard.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sensors: Vec<String>,
    /// Names of feeds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub feeds: Vec<String>,
    /// How long a silence may last.
    #[serde(serialize_with = "as_expected")]
    pub expected: Expected,
    /// Of what was learned.
    pub factor: f64,
    /// A learned limit is no shorter.
    #[serde(serialize_with = "as_humantime")]
    pub min: Duration,
    /// A learned limit is no longer.
    #[serde(serialize_with = "as_humantime")]
    pub max: Duration,
    /// After which it is no more expected.
    #[serde(serialize_with = "as_humantime")]
    pub forget: Duration,
}

/// Intervals below which nothing is learned.
const LEAST: usize = 8;

impl NoData {
    /// How long a silence may last, learned of intervals between readings: nine of ten were no longer than a part of it.
    /// `None` where they are too few.
    pub fn limit(&self, intervals: impl IntoIterator<Item = Duration>) -> Option<Duration> {
        let mut sorted: Vec<Duration> = intervals.into_iter().collect();
        if sorted.len() < LEAST {
            return None;
        }
        sorted.sort_unstable();
        let place = (sorted.len() * 9).div_ceil(10);
        let usual = sorted.get(place - 1)?;
        Some(usual.mul_f64(self.factor).clamp(self.min, self.max))
    }
}

fn as_expected<S: serde::Serializer>(expected: &Expected, serializer: S) -> Result<S::Ok, S::Error> {
    match expected {
        Expected::Learned => serializer.serialize_str("learned"),
        Expected::Fixed(duration) => as_humantime(duration, serializer),
    }
}

pub(super) fn read(fields: &mut Fields<'_>, _: &RuleBounds, _: bool) -> Option<What> {
    let of = fields.required("of", "sensor, feed", |value| match value.as_str()? {
        "sensor" => Some(Of::Sensor),
        "feed" => Some(Of::Feed),
        _ => None,
    });
    let names = "a list of at most 1000 names, each once";
    let layer = fields.optional("layer", "a layer's id, 1 to 64 of a-z, 0-9 and _", |value| {
        value.as_str().filter(|id| is_layer_id(id))
    });
    let sensors = fields.optional("sensors", names, |value| read_names(value, MAX_NAMED));
    let feeds = fields.optional("feeds", names, |value| {
        read_names(value, MAX_NAMED).filter(|feeds| !feeds.is_empty())
    });
    let (own, others): (_, &[&'static str]) = match of {
        Some(Of::Sensor) => ("layer", &["feeds"]),
        Some(Of::Feed) => ("feeds", &["layer", "sensors"]),
        None => ("of", &[]),
    };
    if of.is_some() && fields.value(own).is_none() {
        fields.complain(
            own,
            if own == "layer" {
                "the layer of the sensors"
            } else {
                names
            },
        );
    }
    for other in others {
        if fields.value(other).is_some() {
            fields.complain(
                other,
                format!(
                    "none, where `of` is {}",
                    if own == "layer" { "sensor" } else { "feed" }
                ),
            );
        }
    }
    let expected = fields.optional(
        "expected",
        "learned, or a duration from 1s to 365d, like 10m",
        |value| match value.as_str()? {
            "learned" => Some(Expected::Learned),
            text => text
                .parse::<Timespan>()
                .ok()
                .map(|expected| expected.0)
                .filter(|expected| (SHORTEST..=LONGEST).contains(expected))
                .map(Expected::Fixed),
        },
    );
    let factor = fields.optional("factor", "a number from 1 to 100", |value| {
        value.as_f64().filter(|factor| (1.0..=100.0).contains(factor))
    });
    let mut span = |name| {
        read_duration(
            fields,
            name,
            "a duration from 1s to 365d, like 2m",
            SHORTEST..=LONGEST,
        )
    };
    let min = span("min").unwrap_or(Duration::from_mins(2));
    let max = span("max").unwrap_or(Duration::from_hours(24));
    let forget = span("forget").unwrap_or(Duration::from_hours(30 * 24));
    if max < min {
        fields.complain("max", format!("at least `min`, {}", Timespan(min)));
    }
    Some(What::NoData(NoData {
        of: of?,
        layer: layer.map(str::to_owned),
        sensors: sensors.unwrap_or_default(),
        feeds: feeds.unwrap_or_default(),
        expected: expected.unwrap_or(Expected::Learned),
        factor: factor.unwrap_or(3.0),
        min,
        max,
        forget,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::super::super::rule::Rule;
    use super::*;

    fn limit(seconds: &[u64], more: &serde_json::Value) -> Option<u64> {
        let mut json =
            json!({"name": "n", "kind": "no_data", "of": "sensor", "layer": "rain", "severity": "minor"});
        json.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let rule = Rule::from_json("r", &json, &RuleBounds::default()).unwrap();
        let What::NoData(no_data) = rule.what else {
            panic!("no_data")
        };
        let limit = no_data.limit(seconds.iter().map(|seconds| Duration::from_secs(*seconds)));
        limit.map(|limit| limit.as_secs())
    }

    #[test]
    fn the_limit_is_three_times_what_nine_of_ten_intervals_do_not_pass() {
        // The golden value of the contract: 28 of a minute, then 75, 90, 300, 600 s.
        let mut intervals = vec![60; 28];
        intervals.extend([300, 75, 600, 90]);
        assert_eq!(limit(&intervals, &json!({})), Some(225));
        assert_eq!(limit(&[60; 7], &json!({})), None);
        assert_eq!(limit(&[1; 8], &json!({})), Some(120));
        assert_eq!(limit(&[86_400; 8], &json!({})), Some(86_400));
        assert_eq!(limit(&[60; 8], &json!({"factor": 10})), Some(600));
    }
}
