//! Alerts as they are stored and shown.

use std::collections::BTreeMap;

use riskgrid_analytics::rules::{Audience, TransitionKind};
use riskgrid_ingest::EventTime;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::wanted::AlertQuery;
use super::{Decisions, DecisionsError};
use crate::database::{Connection, read_from_row};

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It lasts, and nobody has taken it.
    Firing,
    /// It lasts, and somebody has taken it.
    Acknowledged,
    /// It is over.
    Resolved,
    /// It is over because nothing was heard any more, which is no all-clear.
    Expired,
}

impl AlertState {
    /// The names in JSON.
    pub const ALL: [(&'static str, Self); 4] = [
        ("firing", Self::Firing),
        ("acknowledged", Self::Acknowledged),
        ("resolved", Self::Resolved),
        ("expired", Self::Expired),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::Expired => "expired",
        }
    }

    /// What an alert is after the data ended it so.
    pub(super) fn of_end(kind: TransitionKind) -> Self {
        match kind {
            TransitionKind::Firing => Self::Firing,
            TransitionKind::Resolved => Self::Resolved,
            TransitionKind::Expired => Self::Expired,
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, state)| *state)
    }
}

/// One episode of a rule at one instance. Times are event times in µs, shown as RFC 3339; those of the
/// acknowledgement are the wall clock's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// Id of the episode.
    pub id: String,
    /// Name of the rule.
    pub rule: String,
    /// Id of the rule.
    pub rule_id: String,
    /// Where it stands.
    pub state: AlertState,
    /// minor, moderate, major or critical.
    pub severity: String,
    /// The layer of its rule, where that watches one.
    pub layer: Option<String>,
    /// The kind of its rule.
    pub kind: String,
    /// The version of its rule as it began.
    pub rule_version: i64,
    /// What it is known by within its rule: a sensor, a cell, an area's id, the keys of a row.
    pub instance: String,
    /// What it is gathered in incidents by.
    pub group: String,
    /// Of its rule.
    pub labels: BTreeMap<String, String>,
    /// Ids of the areas that hold its place.
    pub areas: Vec<String>,
    /// For rules per sensor.
    pub sensor: Option<String>,
    /// An H3 cell.
    #[serde(serialize_with = "as_h3")]
    pub cell: Option<u64>,
    /// Of the newest transition.
    pub value: f64,
    /// Of the newest transition that the data made.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: i64,
    /// When it began.
    #[serde(serialize_with = "as_rfc3339")]
    pub fired_at: i64,
    /// When it ended.
    #[serde(serialize_with = "as_optional_rfc3339")]
    pub resolved_at: Option<i64>,
    /// When somebody took it.
    #[serde(serialize_with = "as_optional_rfc3339")]
    pub acknowledged_at: Option<i64>,
    /// Who took it.
    pub acknowledged_by: Option<String>,
    /// What they said to it.
    pub acknowledged_comment: Option<String>,
    /// Until when they took it; `None`: for as long as it lasts.
    #[serde(serialize_with = "as_optional_rfc3339")]
    pub acknowledged_until: Option<i64>,
    /// Why it ended, where the data did not end it.
    pub reason: Option<String>,
    /// Why it fired, by value.
    pub evidence: Value,
    /// Id of the incident that it is part of.
    pub incident: Option<String>,
    /// Who is told of it, as its rule said when it began.
    #[serde(skip)]
    pub audience: Audience,
}

/// What the public is shown of an alert that is for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PublicAlert {
    id: String,
    rule: String,
    state: AlertState,
    severity: String,
    layer: Option<String>,
    #[serde(serialize_with = "as_h3")]
    cell: Option<u64>,
    #[serde(serialize_with = "as_rfc3339")]
    at: i64,
}

impl From<&Alert> for PublicAlert {
    fn from(alert: &Alert) -> Self {
        Self {
            id: alert.id.clone(),
            rule: alert.rule.clone(),
            state: alert.state,
            severity: alert.severity.clone(),
            layer: alert.layer.clone(),
            cell: alert.cell,
            at: alert.at,
        }
    }
}

/// Some alerts, newest first.
#[derive(Clone, Debug)]
pub struct AlertPage {
    /// Newest first.
    pub alerts: Vec<Alert>,
    /// What to ask [`AlertQuery::after`] for the next page; `None` at the end.
    pub next: Option<(i64, String)>,
}

