//! What leaves the rules: an alert of one instance fired or resolved, with its reason by value.

use chrono::DateTime;
use serde::Serialize;
use serde_json::{Value, json};
use twox_hash::XxHash3_128;

use super::rule::Rule;
use super::step::Change;
use super::words::Severity;

/// Which way an alert went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TransitionKind {
    /// It began.
    Firing,
    /// It ended.
    Resolved,
}

/// One alert begins or ends. Times are event times in µs.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Id of the episode: the same for its beginning and its end, and when it is derived again.
    pub episode: String,
    /// Id of the rule.
    pub rule_id: String,
    /// Name of the rule.
    pub rule: String,
    /// Beginning or end.
    pub kind: TransitionKind,
    /// Of the rule.
    pub severity: Severity,
    /// Of the rule.
    pub layer: String,
    /// The instance: its sensor, for rules per sensor.
    pub sensor: Option<String>,
    /// The instance's cell, or the cell that its sensor stands in.
    pub cell: Option<u64>,
    /// The value that decided.
    pub value: f64,
    /// When it fired or resolved.
    pub at: i64,
    /// When the episode fired; equals `at` in a beginning.
    pub fired_at: i64,
    /// Names of the webhooks to tell.
    pub webhooks: Vec<String>,
    /// What was compared with what, by value.
    pub evidence: Value,
}

impl Transition {
    /// The key of the instance within its rule.
    pub fn instance(&self) -> String {
        match (&self.sensor, self.cell) {
            (Some(sensor), _) => sensor.clone(),
            (None, Some(cell)) => format!("{cell:x}"),
            (None, None) => String::new(),
        }
    }

    pub(super) fn new(rule: &Rule, sensor: Option<&str>, cell: Option<u64>, change: Change) -> Self {
        let (kind, at, fired_at, value) = match change {
            Change::Fired { at, value, .. } => (TransitionKind::Firing, at, at, value),
            Change::Resolved { at, fired_at, value } => (TransitionKind::Resolved, at, fired_at, value),
        };
        let mut transition = Self {
            episode: String::new(),
            rule_id: rule.id.clone(),
            rule: rule.name.clone(),
            kind,
            severity: rule.severity,
            layer: rule.layer.clone(),
            sensor: sensor.map(str::to_owned),
            cell,
            value,
            at,
            fired_at,
            webhooks: rule.webhooks.clone(),
            evidence: evidence(rule, change),
        };
        transition.episode = episode_id(&rule.id, &transition.instance(), fired_at);
        transition
    }
}

/// 128 bits in hex: the same for the same rule, instance and firing time, on every machine.
pub fn episode_id(rule_id: &str, instance: &str, fired_at: i64) -> String {
    let mut bytes = Vec::with_capacity(rule_id.len() + instance.len() + 24);
    for part in [rule_id.as_bytes(), instance.as_bytes(), &fired_at.to_le_bytes()] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    format!("{:032x}", XxHash3_128::oneshot(&bytes))
}

/// Microseconds since 1970 as RFC 3339 with `Z`, fractions only where there are any.
pub fn rfc3339(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map(riskgrid_ingest::words::rfc3339)
        .unwrap_or_default()
}

fn evidence(rule: &Rule, change: Change) -> Value {
    let (at, value) = match change {
        Change::Fired { at, value, .. } | Change::Resolved { at, value, .. } => (at, value),
    };
    let mut evidence = json!({
        "metric": rule.metric.as_str(),
        "value": value,
        "comparison": rule.limit.comparison(),
        "limit": rule.limit.value(),
        "clear_below": rule.clear_below,
        "for": humantime::format_duration(rule.hold).to_string(),
    });
    if let Change::Fired { since, .. } = change {
        evidence["since"] = json!(rfc3339(since));
    }
    if let Some(window) = rule.window {
        let start = at.saturating_sub(window.as_micros() as i64);
        evidence["window"] = json!({"start": rfc3339(start), "end": rfc3339(at)});
    }
    if let Some(resolution) = rule.resolution {
        evidence["resolution"] = json!(resolution);
    }
    evidence
}
