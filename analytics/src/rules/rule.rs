//! What a rule says: checked once, when it is made; a [`Rule`] that exists is valid.

use std::time::Duration;

use riskgrid_ingest::grid::Metric;
use riskgrid_ingest::{Layer, LayerKind};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::fields::{FieldProblem, Fields, InvalidRule};
use super::read::{
    is_layer_id, one_problem, read_clear_below, read_hold, read_limit, read_metric, read_names,
    read_resolution, read_stale_after, read_window,
};
use super::words::{Audience, Kind, Limit, Per, Severity};

/// What the grid can answer, so that a rule it cannot serve is refused when it is made.
#[derive(Clone, Copy, Debug)]
pub struct RuleBounds {
    /// The resolution that the grid stores: the finest that a rule may ask for.
    pub base_resolution: u8,
    /// The longest window that the grid's retention covers.
    pub longest_window: Duration,
    /// The shortest window: two buckets, so that one of them is always whole.
    pub shortest_window: Duration,
}

impl Default for RuleBounds {
    /// Any H3 resolution, windows of up to ten years: what a stored rule is read with.
    fn default() -> Self {
        Self {
            base_resolution: 15,
            longest_window: Duration::from_hours(3_650 * 24),
            shortest_window: Duration::ZERO,
        }
    }
}

/// A valid rule. Serialises as the object that clients see.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// Given by the server; never used twice.
    pub id: String,
    /// Given by the client; unique.
    pub name: String,
    /// Always `threshold` today.
    pub kind: Kind,
    /// The layer it watches.
    pub layer: String,
    /// What an instance is.
    pub per: Per,
    /// Which number is compared.
    pub metric: Metric,
    /// `above` or `at_least`.
    #[serde(flatten)]
    pub limit: Limit,
    /// Values below this are clear; at most the limit.
    pub clear_below: f64,
    /// How long the value must stay over the limit before the alert fires.
    #[serde(rename = "for", serialize_with = "as_humantime")]
    pub hold: Duration,
    /// How long the value must stay clear before the alert resolves.
    #[serde(serialize_with = "as_humantime")]
    pub keep_firing_for: Duration,
    /// Rules on sensors: how long after its newest value a firing alert expires.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_optional_humantime"
    )]
    pub stale_after: Option<Duration>,
    /// Rules on cells: the span of event time that is aggregated, whole minutes.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_window")]
    pub window: Option<Duration>,
    /// Rules on cells: the H3 resolution; `None` is the grid's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<u8>,
    /// Of its alerts.
    pub severity: Severity,
    /// Names of the webhooks to tell.
    pub webhooks: Vec<String>,
    /// Who is told of its alerts.
    #[serde(skip_serializing_if = "Audience::is_staff")]
    pub audience: Audience,
}

impl Rule {
    /// Reads and checks a client's rule.
    ///
    /// # Errors
    /// [`InvalidRule`] with every field that is missing, unknown or out of bounds.
    pub fn from_json(id: &str, json: &Value, bounds: &RuleBounds) -> Result<Self, InvalidRule> {
        Self::read(id, json, bounds, true)
    }

    /// One that is stored already stays a rule, though its limit may be none that a new one may have.
    fn read(id: &str, json: &Value, bounds: &RuleBounds, is_new: bool) -> Result<Self, InvalidRule> {
        let Some(object) = json.as_object() else {
            return Err(one_problem(
                "rule",
                "not a JSON object",
                "an object with name, kind, layer, per, …",
            ));
        };
        match object.get("kind").and_then(Value::as_str) {
            Some("threshold") | None => {}
            Some(other) => {
                return Err(one_problem(
                    "kind",
                    &format!("\"{other}\", not available"),
                    "threshold",
                ));
            }
        }
        let mut fields = Fields::new(object);
        let name = fields.required("name", "1 to 128 characters", |value| {
            value
                .as_str()
                .map(str::trim)
                .filter(|name| (1..=128).contains(&name.chars().count()))
        });
        fields.required("kind", "threshold", Value::as_str);
        let layer = fields.required("layer", "a layer's id, 1 to 64 of a-z, 0-9 and _", |value| {
            value.as_str().filter(|id| is_layer_id(id))
        });
        let per = fields.required("per", "sensor, cell", |value| match value.as_str()? {
            "sensor" => Some(Per::Sensor),
            "cell" => Some(Per::Cell),
            _ => None,
        });
        let metric = read_metric(&mut fields, per);
        let judged = metric.filter(|_| is_new);
        let limit = read_limit(&mut fields, judged);
        let clear_below = read_clear_below(&mut fields, limit, judged);
        let hold = read_hold(&mut fields, "for");
        let keep_firing_for = read_hold(&mut fields, "keep_firing_for");
        let stale_after = read_stale_after(&mut fields, per);
        let window = read_window(&mut fields, per, bounds);
        let resolution = read_resolution(&mut fields, per, bounds);
        let severity = fields.required("severity", "minor, moderate, major, critical", |value| {
            Severity::from_name(value.as_str()?)
        });
        let webhooks = fields
            .optional(
                "webhooks",
                "a list of at most 16 names of webhooks, each once",
                read_names,
            )
            .unwrap_or_default();
        let audience = fields.optional("audience", "staff, public", |value| {
            Audience::from_name(value.as_str()?)
        });
        let problems = fields.finish();
        match (name, layer, per, metric, limit, severity) {
            (Some(name), Some(layer), Some(per), Some(metric), Some(limit), Some(severity))
                if problems.is_empty() =>
            {
                Ok(Self {
                    id: id.to_owned(),
                    name: name.to_owned(),
                    kind: Kind::Threshold,
                    layer: layer.to_owned(),
                    per,
                    metric,
                    limit,
                    clear_below: clear_below.unwrap_or(limit.value()),
                    hold,
                    keep_firing_for,
                    stale_after,
                    window,
                    resolution,
                    severity,
                    webhooks,
                    audience: audience.unwrap_or_default(),
                })
            }
            _ => Err(InvalidRule { problems }),
        }
    }

