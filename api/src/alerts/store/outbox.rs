//! The outbox: what is still to be told, and what became of each attempt.
//!
//! A delivery is due only when no older one of the same incident to the same endpoint is still to be made: a receiver hears of
//! the firing before it hears of the end. One that was given up holds up nobody.

use super::{Decisions, DecisionsError, Tally};
use crate::alerts::webhook::{Attempt, Secret};
use crate::database::{Connection, read_from_row};

/// One message to be sent now.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its place in the outbox, which it keeps.
    pub seq: i64,
    /// The `webhook-id`; of an open one a name that it has until it is sealed.
    pub id: String,
    /// Whether it still gathers changes: then it has no bytes yet.
    pub is_open: bool,
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
    /// Of these, those after which the receiver said that it does not take the message.
    pub refusals: u32,
    /// When it was decided, wall clock, µs.
    pub created_at: i64,
}

/// An endpoint that has something to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueEndpoint {
    /// Its id.
    pub id: String,
    /// Messages a minute; `None`: as they come.
    pub rate: Option<u32>,
}

struct DueEndpointRow {
    id: String,
    rate: Option<i64>,
}

read_from_row!(DueEndpointRow { id, rate });

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

struct DueRow {
    seq: i64,
    id: String,
    state: String,
    webhook: String,
    url: String,
    secret: String,
    body: String,
    attempts: i64,
    refusals: i64,
    created_at: i64,
}

read_from_row!(DueRow {
    seq,
    id,
    state,
    webhook,
    url,
    secret,
    body,
    attempts,
    refusals,
    created_at
});

/// Failures without a success in between after which a receiver counts as gone, if they lasted for [`GONE_AFTER`].
const GONE_ATTEMPTS: i64 = 10;
/// µs.
const GONE_AFTER: i64 = 120 * 3_600 * 1_000_000;
/// The newest attempts of a delivery that are kept to be looked at: all of four rounds.
const ATTEMPTS_KEPT: i64 = 64;

impl Decisions {
    /// The endpoints with a delivery due at `now` (wall clock, µs).
    pub async fn endpoints_due(&self, now: i64) -> Result<Vec<DueEndpoint>, DecisionsError> {
        // What was not tried yet is due at once, whatever the clock says.
        let sql = "SELECT id, rate FROM webhooks
            WHERE disabled_at IS NULL AND (paused_until IS NULL OR paused_until <= $1)
                AND EXISTS (SELECT 1 FROM deliveries WHERE webhook = webhooks.id AND state IN ('open', 'pending')
                    AND (next_attempt_at <= $1 OR (state = 'pending' AND attempts = 0)))";
        let rows: Vec<DueEndpointRow> = sqlx::query_as(sql).bind(now).fetch_all(self.readers()).await?;
        let endpoints = rows.into_iter().map(|row| DueEndpoint {
            id: row.id,
            rate: row.rate.and_then(|rate| u32::try_from(rate).ok()),
        });
        Ok(endpoints.collect())
    }

