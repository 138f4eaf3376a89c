//! A transition as it is written down and put into the outbox: who is to be told, and in which words.

use riskgrid_analytics::rules::Severity;
use serde::Serialize;
use serde_json::Value;

use super::alerts::{Alert, rfc3339};
use super::{DecisionsError, webhook_id};
use crate::database::{Connection, read_from_row};

/// The body of a delivery.
#[derive(Serialize)]
struct Message<'a> {
    r#type: &'a str,
    timestamp: String,
    data: MessageData<'a>,
}

#[derive(Serialize)]
struct MessageData<'a> {
    alert: &'a str,
    rule: &'a str,
    state: &'a str,
    severity: &'a str,
    layer: Option<&'a str>,
    sensor: Option<&'a str>,
    cell: Option<String>,
    value: f64,
    at: String,
    evidence: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<bool>,
}

struct Target {
    id: String,
    severities: String,
    disabled_at: Option<i64>,
}

read_from_row!(Target {
    id,
    severities,
    disabled_at
});

/// What is to be told of an alert.
pub(super) struct Told<'a> {
    /// Of the transition; 1 is the firing.
    pub(super) number: i64,
    /// Why, by value.
    pub(super) evidence: &'a Value,
    /// Why it ended, where the data did not end it.
    pub(super) reason: Option<&'a str>,
    /// Whether it is told: `sent`, or why it is not.
    pub(super) how: &'a str,
    /// Told long after it happened.
    pub(super) is_late: bool,
}

/// Writes the transition and, when it is `sent`, the outbox rows of the webhooks that it is for.
pub(super) async fn add_transition(
    connection: &mut Connection,
    alert: &Alert,
    told: &Told<'_>,
    now: i64,
) -> Result<usize, DecisionsError> {
    sqlx::query(
        "INSERT INTO transitions (alert, number, kind, at, value, evidence, recorded_at, notify, reason)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&alert.id)
    .bind(told.number)
    .bind(alert.state.name())
    .bind(alert.at)
    .bind(alert.value)
    .bind(told.evidence.to_string())
    .bind(now)
    .bind(told.how)
    .bind(told.reason)
    .execute(&mut *connection)
    .await?;
    if told.how == "sent" {
        queue(connection, alert, told, now).await
    } else {
        Ok(0)
    }
}

/// Puts a message into the outbox: a beginning for the webhooks of the rule that want it, an end for those that were sent
/// the beginning. Answers to how many.
pub(super) async fn queue(
    connection: &mut Connection,
    alert: &Alert,
    told: &Told<'_>,
    now: i64,
) -> Result<usize, DecisionsError> {
    let (kind, body) = message(alert, told, now)?;
    let is_end = alert.resolved_at.is_some();
    let mut queued = 0;
    for target in targets_of(connection, &alert.id).await? {
        let is_for_it = if is_end {
            was_told(connection, &target.id, &alert.id).await?
        } else {
            wants(&target, &alert.severity)
        };
        if !is_for_it {
            continue;
        }
        sqlx::query(
            "INSERT INTO deliveries (id, seq, webhook, alert, number, type, body, state, attempts, next_attempt_at, created_at)
                SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5, $6, $7, 0, $8, $8 FROM deliveries",
        )
        .bind(webhook_id(&target.id, &alert.id, told.number))
        .bind(&target.id)
        .bind(&alert.id)
        .bind(told.number)
        .bind(&kind)
        .bind(&body)
        .bind(if target.disabled_at.is_some() { "dead" } else { "pending" })
        .bind(now)
        .execute(&mut *connection)
        .await?;
        queued += 1;
    }
    Ok(queued)
}

/// Whether the endpoint was sent the beginning: deliveries of open alerts are not forgotten.
async fn was_told(connection: &mut Connection, webhook: &str, alert: &str) -> Result<bool, DecisionsError> {
    let told: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM deliveries WHERE webhook = $1 AND alert = $2 LIMIT 1")
            .bind(webhook)
            .bind(alert)
            .fetch_optional(connection)
            .await?;
    Ok(told.is_some())
}

/// The endpoints that the alert's rule names and that still exist.
async fn targets_of(connection: &mut Connection, alert: &str) -> Result<Vec<Target>, DecisionsError> {
    let names: String = sqlx::query_scalar("SELECT webhooks FROM alerts WHERE id = $1")
        .bind(alert)
        .fetch_one(&mut *connection)
        .await?;
    let names: Vec<String> =
        serde_json::from_str(&names).map_err(|error| DecisionsError::unreadable("alert", &error))?;
    let mut targets = Vec::with_capacity(names.len());
    for name in names {
        let target: Option<Target> =
            sqlx::query_as("SELECT id, severities, disabled_at FROM webhooks WHERE name = $1")
                .bind(name)
                .fetch_optional(&mut *connection)
                .await?;
        targets.extend(target);
    }
    Ok(targets)
}

fn wants(target: &Target, severity: &str) -> bool {
    let wanted: Vec<Severity> = serde_json::from_str(&target.severities).unwrap_or_default();
    wanted.is_empty() || wanted.iter().any(|wanted| wanted.name() == severity)
}

fn message(alert: &Alert, told: &Told<'_>, now: i64) -> Result<(String, String), DecisionsError> {
    let kind = format!("alert.{}", alert.state.name());
    let data = MessageData {
        alert: &alert.id,
        rule: &alert.rule,
        state: alert.state.name(),
        severity: &alert.severity,
        layer: alert.layer.as_deref(),
        sensor: alert.sensor.as_deref(),
        cell: alert.cell.map(|cell| format!("{cell:x}")),
        value: alert.value,
        at: rfc3339(alert.at),
        evidence: told.evidence,
        reason: told.reason,
        late: told.is_late.then_some(true),
    };
    let message = Message {
        r#type: &kind,
        timestamp: rfc3339(now),
        data,
    };
    let body =
        serde_json::to_string(&message).map_err(|error| DecisionsError::unreadable("message", &error))?;
    Ok((kind, body))
}
