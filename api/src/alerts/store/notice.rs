//! A transition as it is written down and put into the outbox: who is to be told, and in which words.

use riskgrid_analytics::rules::Severity;
use serde::Serialize;
use serde_json::Value;
use sqlx::sqlite::SqliteConnection;

use super::alerts::{Alert, rfc3339};
use super::row::read_from_row;
use super::{DecisionsError, webhook_id};

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
    layer: &'a str,
    sensor: Option<&'a str>,
    cell: Option<String>,
    value: f64,
    at: String,
    evidence: &'a Value,
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

/// Writes the transition and, when it is `sent`, the outbox rows of the webhooks that want it.
pub(super) async fn add_transition(
    connection: &mut SqliteConnection,
    alert: &Alert,
    number: i64,
    evidence: &Value,
    how: &str,
    now: i64,
) -> Result<usize, DecisionsError> {
    sqlx::query(
        "INSERT INTO transitions (alert, number, kind, at, value, evidence, recorded_at, notify)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&alert.id)
    .bind(number)
    .bind(alert.state.name())
    .bind(alert.at)
    .bind(alert.value)
    .bind(evidence.to_string())
    .bind(now)
    .bind(how)
    .execute(&mut *connection)
    .await?;
    if how != "sent" {
        return Ok(0);
    }
    let (kind, body) = message(alert, evidence, now)?;
    let targets = targets_of(connection, &alert.id).await?;
    let mut queued = 0;
    for target in targets.iter().filter(|target| wants(target, &alert.severity)) {
        sqlx::query(
            "INSERT INTO deliveries (id, seq, webhook, alert, number, type, body, state, attempts, next_attempt_at, created_at)
                SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5, $6, $7, 0, $8, $8 FROM deliveries",
        )
        .bind(webhook_id(&target.id, &alert.id, number))
        .bind(&target.id)
        .bind(&alert.id)
        .bind(number)
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

/// The endpoints that the alert's rule names and that still exist.
async fn targets_of(connection: &mut SqliteConnection, alert: &str) -> Result<Vec<Target>, DecisionsError> {
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

fn message(alert: &Alert, evidence: &Value, now: i64) -> Result<(String, String), DecisionsError> {
    let kind = format!("alert.{}", alert.state.name());
    let data = MessageData {
        alert: &alert.id,
        rule: &alert.rule,
        state: alert.state.name(),
        severity: &alert.severity,
        layer: &alert.layer,
        sensor: alert.sensor.as_deref(),
        cell: alert.cell.map(|cell| format!("{cell:x}")),
        value: alert.value,
        at: rfc3339(alert.at),
        evidence,
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