    /// Deliveries of one endpoint that are due at `now`, those waiting longest first: of each incident the oldest that is
    /// still to be made. The incidents are gone through by their names, one step of an index each.
    pub async fn due(&self, webhook: &str, now: i64, limit: usize) -> Result<Vec<Delivery>, DecisionsError> {
        let rows: Vec<DueRow> = sqlx::query_as(
            "WITH RECURSIVE threads(thread) AS (
                SELECT MIN(thread) FROM deliveries WHERE webhook = $1 AND state IN ('open', 'pending')
                UNION ALL
                SELECT (SELECT MIN(d.thread) FROM deliveries d WHERE d.webhook = $1 AND d.state IN ('open', 'pending')
                    AND d.thread > threads.thread) FROM threads WHERE threads.thread IS NOT NULL)
             SELECT d.seq, d.id, d.state, d.webhook, w.url, w.secret, d.body, d.attempts, d.refusals, d.created_at
               FROM threads JOIN deliveries d ON d.seq = (SELECT MIN(o.seq) FROM deliveries o
                        WHERE o.webhook = $1 AND o.thread = threads.thread AND o.state IN ('open', 'pending'))
                    JOIN webhooks w ON w.id = d.webhook
              WHERE w.disabled_at IS NULL AND (w.paused_until IS NULL OR w.paused_until <= $2)
                AND (d.next_attempt_at <= $2 OR (d.state = 'pending' AND d.attempts = 0))
              ORDER BY d.next_attempt_at, d.seq LIMIT $3",
        )
        .bind(webhook)
        .bind(now)
        .bind(limit as i64)
        .fetch_all(self.readers())
        .await?;
        let deliveries = rows.into_iter().map(|row| Delivery {
            seq: row.seq,
            id: row.id,
            is_open: row.state == "open",
            webhook: row.webhook,
            url: row.url,
            secret: Secret::stored(row.secret),
            body: row.body,
            attempts: row.attempts as u32,
            refusals: row.refusals as u32,
            created_at: row.created_at,
        });
        Ok(deliveries.collect())
    }

    /// When the next delivery after `now` falls due, or a receiver's pause ends, wall clock, µs.
    pub async fn next_due_after(&self, now: i64) -> Result<Option<i64>, DecisionsError> {
        let mut next: Option<i64> = None;
        for sql in [
            "SELECT MIN(next_attempt_at) FROM deliveries WHERE state IN ('open', 'pending') AND next_attempt_at > $1",
            "SELECT MIN(paused_until) FROM webhooks WHERE disabled_at IS NULL AND paused_until > $1",
        ] {
            let at: Option<i64> = sqlx::query_scalar(sql)
                .bind(now)
                .fetch_one(self.readers())
                .await?;
            next = [next, at].into_iter().flatten().min();
        }
        Ok(next)
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

    /// Stores an attempt and what follows from it, for the delivery and for its endpoint.
    pub async fn attempted(
        &self,
        (webhook, delivery): (&str, &str),
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
                settled_at = CASE WHEN $2 = 'pending' THEN NULL ELSE $5 END, status = $6, error = $7,
                refusals = refusals + $8 WHERE id = $1",
        )
        .bind(delivery)
        .bind(state)
        .bind(next_attempt_at)
        .bind(delivered_at)
        .bind(attempt.at)
        .bind(attempt.status.map(i64::from))
        .bind(&attempt.error)
        .bind(i64::from(attempt.is_refusal()))
        .execute(&mut *transaction)
        .await?;
        // The webhook may have been deleted meanwhile, and its deliveries with it.
        if updated.rows_affected() == 1 {
            note_attempt(&mut transaction, delivery, attempt).await?;
        }
        note_endpoint(&mut transaction, webhook, attempt, becomes).await?;
        transaction.commit().await?;
        let tally = self.tally();
        let counter = match becomes {
            DeliveryState::Delivered => &tally.attempts_delivered,
            DeliveryState::Pending { .. } | DeliveryState::Dead => &tally.attempts_failed,
        };
        Tally::add(counter, 1);
        Ok(())
    }

    /// Whether an endpoint has failed for so long, and so often, that its receiver counts as gone.
    pub async fn is_gone(&self, webhook: &str, now: i64) -> Result<bool, DecisionsError> {
        let gone: Option<i64> = sqlx::query_scalar(
            "SELECT CAST(1 AS BIGINT) FROM webhooks WHERE id = $1 AND failures >= $2 AND failing_since <= $3",
        )
        .bind(webhook)
        .bind(GONE_ATTEMPTS)
        .bind(now.saturating_sub(GONE_AFTER))
        .fetch_optional(self.readers())
        .await?;
        Ok(gone.is_some())
    }
}

async fn note_attempt(
    connection: &mut Connection,
    delivery: &str,
    attempt: &Attempt,
) -> Result<(), DecisionsError> {
    sqlx::query(
        "INSERT INTO attempts (delivery, number, at, status, latency_ms, error)
            SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5 FROM attempts WHERE delivery = $1",
    )
    .bind(delivery)
    .bind(attempt.at)
    .bind(attempt.status.map(i64::from))
    .bind(attempt.latency_ms as i64)
    .bind(&attempt.error)
    .execute(&mut *connection)
    .await?;
    // Replays add to them without an end.
    sqlx::query(
        "DELETE FROM attempts WHERE delivery = $1
            AND number <= (SELECT MAX(number) FROM attempts WHERE delivery = $1) - $2",
    )
    .bind(delivery)
    .bind(ATTEMPTS_KEPT)
    .execute(connection)
    .await?;
    Ok(())
}

/// What an attempt says of the receiver: that it is there, that it fails, and until when to leave it alone.
async fn note_endpoint(
    connection: &mut Connection,
    webhook: &str,
    attempt: &Attempt,
    becomes: DeliveryState,
) -> Result<(), DecisionsError> {
    if attempt.is_delivered() {
        sqlx::query("UPDATE webhooks SET failing_since = NULL, failures = 0 WHERE id = $1 AND failures > 0")
            .bind(webhook)
            .execute(connection)
            .await?;
        return Ok(());
    }
    let paused_until = match becomes {
        DeliveryState::Pending { next_attempt_at } if attempt.asks_for_a_pause() => Some(next_attempt_at),
        _ => None,
    };
    sqlx::query(
        "UPDATE webhooks SET failures = failures + 1, failing_since = COALESCE(failing_since, $2),
            paused_until = COALESCE($3, paused_until) WHERE id = $1",
    )
    .bind(webhook)
    .bind(attempt.at)
    .bind(paused_until)
    .execute(connection)
    .await?;
    Ok(())
}