pub(super) struct AlertRow {
    id: String,
    rule_id: String,
    rule: String,
    state: String,
    severity: String,
    layer: String,
    kind: String,
    rule_version: i64,
    instance: String,
    incident_group: String,
    labels: String,
    areas: String,
    reason: Option<String>,
    sensor: Option<String>,
    cell: Option<i64>,
    value: f64,
    at: i64,
    pub(super) fired_at: i64,
    pub(super) resolved_at: Option<i64>,
    acknowledged_at: Option<i64>,
    acknowledged_by: Option<String>,
    acknowledged_comment: Option<String>,
    acknowledged_until: Option<i64>,
    evidence: String,
    incident: Option<String>,
    audience: String,
}

read_from_row!(AlertRow {
    id,
    rule_id,
    rule,
    state,
    severity,
    layer,
    kind,
    rule_version,
    instance,
    incident_group,
    labels,
    areas,
    reason,
    sensor,
    cell,
    value,
    at,
    fired_at,
    resolved_at,
    acknowledged_at,
    acknowledged_by,
    acknowledged_comment,
    acknowledged_until,
    evidence,
    incident,
    audience
});

impl AlertRow {
    pub(super) fn into_alert(self) -> Result<Alert, DecisionsError> {
        let state = AlertState::from_name(&self.state)
            .ok_or_else(|| DecisionsError::unreadable("alert", &format!("state {}", self.state)))?;
        let unreadable = |error| DecisionsError::unreadable("alert", &error);
        let evidence = serde_json::from_str(&self.evidence).map_err(unreadable)?;
        Ok(Alert {
            id: self.id,
            rule: self.rule,
            rule_id: self.rule_id,
            state,
            severity: self.severity,
            layer: Some(self.layer).filter(|layer| !layer.is_empty()),
            kind: self.kind,
            rule_version: self.rule_version,
            instance: self.instance,
            group: self.incident_group,
            labels: serde_json::from_str(&self.labels).map_err(unreadable)?,
            areas: serde_json::from_str(&self.areas).map_err(unreadable)?,
            reason: self.reason,
            sensor: self.sensor,
            cell: self.cell.map(i64::cast_unsigned),
            value: self.value,
            at: self.at,
            fired_at: self.fired_at,
            resolved_at: self.resolved_at,
            acknowledged_at: self.acknowledged_at,
            acknowledged_by: self.acknowledged_by,
            acknowledged_comment: self.acknowledged_comment,
            acknowledged_until: self.acknowledged_until,
            evidence,
            incident: self.incident,
            // What is not known is not for the public.
            audience: Audience::from_name(&self.audience).unwrap_or_default(),
        })
    }
}

pub(super) async fn alert_row(
    connection: &mut Connection,
    id: &str,
) -> Result<Option<AlertRow>, DecisionsError> {
    let query = sqlx::query_as("SELECT * FROM alerts WHERE id = $1").bind(id);
    Ok(query.fetch_optional(connection).await?)
}

impl Decisions {
    /// One alert.
    pub async fn alert(&self, id: &str) -> Result<Option<Alert>, DecisionsError> {
        let mut connection = self.readers().acquire().await?;
        alert_row(&mut connection, id)
            .await?
            .map(AlertRow::into_alert)
            .transpose()
    }

    /// Alerts, newest first.
    pub async fn alerts(&self, query: &AlertQuery) -> Result<AlertPage, DecisionsError> {
        let most = u64::from(query.limit) + 1;
        let sql = format!("SELECT * FROM alerts $WHERE ORDER BY fired_at DESC, id DESC LIMIT {most}");
        let rows: Vec<AlertRow> = query.conditions().query(&sql).fetch_all(self.readers()).await?;
        let has_more = rows.len() > query.limit as usize;
        let alerts: Vec<Alert> = rows
            .into_iter()
            .take(query.limit as usize)
            .map(AlertRow::into_alert)
            .collect::<Result<_, _>>()?;
        let next = alerts
            .last()
            .filter(|_| has_more)
            .map(|alert| (alert.fired_at, alert.id.clone()));
        Ok(AlertPage { alerts, next })
    }
}

/// A time of the database, in µs, as clients see it.
pub fn rfc3339(micros: i64) -> String {
    EventTime::from_micros(micros).to_string()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(super) fn as_rfc3339<S: Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*micros))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
pub(super) fn as_optional_rfc3339<S: Serializer>(
    micros: &Option<i64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    micros.map(rfc3339).serialize(serializer)
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn as_h3<S: Serializer>(cell: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    cell.map(|cell| format!("{cell:x}")).serialize(serializer)
}
