//! The outbox: what is still to be told, and what became of each attempt.
//!
//! A delivery is due only when no older one of the same alert to the same endpoint is pending: a receiver hears of
//! the firing before it hears of the end.

use serde::Serialize;

use super::alerts::{as_optional_rfc3339, as_rfc3339};
use super::{Decisions, DecisionsError, Tally};
use crate::alerts::webhook::{Attempt, Secret};
use crate::database::read_from_row;

/// One message to be sent now.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The `webhook-id`.
    pub id: String,
    /// Id of the endpoint.
    pub webhook: String,
    /// Where to.
    pub url: String,
    /// To sign with.
    pub secret: Secret,
    /// The bytes.
    pub body: String,
    /// Attempts made since it was queued or replayed.
    pub attempts: u32,
}

/// What a delivery is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Still to be made, at the time given.
    Pending {
        /// Wall clock, µs.
        next_attempt_at: i64,
    },
    /// The receiver has it.
    Delivered,
    /// Given up; a replay may revive it.
    Dead,
}

/// A delivery as clients see it.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryRow {
    /// The `webhook-id`.
    pub id: String,
    /// Id of the alert.
    pub alert: String,
    /// `alert.firing` or `alert.resolved`.
    pub r#type: String,
    /// `pending`, `delivered` or `dead`.
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
    /// All attempts, oldest first.
    #[serde(rename = "history")]
    pub attempt_rows: Vec<AttemptRow>,
}

read_from_row!(DeliveryRow {
    id, alert, r#type, state, attempts, next_attempt_at, created_at, delivered_at
} attempt_rows);

/// One attempt as clients see it.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptRow {
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
    at,
    status,
    latency_ms,
    error
});

struct DueRow {
    id: String,
    webhook: String,
    url: String,
    secret: String,
    body: String,
    attempts: i64,
}

read_from_row!(DueRow {
    id,
    webhook,
    url,
    secret,
    body,
    attempts
});

/// The newest attempts of a delivery that are kept to be looked at: all of four rounds.
const ATTEMPTS_KEPT: i64 = 64;

impl Decisions {
    /// Ids of the endpoints with a delivery due at `now` (wall clock, µs).
    pub async fn endpoints_due(&self, now: i64) -> Result<Vec<String>, DecisionsError> {
        // What was not tried yet is due at once, whatever the clock says.
        let sql = "SELECT DISTINCT webhook FROM deliveries
            WHERE state = 'pending' AND (attempts = 0 OR next_attempt_at <= $1)
                AND EXISTS (SELECT 1 FROM webhooks WHERE id = webhook AND disabled_at IS NULL)";
        Ok(sqlx::query_scalar(sql)
            .bind(now)
            .fetch_all(self.readers())
            .await?)
    }

    /// Deliveries of one endpoint that are due at `now`, those waiting longest first.
    pub async fn due(&self, webhook: &str, now: i64, limit: usize) -> Result<Vec<Delivery>, DecisionsError> {
        let rows: Vec<DueRow> = sqlx::query_as(
            "SELECT d.id, d.webhook, w.url, w.secret, d.body, d.attempts
               FROM deliveries d JOIN webhooks w ON w.id = d.webhook
              WHERE d.webhook = $1 AND w.disabled_at IS NULL AND d.state = 'pending'
                AND (d.attempts = 0 OR d.next_attempt_at <= $2)
                AND NOT EXISTS (SELECT 1 FROM deliveries older WHERE older.webhook = d.webhook
                    AND older.alert = d.alert AND older.seq < d.seq AND older.state = 'pending')
              ORDER BY d.next_attempt_at, d.seq LIMIT $3",
        )
        .bind(webhook)
        .bind(now)
        .bind(limit as i64)
        .fetch_all(self.readers())
        .await?;
        let deliveries = rows.into_iter().map(|row| Delivery {
            id: row.id,
            webhook: row.webhook,
            url: row.url,
            secret: Secret::stored(row.secret),
            body: row.body,
            attempts: row.attempts as u32,
        });
        Ok(deliveries.collect())
    }

    /// When the next delivery after `now` falls due, wall clock, µs.
    pub async fn next_due_after(&self, now: i64) -> Result<Option<i64>, DecisionsError> {
        let sql = "SELECT MIN(next_attempt_at) FROM deliveries WHERE state = 'pending' AND attempts > 0 AND next_attempt_at > $1";
        Ok(sqlx::query_scalar(sql)
            .bind(now)
            .fetch_one(self.readers())
            .await?)
    }

    /// Moves the next attempts of what was tried before by so many µs. Answers how many.
    pub async fn move_retries(&self, by: i64) -> Result<u64, DecisionsError> {
        let mut transaction = self.begin().await?;
        let moved = sqlx::query(
            "UPDATE deliveries SET next_attempt_at = next_attempt_at + $1 WHERE state = 'pending' AND attempts > 0",
        )
        .bind(by)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(moved.rows_affected())
    }

