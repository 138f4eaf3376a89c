//! What leaves the rules: an alert of one instance fired or resolved, with its reason by value.

use riskgrid_ingest::EventTime;
use serde::Serialize;
use serde_json::{Value, json};

use super::rule::Rule;
use super::step::Change;
use super::words::Severity;
use crate::derived_id::derived_id;

/// Which way an alert went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TransitionKind {
    /// It began.
    Firing,
    /// It ended.
    Resolved,
    /// It ended because nothing was heard any more.
    Expired,
}

/// One alert begins or ends. Times are event times.
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
    /// When it fired or ended.
    pub at: EventTime,
    /// When the episode fired; equals `at` in a beginning.
    pub fired_at: EventTime,
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
            Change::Expired { at, fired_at, value } => (TransitionKind::Expired, at, fired_at, value),
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
        transition.episode = RuleInstance {
            rule_id: &rule.id,
            instance: &transition.instance(),
        }
        .episode(fired_at);
        transition
    }
}

/// An instance of a rule, whose episodes have ids.
#[derive(Clone, Copy, Debug)]
pub struct RuleInstance<'a> {
    /// Id of the rule.
    pub rule_id: &'a str,
    /// Its key within the rule, see [`Transition::instance`].
    pub instance: &'a str,
}

impl RuleInstance<'_> {
    /// The id of the episode that fired then: 128 bits in hex, the same on every machine.
    pub fn episode(self, fired_at: EventTime) -> String {
        let Self { rule_id, instance } = self;
        derived_id(&[
            rule_id.as_bytes(),
            instance.as_bytes(),
            &fired_at.micros().to_le_bytes(),
        ])
    }
}

fn evidence(rule: &Rule, change: Change) -> Value {
    let (at, value) = match change {
        Change::Fired { at, value, .. }
        | Change::Resolved { at, value, .. }
        | Change::Expired { at, value, .. } => (at, value),
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
        evidence["since"] = json!(since.to_string());
    }
    if let Some(window) = rule.window {
        let start = at.plus(-(window.as_micros() as i64));
        evidence["window"] = json!({"start": start.to_string(), "end": at.to_string()});
    }
    if let Some(resolution) = rule.resolution {
        evidence["resolution"] = json!(resolution);
    }
    evidence
}
