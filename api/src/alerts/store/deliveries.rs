//! Deliveries and their attempts as clients see them.

use serde::Serialize;

use super::alerts::{as_optional_rfc3339, as_rfc3339};
use super::{Decisions, DecisionsError};
use crate::database::read_from_row;

/// Which deliveries of an endpoint to list, or to make again.
#[derive(Clone, Debug, Default)]
pub struct DeliveryQuery {
    /// Only those that stand so: open, pending, delivered or dead.
    pub state: Option<String>,
    /// Made from this time on, µs.
    pub from: Option<i64>,
    /// Made before this time, µs.
    pub to: Option<i64>,
    /// At most so many.
    pub limit: u32,
    /// Older than this one.
    pub after: Option<i64>,
}

/// A delivery as clients see it.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryRow {
    /// The `webhook-id`.
    pub id: String,
    /// Its place in the outbox.
    #[serde(skip)]
    pub seq: i64,
    /// Id of the webhook.
    #[serde(skip)]
    pub webhook: String,
    /// Id of the incident that it is about.
    pub incident: Option<String>,
    /// Id of the alert, where it tells of one change.
    pub alert: Option<String>,
    /// Of the transition.
    pub number: Option<i64>,
    /// Of the messages of its incident.
    pub message: Option<i64>,
    /// How many changes it tells of.
    pub changes: i64,
    /// `alert.firing`, `alert.resolved`, `incident.changed`, ….
    pub r#type: String,
    /// `open`, `pending`, `delivered` or `dead`.
    pub state: String,
    /// Since it was queued or replayed.
    pub attempts: i64,
    /// Meaningful while pending.
    #[serde(serialize_with = "as_rfc3339")]
    pub next_attempt_at: i64,
    /// When it was decided.
    #[serde(serialize_with = "as_rfc3339")]
    pub created_at: i64,
    /// When the receiver had it.
    #[serde(serialize_with = "as_optional_rfc3339")]
    pub delivered_at: Option<i64>,
    /// Since when its bytes are fixed.
    #[serde(serialize_with = "as_optional_rfc3339")]
    pub sealed_at: Option<i64>,
    /// HTTP status of the newest attempt.
    pub status: Option<i64>,
    /// Why the newest attempt did not deliver it.
    pub error: Option<String>,
    /// Whether something was left out of it.
    #[serde(serialize_with = "as_yes_or_no")]
    pub truncated: i64,
    /// All attempts, oldest first.
    #[serde(rename = "history")]
    pub attempt_rows: Vec<AttemptRow>,
}

read_from_row!(DeliveryRow {
    id, seq, webhook, incident, alert, number, message, changes, r#type, state, attempts, next_attempt_at, created_at,
    delivered_at, sealed_at, status, error, truncated
} attempt_rows);

const DELIVERY_COLUMNS: &str =
    "id, seq, webhook, incident, alert, number, message, changes, type, state, attempts,
    next_attempt_at, created_at, delivered_at, sealed_at, status, error, truncated";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn as_yes_or_no<S: serde::Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(*number != 0)
}

/// One attempt as clients see it.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptRow {
    /// Of which delivery.
    #[serde(skip)]
    pub delivery: String,
    /// From 1 on.
    #[serde(skip)]
    pub number: i64,
    /// When.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: i64,
    /// HTTP status; `None` without an answer.
    pub status: Option<i64>,
    /// From the request to the answer.
    pub latency_ms: i64,
    /// Why it was not delivered.
    pub error: Option<String>,
}

read_from_row!(AttemptRow {
    delivery,
    number,
    at,
    status,
    latency_ms,
    error
});

impl Decisions {
    /// Deliveries of an endpoint with their attempts, newest first; and the place of the last when there may be more.
    pub async fn deliveries(
        &self,
        webhook: &str,
        query: &DeliveryQuery,
    ) -> Result<(Vec<DeliveryRow>, Option<i64>), DecisionsError> {
        let sql = format!(
            "SELECT {DELIVERY_COLUMNS} FROM deliveries WHERE webhook = $1 AND seq < $2 AND (state = $3 OR $3 = '')
                AND created_at >= $4 AND created_at < $5 ORDER BY seq DESC LIMIT $6"
        );
        let mut rows: Vec<DeliveryRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(webhook)
            .bind(query.after.unwrap_or(i64::MAX))
            .bind(query.state.as_deref().unwrap_or_default())
            .bind(query.from.unwrap_or(i64::MIN))
            .bind(query.to.unwrap_or(i64::MAX))
            .bind(i64::from(query.limit))
            .fetch_all(self.readers())
            .await?;
        for row in &mut rows {
            row.attempt_rows = sqlx::query_as(
                "SELECT delivery, number, at, status, latency_ms, error FROM attempts WHERE delivery = $1 ORDER BY number",
            )
            .bind(&row.id)
            .fetch_all(self.readers())
            .await?;
        }
        let is_whole = rows.len() == query.limit as usize;
        let next = rows.last().filter(|_| is_whole).map(|row| row.seq);
        Ok((rows, next))
    }

    /// Deliveries of all endpoints older than one, newest first, without their attempts.
    pub async fn all_deliveries(
        &self,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, DecisionsError> {
        let sql =
            format!("SELECT {DELIVERY_COLUMNS} FROM deliveries WHERE seq < $1 ORDER BY seq DESC LIMIT $2");
        let rows = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(after.unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?;
        Ok(rows)
    }

    /// Attempts after one, by delivery and number.
    pub async fn all_attempts(
        &self,
        after: Option<&(String, i64)>,
        limit: u32,
    ) -> Result<Vec<AttemptRow>, DecisionsError> {
        let (delivery, number) = after.map_or(("", 0), |(delivery, number)| (delivery.as_str(), *number));
        let rows = sqlx::query_as(
            "SELECT delivery, number, at, status, latency_ms, error FROM attempts WHERE (delivery, number) > ($1, $2)
                ORDER BY delivery, number LIMIT $3",
        )
        .bind(delivery)
        .bind(number)
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?;
        Ok(rows)
    }
}