    /// Makes no next attempt later than `latest` (wall clock, µs). Answers how many were.
    pub async fn limit_retries(&self, latest: i64) -> Result<u64, DecisionsError> {
        let sql = "SELECT COUNT(*) FROM deliveries WHERE state = 'pending' AND next_attempt_at > $1";
        let later: i64 = sqlx::query_scalar(sql)
            .bind(latest)
            .fetch_one(self.readers())
            .await?;
        if later > 0 {
            let mut transaction = self.begin().await?;
            sqlx::query(
                "UPDATE deliveries SET next_attempt_at = $1 WHERE state = 'pending' AND next_attempt_at > $1",
            )
            .bind(latest)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
        }
        Ok(later as u64)
    }

    /// Stores an attempt and what follows from it.
    pub async fn attempted(
        &self,
        delivery: &str,
        attempt: &Attempt,
        becomes: DeliveryState,
    ) -> Result<(), DecisionsError> {
        let (state, next_attempt_at, delivered_at) = match becomes {
            DeliveryState::Pending { next_attempt_at } => ("pending", next_attempt_at, None),
            DeliveryState::Delivered => ("delivered", attempt.at, Some(attempt.at)),
            DeliveryState::Dead => ("dead", attempt.at, None),
        };
        let mut transaction = self.begin().await?;
        let updated = sqlx::query(
            "UPDATE deliveries SET state = $2, attempts = attempts + 1, next_attempt_at = $3, delivered_at = $4,
                settled_at = CASE WHEN $2 = 'pending' THEN NULL ELSE $5 END WHERE id = $1",
        )
        .bind(delivery)
        .bind(state)
        .bind(next_attempt_at)
        .bind(delivered_at)
        .bind(attempt.at)
        .execute(&mut *transaction)
        .await?;
        // The webhook may have been deleted meanwhile, and its deliveries with it.
        if updated.rows_affected() == 1 {
            sqlx::query(
                "INSERT INTO attempts (delivery, number, at, status, latency_ms, error)
                    SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5 FROM attempts WHERE delivery = $1",
            )
            .bind(delivery)
            .bind(attempt.at)
            .bind(attempt.status.map(i64::from))
            .bind(attempt.latency_ms as i64)
            .bind(&attempt.error)
            .execute(&mut *transaction)
            .await?;
            // Replays add to them without an end.
            sqlx::query(
                "DELETE FROM attempts WHERE delivery = $1
                    AND number <= (SELECT MAX(number) FROM attempts WHERE delivery = $1) - $2",
            )
            .bind(delivery)
            .bind(ATTEMPTS_KEPT)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        let tally = self.tally();
        let counter = match becomes {
            DeliveryState::Delivered => &tally.attempts_delivered,
            DeliveryState::Pending { .. } | DeliveryState::Dead => &tally.attempts_failed,
        };
        Tally::add(counter, 1);
        Ok(())
    }

    /// The newest deliveries of an endpoint with their attempts, newest first.
    pub async fn deliveries(&self, webhook: &str, limit: u32) -> Result<Vec<DeliveryRow>, DecisionsError> {
        let mut rows: Vec<DeliveryRow> = sqlx::query_as(
            "SELECT id, alert, type, state, attempts, next_attempt_at, created_at, delivered_at FROM deliveries
                WHERE webhook = $1 ORDER BY seq DESC LIMIT $2",
        )
        .bind(webhook)
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?;
        for row in &mut rows {
            row.attempt_rows = sqlx::query_as(
                "SELECT at, status, latency_ms, error FROM attempts WHERE delivery = $1 ORDER BY number",
            )
            .bind(&row.id)
            .fetch_all(self.readers())
            .await?;
        }
        Ok(rows)
    }

    /// Makes dead deliveries of an endpoint pending again, with the same `webhook-id`s: one, or all.
    /// Answers how many; an endpoint that is switched off has to answer a test first.
    ///
    /// # Errors
    /// [`DecisionsError::Conflict`] when it is switched off, or the database's.
    pub async fn replay(
        &self,
        webhook: &str,
        delivery: Option<&str>,
        now: i64,
    ) -> Result<u64, DecisionsError> {
        let mut transaction = self.begin().await?;
        let disabled: Option<i64> =
            sqlx::query_scalar("SELECT disabled_at FROM webhooks WHERE id = $1 AND disabled_at IS NOT NULL")
                .bind(webhook)
                .fetch_optional(&mut *transaction)
                .await?;
        if disabled.is_some() {
            let message =
                "the receiver answered 410 and was switched off; a successful POST …/test switches it on";
            return Err(DecisionsError::Conflict(message.to_owned()));
        }
        drop(transaction);
        let Some(delivery) = delivery else {
            // Those that were dead before: what dies again meanwhile stays dead.
            return self
                .in_pieces(
                    "UPDATE deliveries SET state = 'pending', attempts = 0, next_attempt_at = $2, settled_at = NULL
                        WHERE id IN (SELECT id FROM deliveries WHERE webhook = $1 AND state = 'dead'
                            AND (settled_at IS NULL OR settled_at <= $2) LIMIT $3)",
                    webhook,
                    now,
                )
                .await;
        };
        let mut transaction = self.begin().await?;
        let revived = sqlx::query(
            "UPDATE deliveries SET state = 'pending', attempts = 0, next_attempt_at = $3, settled_at = NULL
                WHERE webhook = $1 AND state = 'dead' AND id = $2",
        )
        .bind(webhook)
        .bind(delivery)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(revived.rows_affected())
    }
}
