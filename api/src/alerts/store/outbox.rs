//! The outbox: what is still to be told, and what became of each attempt.
//!
//! A delivery is due only when no older one of the same incident to the same endpoint is still to be made: a receiver hears of
//! the firing before it hears of the end. One that was given up holds up nobody.

use serde::Serialize;

use super::alerts::{as_optional_rfc3339, as_rfc3339};
use super::{Decisions, DecisionsError, PIECE, Tally};
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

    /// Makes deliveries of an endpoint pending again, with the same `webhook-id`s and bytes: one, dead or delivered; those of a
    /// span of time; or all dead ones. Answers how many; an endpoint that is switched off has to answer a test first.
    ///
    /// # Errors
    /// [`DecisionsError::Conflict`] when it is switched off, or the database's.
    pub async fn replay(&self, webhook: &str, which: Replay<'_>, now: i64) -> Result<u64, DecisionsError> {
        let disabled: Option<i64> =
            sqlx::query_scalar("SELECT disabled_at FROM webhooks WHERE id = $1 AND disabled_at IS NOT NULL")
                .bind(webhook)
                .fetch_optional(self.readers())
                .await?;
        if disabled.is_some() {
            let message = "the webhook is switched off, as its receiver was gone; a successful POST …/test switches it on";
            return Err(DecisionsError::Conflict(message.to_owned()));
        }
        match which {
            // Those that were dead before: what dies again meanwhile stays dead.
            Replay::AllDead => {
                self.in_pieces(
                    "UPDATE deliveries SET state = CASE WHEN sealed_at IS NULL THEN 'open' ELSE 'pending' END,
                        attempts = 0, refusals = 0, next_attempt_at = $2, settled_at = NULL
                        WHERE id IN (SELECT id FROM deliveries WHERE webhook = $1 AND state = 'dead'
                            AND (settled_at IS NULL OR settled_at <= $2) LIMIT $3)",
                    webhook,
                    now,
                )
                .await
            }
            Replay::Between { from, to } => self.replay_between(webhook, (from, to), now).await,
            Replay::One(delivery) => {
                let mut transaction = self.begin().await?;
                let revived = sqlx::query(
                    "UPDATE deliveries SET state = CASE WHEN sealed_at IS NULL THEN 'open' ELSE 'pending' END,
                        attempts = 0, refusals = 0, next_attempt_at = $3, settled_at = NULL
                        WHERE webhook = $1 AND state IN ('dead', 'delivered') AND id = $2",
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
    }

    async fn replay_between(
        &self,
        webhook: &str,
        (from, to): (i64, i64),
        now: i64,
    ) -> Result<u64, DecisionsError> {
        let (mut revived, mut last) = (0, i64::MIN);
        loop {
            let mut transaction = self.begin().await?;
            let piece: Vec<i64> = sqlx::query_scalar(
                "SELECT seq FROM deliveries WHERE webhook = $1 AND state IN ('dead', 'delivered') AND created_at >= $2
                    AND created_at < $3 AND seq > $4 ORDER BY seq LIMIT $5",
            )
            .bind(webhook)
            .bind(from)
            .bind(to)
            .bind(last)
            .bind(PIECE)
            .fetch_all(&mut *transaction)
            .await?;
            for seq in &piece {
                sqlx::query(
                    "UPDATE deliveries SET state = CASE WHEN sealed_at IS NULL THEN 'open' ELSE 'pending' END,
                        attempts = 0, refusals = 0, next_attempt_at = $2, settled_at = NULL WHERE seq = $1",
                )
                .bind(*seq)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await?;
            revived += piece.len() as u64;
            match piece.last() {
                Some(newest) if piece.len() as i64 == PIECE => last = *newest,
                _ => return Ok(revived),
            }
            tokio::task::yield_now().await;
        }
    }
}

/// What is to be sent again.
#[derive(Clone, Copy, Debug)]
pub enum Replay<'a> {
    /// All that were given up.
    AllDead,
    /// One, by its id.
    One(&'a str),
    /// Those that were made in a span of time, µs: given up or delivered, for a person asks.
    Between {
        /// From.
        from: i64,
        /// Until, itself not.
        to: i64,
    },
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
