//! A stored change of an alert in the words of a message.

use std::collections::HashMap;

use h3o::{CellIndex, LatLng};
use riskgrid_analytics::rules::Severity;
use serde_json::Value;

use super::alerts::rfc3339;
use super::message::ChangeData;
use super::{Decisions, DecisionsError};
use crate::database::{Connection, read_from_row};

/// A transition with its alert, incident and rule.
struct ChangeRow {
    id: String,
    rule: String,
    rule_id: String,
    severity: String,
    layer: String,
    sensor: Option<String>,
    cell: Option<i64>,
    instance: String,
    incident: Option<String>,
    incident_group: String,
    kind: String,
    labels: String,
    areas: String,
    fired_at: i64,
    rule_version: i64,
    number: i64,
    transition: String,
    at: i64,
    value: f64,
    evidence: String,
    reason: Option<String>,
    made_by: Option<String>,
    comment: Option<String>,
    until: Option<i64>,
}

read_from_row!(ChangeRow {
    id,
    rule,
    rule_id,
    severity,
    layer,
    sensor,
    cell,
    instance,
    incident,
    incident_group,
    kind,
    labels,
    areas,
    fired_at,
    rule_version,
    number,
    transition,
    at,
    value,
    evidence,
    reason,
    made_by,
    comment,
    until
});

/// A change that is to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChangeKey<'a> {
    pub(super) alert: &'a str,
    /// Of the transition.
    pub(super) number: i64,
    /// Told long after it happened.
    pub(super) is_late: bool,
}

impl Decisions {
    /// A stored change as receivers read it; `None` when it is forgotten.
    pub(super) async fn change_data(
        &self,
        connection: &mut Connection,
        key: ChangeKey<'_>,
    ) -> Result<Option<ChangeData>, DecisionsError> {
        let row: Option<ChangeRow> = sqlx::query_as(
            "SELECT a.id, a.rule, a.rule_id, a.severity, a.layer, a.sensor, a.cell, a.instance, a.incident, a.incident_group,
                a.kind, a.labels, a.areas, a.fired_at, a.rule_version, t.number, t.kind AS transition, t.at, t.value,
                t.evidence, t.reason, t.made_by, t.comment, t.until
               FROM alerts a JOIN transitions t ON t.alert = a.id WHERE a.id = $1 AND t.number = $2",
        )
        .bind(key.alert)
        .bind(key.number)
        .fetch_optional(connection)
        .await?;
        row.map(|row| self.tell(row, key.is_late)).transpose()
    }

    fn tell(&self, row: ChangeRow, is_late: bool) -> Result<ChangeData, DecisionsError> {
        let unreadable = |error| DecisionsError::unreadable("change", &error);
        let evidence: Value = serde_json::from_str(&row.evidence).map_err(unreadable)?;
        let areas: Vec<String> = serde_json::from_str(&row.areas).map_err(unreadable)?;
        let cell = row
            .cell
            .and_then(|cell| CellIndex::try_from(cell.cast_unsigned()).ok());
        let centre = cell.map(LatLng::from);
        let is_end = matches!(row.transition.as_str(), "resolved" | "expired");
        let summary = self.summary(&row, &evidence);
        Ok(ChangeData {
            url: self
                .public_url()
                .map(|base| format!("{base}/#/alerts/{}", row.id)),
            summary,
            mode: self.mode_of(&areas),
            labels: serde_json::from_str(&row.labels).map_err(unreadable)?,
            kind: row.kind,
            // To a metre or so: where a sensor stands is known to the grid alone.
            lon: centre.map(|centre| round(centre.lng())),
            lat: centre.map(|centre| round(centre.lat())),
            areas,
            alert: row.id,
            rule: row.rule,
            state: row.transition,
            severity: row.severity,
            layer: Some(row.layer).filter(|layer| !layer.is_empty()),
            sensor: row.sensor,
            cell: cell.map(|cell| cell.to_string()),
            value: row.value,
            at: rfc3339(row.at),
            evidence,
            number: row.number,
            incident: row.incident,
            group: row.incident_group,
            instance: row.instance,
            rule_id: row.rule_id,
            rule_version: row.rule_version,
            fired_at: rfc3339(row.fired_at),
            ended_at: is_end.then(|| rfc3339(row.at)),
            reason: row.reason,
            late: is_late.then_some(true),
            by: row.made_by,
            comment: row.comment,
            until: row.until.map(rfc3339),
            truncated: None,
        })
    }

