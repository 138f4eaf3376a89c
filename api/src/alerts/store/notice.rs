//! A transition as it is written down and put into the outbox: who is to be told.

use serde_json::Value;

use super::alerts::Alert;
use super::endpoints::{EndpointRow, TARGETS};
use super::grouping::{Gathering, gather};
use super::message::of_change;
use super::telling::ChangeKey;
use super::{Decisions, DecisionsError, webhook_id};
use crate::alerts::webhook::{Endpoint, Grouping};
use crate::database::Connection;

/// What is to be told of an alert.
pub(super) struct Told<'a> {
    /// firing, updated, resolved, …
    pub(super) kind: &'a str,
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
    decisions: &Decisions,
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
    .bind(told.kind)
    .bind(alert.at)
    .bind(alert.value)
    .bind(told.evidence.to_string())
    .bind(now)
    .bind(told.how)
    .bind(told.reason)
    .execute(&mut *connection)
    .await?;
    if told.how == "sent" {
        queue(decisions, connection, alert, told, now).await
    } else {
        Ok(0)
    }
}

/// Puts a change into the outbox: a beginning for the webhooks of the rule that want it, an end for those that were sent
/// the beginning. Answers to how many.
pub(super) async fn queue(
    decisions: &Decisions,
    connection: &mut Connection,
    alert: &Alert,
    told: &Told<'_>,
    now: i64,
) -> Result<usize, DecisionsError> {
    let is_end = alert.resolved_at.is_some();
    let kind = format!("alert.{}", told.kind);
    let mut queued = 0;
    for target in targets_of(connection, &alert.id).await? {
        let is_for_it = if is_end {
            was_told(connection, &target.id, &alert.id).await?
        } else {
            wants(&target, alert, &kind)
        };
        if !is_for_it {
            continue;
        }
        if !is_end {
            note_told(connection, &target.id, &alert.id).await?;
        }
        match (target.grouping, &alert.incident) {
            (Grouping::Incident, Some(incident)) => {
                let change = Gathering {
                    webhook: &target.id,
                    incident,
                    alert,
                    number: told.number,
                    is_late: told.is_late,
                    is_emergency: decisions.is_emergency_at(alert.cell.map(u64::cast_signed)),
                    is_disabled: target.disabled_at.is_some(),
                };
                gather(connection, decisions.pauses(), &change, now).await?;
            }
            _ => queue_one(decisions, connection, &target, alert, told, now).await?,
        }
        queued += 1;
    }
    Ok(queued)
}

/// A message of its own.
async fn queue_one(
    decisions: &Decisions,
    connection: &mut Connection,
    target: &Endpoint,
    alert: &Alert,
    told: &Told<'_>,
    now: i64,
) -> Result<(), DecisionsError> {
    let key = ChangeKey {
        alert: &alert.id,
        number: told.number,
        is_late: told.is_late,
    };
    let Some(data) = decisions.change_data(connection, key).await? else {
        return Ok(());
    };
    let sealed = of_change(data, now).map_err(|error| DecisionsError::unreadable("message", &error))?;
    sqlx::query(
        "INSERT INTO deliveries (id, seq, webhook, thread, incident, alert, number, changes, type, body, state, attempts,
            refusals, next_attempt_at, created_at, sealed_at, truncated)
            SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5, $6, 1, $7, $8, $9, 0, 0, $10, $10, $10, $11
              FROM deliveries",
    )
    .bind(webhook_id(&target.id, (&alert.id, told.number)))
    .bind(&target.id)
    .bind(alert.incident.as_ref().unwrap_or(&alert.id))
    .bind(&alert.incident)
    .bind(&alert.id)
    .bind(told.number)
    .bind(&sealed.kind)
    .bind(&sealed.body)
    .bind(if target.disabled_at.is_some() { "dead" } else { "pending" })
    .bind(now)
    .bind(i64::from(sealed.is_truncated))
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the endpoint was sent the beginning.
async fn was_told(connection: &mut Connection, webhook: &str, alert: &str) -> Result<bool, DecisionsError> {
    let told: Option<i64> =
        sqlx::query_scalar("SELECT CAST(1 AS BIGINT) FROM alerts_told WHERE webhook = $1 AND alert = $2")
            .bind(webhook)
            .bind(alert)
            .fetch_optional(connection)
            .await?;
    Ok(told.is_some())
}

async fn note_told(connection: &mut Connection, webhook: &str, alert: &str) -> Result<(), DecisionsError> {
    sqlx::query(
        "INSERT INTO alerts_told (alert, webhook) VALUES ($1, $2) ON CONFLICT (alert, webhook) DO NOTHING",
    )
    .bind(alert)
    .bind(webhook)
    .execute(connection)
    .await?;
    Ok(())
}

/// The endpoints that the alert's rule names and that still exist.
async fn targets_of(connection: &mut Connection, alert: &str) -> Result<Vec<Endpoint>, DecisionsError> {
    let names: String = sqlx::query_scalar("SELECT webhooks FROM alerts WHERE id = $1")
        .bind(alert)
        .fetch_one(&mut *connection)
        .await?;
    let names: Vec<String> =
        serde_json::from_str(&names).map_err(|error| DecisionsError::unreadable("alert", &error))?;
    let mut targets = Vec::with_capacity(names.len());
    for name in names {
        let target: Option<EndpointRow> = sqlx::query_as(TARGETS)
            .bind(name)
            .fetch_optional(&mut *connection)
            .await?;
        targets.extend(target.map(EndpointRow::into_endpoint).transpose()?);
    }
    Ok(targets)
}

/// Whether an endpoint wants to be told of a beginning.
fn wants(target: &Endpoint, alert: &Alert, kind: &str) -> bool {
    let filter = &target.filter;
    let severities = &target.severities;
    (severities.is_empty() || severities.iter().any(|wanted| wanted.name() == alert.severity))
        && (filter.r#type.is_empty() || filter.r#type.iter().any(|wanted| wanted == kind))
        && (filter.group.is_empty() || filter.group.contains(&alert.group))
        && (filter.area.is_empty() || alert.areas.iter().any(|area| filter.area.contains(area)))
}
