//! What leaves the rules: an alert of one instance fired or ended, with its reason by value.

use std::borrow::Cow;
use std::collections::BTreeMap;

use riskgrid_ingest::EventTime;
use serde::Serialize;
use serde_json::{Value, json};

use super::kinds::{RiskTest, What};
use super::rule::Rule;
use super::step::{Change, InstanceState, Pace, Phase};
use super::words::{Audience, Limit, Severity};
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

/// An instance of a rule, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<'a> {
    /// Its key within the rule.
    pub instance: Cow<'a, str>,
    /// Its sensor, for rules per sensor.
    pub sensor: Option<&'a str>,
    /// Its cell, or the one that its sensor stands in.
    pub cell: Option<u64>,
}

impl<'a> At<'a> {
    /// A sensor that stands in a cell.
    pub const fn sensor(sensor: &'a str, cell: u64) -> Self {
        Self {
            instance: Cow::Borrowed(sensor),
            sensor: Some(sensor),
            cell: Some(cell),
        }
    }
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
    /// Its version.
    pub rule_version: i64,
    /// Its kind.
    pub rule_kind: &'static str,
    /// Beginning or end.
    pub kind: TransitionKind,
    /// Of the rule.
    pub severity: Severity,
    /// Of the rule, where it watches one.
    pub layer: Option<String>,
    /// Of the rule, where it says so.
    pub group: Option<String>,
    /// Of the rule.
    pub labels: BTreeMap<String, String>,
    /// The key of the instance within its rule.
    pub instance: String,
    /// The instance's sensor, for rules per sensor.
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
    /// Who else is told.
    pub audience: Audience,
    /// What was compared with what, by value.
    pub evidence: Value,
}

impl Transition {
    pub(super) fn new(rule: &Rule, spot: At<'_>, change: Change) -> Self {
        let (kind, at, fired_at, value) = match change {
            Change::Fired { at, value, .. } => (TransitionKind::Firing, at, at, value),
            Change::Resolved { at, fired_at, value } => (TransitionKind::Resolved, at, fired_at, value),
            Change::Expired { at, fired_at, value } => (TransitionKind::Expired, at, fired_at, value),
        };
        let instance = RuleInstance {
            rule_id: &rule.id,
            instance: &spot.instance,
        };
        Self {
            episode: instance.episode(fired_at),
            rule_id: rule.id.clone(),
            rule: rule.name.clone(),
            rule_version: rule.version,
            rule_kind: rule.kind(),
            kind,
            severity: rule.severity,
            layer: rule.layer().map(str::to_owned),
            group: rule.group.clone(),
            labels: rule.labels.clone(),
            sensor: spot.sensor.map(str::to_owned),
            cell: spot.cell,
            value,
            at,
            fired_at,
            webhooks: rule.webhooks.clone(),
            audience: rule.audience,
            evidence: evidence(rule, change),
            instance: spot.instance.into_owned(),
        }
    }
}

/// An instance that is over and does not fire yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// Id of the rule.
    pub rule_id: String,
    /// Its name.
    pub rule: String,
    /// Its kind.
    pub kind: &'static str,
    /// Its severity.
    pub severity: Severity,
    /// Its layer, where it watches one.
    pub layer: Option<String>,
    /// The key of the instance within it.
    pub instance: String,
    /// The instance's sensor, for rules per sensor.
    pub sensor: Option<String>,
    /// The instance's cell, or the cell that its sensor stands in.
    pub cell: Option<u64>,
    /// The newest value.
    pub value: f64,
    /// Of when it is.
    pub at: EventTime,
    /// Since when it is over.
    pub since: EventTime,
    /// When it fires if it stays so.
    pub due: EventTime,
}

impl Pending {
    /// The instance, if it is pending.
    pub(super) fn of(rule: &Rule, at: &At<'_>, state: &InstanceState, pace: &Pace) -> Option<Self> {
        let Phase::Pending { since } = state.phase else {
            return None;
        };
        Some(Self {
            rule_id: rule.id.clone(),
            rule: rule.name.clone(),
            kind: rule.kind(),
            severity: rule.severity,
            layer: rule.layer().map(str::to_owned),
            instance: at.instance.clone().into_owned(),
            sensor: at.sensor.map(str::to_owned),
            cell: at.cell,
            value: state.value,
            at: state.newest,
            since,
            due: state.due(pace)?,
        })
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
        "value": value,
        "for": humantime::format_duration(rule.hold).to_string(),
    });
    if let Change::Fired { since, .. } = change {
        evidence["since"] = json!(since.to_string());
    }
    match &rule.what {
        What::Threshold(threshold) => {
            evidence["metric"] = json!(threshold.metric.as_str());
            add_limit(&mut evidence, threshold.limit);
            if let Some(window) = threshold.window {
                let start = at.plus(-(window.as_micros() as i64));
                evidence["window"] = json!({"start": start.to_string(), "end": at.to_string()});
            }
            if let Some(resolution) = threshold.resolution {
                evidence["resolution"] = json!(resolution);
            }
        }
        What::Sql(sql) => {
            evidence["sql"] = json!(sql.sql);
            evidence["limit"] = Value::Null;
            if let Some(limit) = sql.limit {
                add_limit(&mut evidence, limit);
            }
        }
        What::Risk(risk) => match &risk.test {
            RiskTest::Metric { metric, limit } => {
                evidence["metric"] = json!(metric.name());
                add_limit(&mut evidence, *limit);
            }
            RiskTest::Class { class } => evidence["class"] = json!(class),
        },
        What::Composite(composite) => {
            evidence["rules"] = json!(composite.members.names());
            evidence["within"] = json!(humantime::format_duration(composite.within).to_string());
        }
        What::NoData(_) => {}
    }
    evidence
}

fn add_limit(evidence: &mut Value, limit: Limit) {
    evidence["comparison"] = json!(limit.comparison.name());
    evidence["limit"] = json!(limit.value);
    evidence[limit.comparison.clear_name()] = json!(limit.clear);
}