    /// Whether it can fire on its layer: what the layer has no such thing of, or no such value, is named.
    ///
    /// # Errors
    /// [`InvalidRule`] with every field that makes it a rule that never fires.
    pub fn fits(&self, layer: &Layer) -> Result<(), InvalidRule> {
        let problem = |field: &str, found: String, allowed: String| FieldProblem {
            field: field.to_owned(),
            found,
            allowed,
        };
        let kind = layer.kind;
        let mut problems = Vec::new();
        if self.per == Per::Sensor && kind != LayerKind::Observation {
            let allowed = format!(
                "cell, for `{}` is a layer of reports, which no sensor sends",
                layer.id
            );
            problems.push(problem("per", "\"sensor\"".to_owned(), allowed));
        } else if !self.metric.applies_to(kind) {
            let all = Metric::ALL.iter().filter(|metric| metric.applies_to(kind));
            let names: Vec<&str> = all.map(|metric| metric.as_str()).collect();
            let allowed = format!(
                "{}, for `{}` is a layer of {}s",
                names.join(", "),
                layer.id,
                kind.as_str()
            );
            problems.push(problem(
                "metric",
                format!("\"{}\"", self.metric.as_str()),
                allowed,
            ));
        }
        // Values are kept as whole numbers of the layer's smallest unit.
        let largest = layer.scale().value(i64::MAX as f64).abs();
        let is_one_value = matches!(
            self.metric,
            Metric::Mean | Metric::Min | Metric::Max | Metric::Last
        );
        if is_one_value && kind == LayerKind::Observation && self.limit.value().abs() > largest {
            let allowed = format!(
                "a number between -{largest} and {largest}, which values of `{}` can be",
                layer.id
            );
            problems.push(problem(
                self.limit.comparison(),
                self.limit.value().to_string(),
                allowed,
            ));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidRule { problems })
        }
    }

    /// Reads a rule as it was serialised, `id` included.
    ///
    /// # Errors
    /// [`InvalidRule`] when the text is not such a rule.
    pub fn from_stored(text: &str) -> Result<Self, InvalidRule> {
        let mut json: Value = serde_json::from_str(text)
            .map_err(|error| one_problem("rule", &error.to_string(), "a stored rule"))?;
        let id = json.as_object_mut().and_then(|object| object.remove("id"));
        match id.as_ref().and_then(Value::as_str) {
            Some(id) => Self::read(id, &json, &RuleBounds::default(), false),
            None => Err(one_problem("id", "missing", "the id of the rule")),
        }
    }
}

/// A window as clients write it: `15m`, `24h` as `1d`.
fn print_window(window: Duration) -> String {
    let minutes = window.as_secs() / 60;
    match minutes {
        _ if minutes.is_multiple_of(1_440) => format!("{}d", minutes / 1_440),
        _ if minutes.is_multiple_of(60) => format!("{}h", minutes / 60),
        _ => format!("{minutes}m"),
    }
}

fn as_humantime<S: Serializer>(hold: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*hold))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn as_optional_humantime<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => as_humantime(duration, serializer),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn as_window<S: Serializer>(window: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match window {
        Some(window) => serializer.serialize_str(&print_window(*window)),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#[path = "rule_tests.rs"]
mod tests;