    /// One line for people.
    fn summary(&self, row: &ChangeRow, evidence: &Value) -> String {
        let metric = evidence.get("metric").and_then(Value::as_str).unwrap_or("last");
        let is_of_unit = !matches!(metric, "count" | "weight" | "sources");
        let unit = self.unit_of(&row.layer).filter(|_| is_of_unit);
        let with_unit = |value: &str| match &unit {
            Some(unit) => format!("{value} {unit}"),
            None => value.to_owned(),
        };
        let what = if metric == "last" {
            row.layer.clone()
        } else {
            format!("{} {metric}", row.layer)
        };
        let place = match (&row.sensor, row.cell) {
            (Some(sensor), _) => format!(" at {sensor}"),
            (None, Some(cell)) => format!(" in {cell:x}"),
            (None, None) => String::new(),
        };
        let limit = evidence
            .get("limit")
            .filter(|limit| limit.is_number())
            .map_or_else(String::new, |limit| {
                format!(", limit {}", with_unit(&limit.to_string()))
            });
        let value = with_unit(&row.value.to_string());
        format!("{}: {what} {value}{place}{limit}", row.rule)
    }

    fn unit_of(&self, layer: &str) -> Option<String> {
        let snapshot = self.snapshot()?;
        let index = snapshot.layers.find(layer)?;
        snapshot.layers.get(index)?.unit.clone()
    }
}

fn round(degrees: f64) -> f64 {
    (degrees * 1e5).round() / 1e5
}

/// The severities as numbers, 1 minor to 4 critical, so that databases order them.
pub(super) fn rank(severity: &str) -> i64 {
    (1..)
        .zip(Severity::ALL)
        .find(|(_, (name, _))| *name == severity)
        .map_or(0, |(rank, _)| rank)
}

/// What is known of rules, read once a transaction.
#[derive(Default)]
pub(super) struct RulesKnown(HashMap<String, RuleFacts>);

/// What of a rule decides who is told, and when.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct RuleFacts {
    pub(super) mute: Vec<String>,
    pub(super) severity: Option<Severity>,
    pub(super) emergency: Option<EmergencyFacts>,
    /// Of a composite: the rules that all must be open, or of which any must.
    pub(super) all: Vec<String>,
    pub(super) any: Vec<String>,
}

/// What is otherwise in an emergency, of what matters to who is told.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct EmergencyFacts {
    pub(super) severity: Option<Severity>,
    pub(super) webhooks: Option<Vec<String>>,
}

impl RuleFacts {
    /// How grave an alert is and who is told, which an emergency where it lies may raise: whoever was told goes on being told.
    pub(super) fn terms(
        &self,
        own: Severity,
        mut webhooks: Vec<String>,
        is_emergency: bool,
    ) -> (Severity, Vec<String>) {
        let Some(emergency) = self.emergency.as_ref().filter(|_| is_emergency) else {
            return (own, webhooks);
        };
        for webhook in emergency.webhooks.iter().flatten() {
            if !webhooks.contains(webhook) {
                webhooks.push(webhook.clone());
            }
        }
        (emergency.severity.map_or(own, |raised| raised.max(own)), webhooks)
    }
}

impl RulesKnown {
    /// What is known of a rule; of one that is gone nothing is.
    pub(super) async fn of(
        &mut self,
        connection: &mut Connection,
        rule_id: &str,
    ) -> Result<&RuleFacts, DecisionsError> {
        if !self.0.contains_key(rule_id) {
            let body: Option<String> = sqlx::query_scalar("SELECT body FROM rules WHERE id = $1")
                .bind(rule_id)
                .fetch_optional(connection)
                .await?;
            let facts = body.and_then(|body| serde_json::from_str(&body).ok());
            self.0.insert(rule_id.to_owned(), facts.unwrap_or_default());
        }
        self.0
            .get(rule_id)
            .ok_or_else(|| DecisionsError::from(sqlx::Error::RowNotFound))
    }
}
