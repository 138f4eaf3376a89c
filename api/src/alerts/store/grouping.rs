//! Messages about incidents: changes gather in one open message per webhook and incident until it is sealed, at its first
//! attempt; what still fires unacknowledged is told again.

use std::time::Duration;

use super::alerts::Alert;
use super::telling::rank;
use super::{Decisions, DecisionsError, PIECE};
use crate::database::{Connection, read_from_row};

/// Changes that are read for one message: more never fit.
pub(super) const MOST_TOLD: i64 = 100;

/// When gathered changes are told, wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// From the first change to the first message.
    pub wait: Duration,
    /// From one message of an incident to the next.
    pub interval: Duration,
    /// From the last message to the same again, while something fires that nobody has taken.
    pub repeat: Duration,
    /// The same in an emergency, in which nothing waits for more to gather.
    pub emergency_repeat: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(10),
            interval: Duration::from_mins(1),
            repeat: Duration::from_hours(4),
            emergency_repeat: Duration::from_hours(1),
        }
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A change that is gathered.
pub(super) struct Gathering<'a> {
    pub(super) webhook: &'a str,
    pub(super) incident: &'a str,
    pub(super) alert: &'a Alert,
    pub(super) number: i64,
    pub(super) is_late: bool,
    /// In an emergency nothing waits for more to gather.
    pub(super) is_emergency: bool,
    /// Of the endpoint: it was switched off.
    pub(super) is_disabled: bool,
}

struct NoticeRow {
    messages: i64,
    last_at: i64,
    severity: i64,
}

read_from_row!(NoticeRow {
    messages,
    last_at,
    severity
});

struct OpenRow {
    seq: i64,
    webhook: String,
    changes: i64,
    next_attempt_at: i64,
}

read_from_row!(OpenRow {
    seq,
    webhook,
    changes,
    next_attempt_at
});

struct DueAgain {
    webhook: String,
    incident: String,
    repeats: i64,
    last_at: i64,
}

read_from_row!(DueAgain {
    webhook,
    incident,
    repeats,
    last_at
});

/// Adds a change to the open message of its webhook and incident.
pub(super) async fn gather(
    connection: &mut Connection,
    pauses: Pauses,
    change: &Gathering<'_>,
    now: i64,
) -> Result<(), DecisionsError> {
    let told: Option<NoticeRow> = sqlx::query_as(
        "SELECT messages, last_at, severity FROM incident_notices WHERE webhook = $1 AND incident = $2",
    )
    .bind(change.webhook)
    .bind(change.incident)
    .fetch_optional(&mut *connection)
    .await?;
    let (severity, is_end) = (rank(&change.alert.severity), change.alert.resolved_at.is_some());
    let told = told.unwrap_or(NoticeRow {
        messages: 0,
        last_at: i64::MIN,
        severity: 0,
    });
    let has_risen = told.messages > 0 && severity > told.severity && !is_end;
    let due = if is_end || has_risen {
        now
    } else {
        let wait = if change.is_emergency {
            0
        } else {
            micros(pauses.wait)
        };
        now.saturating_add(wait)
            .max(told.last_at.saturating_add(micros(pauses.interval)))
    };
    let seq = open_message(connection, change, due, now).await?;
    sqlx::query(
        "INSERT INTO delivery_changes (delivery, alert, number, is_end, severity, at, is_late)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (delivery, alert, number) DO NOTHING",
    )
    .bind(seq)
    .bind(&change.alert.id)
    .bind(change.number)
    .bind(i64::from(is_end))
    .bind(severity)
    .bind(change.alert.at)
    .bind(i64::from(change.is_late))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO incident_notices (webhook, incident, messages, last_at, severity, repeats)
            VALUES ($1, $2, 0, $3, $4, 0)
         ON CONFLICT (webhook, incident) DO UPDATE SET repeats = 0,
            severity = CASE WHEN incident_notices.severity < $4 THEN $4 ELSE incident_notices.severity END",
    )
    .bind(change.webhook)
    .bind(change.incident)
    .bind(i64::MIN)
    .bind(if is_end { 0 } else { severity })
    .execute(connection)
    .await?;
    Ok(())
}

/// The open message, made or brought forward; its sequence number.
async fn open_message(
    connection: &mut Connection,
    change: &Gathering<'_>,
    due: i64,
    now: i64,
) -> Result<i64, DecisionsError> {
    if let Some(open) = open_of(&mut *connection, change.webhook, change.incident).await? {
        sqlx::query(
            "UPDATE deliveries SET changes = changes + 1, next_attempt_at = $2, repeat = NULL WHERE seq = $1",
        )
        .bind(open.seq)
        .bind(due.min(open.next_attempt_at))
        .execute(connection)
        .await?;
        return Ok(open.seq);
    }
    insert_open(
        connection,
        (change.webhook, change.incident),
        (due, now),
        (1, None, change.is_disabled),
    )
    .await
}

async fn insert_open(
    connection: &mut Connection,
    (webhook, incident): (&str, &str),
    (due, now): (i64, i64),
    (changes, repeat, is_disabled): (i64, Option<i64>, bool),
) -> Result<i64, DecisionsError> {
    let seq: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(seq), 0) + 1 FROM deliveries")
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO deliveries (id, seq, webhook, thread, incident, changes, type, body, state, attempts, refusals,
            next_attempt_at, created_at, truncated, repeat)
            VALUES ($1, $2, $3, $4, $4, $5, 'incident.changed', '', $6, 0, 0, $7, $8, 0, $9)",
    )
    .bind(format!("open_{seq}"))
    .bind(seq)
    .bind(webhook)
    .bind(incident)
    .bind(changes)
    .bind(if is_disabled { "dead" } else { "open" })
    .bind(due)
    .bind(now)
    .bind(repeat)
    .execute(connection)
    .await?;
    Ok(seq)
}

/// An incident that was absorbed by another.
#[derive(Clone, Copy)]
pub(super) struct Absorbed<'a> {
    /// The one that is no more.
    pub(super) other: &'a str,
    /// The one that goes on.
    pub(super) incident: &'a str,
}

/// What one incident was to tell, the one that absorbed it tells: also what is on its way is before whatever comes.
pub(super) async fn absorb_messages(
    connection: &mut Connection,
    Absorbed { other, incident }: Absorbed<'_>,
) -> Result<(), DecisionsError> {
    let open: Vec<OpenRow> = sqlx::query_as(
        "SELECT seq, webhook, changes, next_attempt_at FROM deliveries WHERE thread = $1 AND state = 'open'",
    )
    .bind(other)
    .fetch_all(&mut *connection)
    .await?;
    for message in open {
        let heir = open_of(&mut *connection, &message.webhook, incident).await?;
        let Some(heir) = heir else { continue };
        sqlx::query("UPDATE delivery_changes SET delivery = $2 WHERE delivery = $1")
            .bind(message.seq)
            .bind(heir.seq)
            .execute(&mut *connection)
            .await?;
        sqlx::query("UPDATE deliveries SET changes = changes + $2, next_attempt_at = $3 WHERE seq = $1")
            .bind(heir.seq)
            .bind(message.changes)
            .bind(message.next_attempt_at.min(heir.next_attempt_at))
            .execute(&mut *connection)
            .await?;
        sqlx::query("DELETE FROM deliveries WHERE seq = $1")
            .bind(message.seq)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query(
        "UPDATE deliveries SET thread = $2, incident = $2 WHERE thread = $1 AND state IN ('open', 'pending')",
    )
    .bind(other)
    .bind(incident)
    .execute(connection)
    .await?;
    Ok(())
}

async fn open_of(
    connection: &mut Connection,
    webhook: &str,
    incident: &str,
) -> Result<Option<OpenRow>, DecisionsError> {
    let open = sqlx::query_as(
        "SELECT seq, webhook, changes, next_attempt_at FROM deliveries
            WHERE webhook = $1 AND thread = $2 AND state = 'open'",
    )
    .bind(webhook)
    .bind(incident)
    .fetch_optional(connection)
    .await?;
    Ok(open)
}

impl Decisions {
    /// Tells again of incidents in which something fires that was told, that nobody has taken, and of which nothing was told
    /// for long. Answers how many messages were queued.
    pub async fn repeat_messages(&self, now: i64) -> Result<usize, DecisionsError> {
        let pauses = self.pauses();
        let soonest = pauses.repeat.min(pauses.emergency_repeat);
        let due: Vec<DueAgain> = sqlx::query_as(
            "SELECT n.webhook, n.incident, n.repeats, n.last_at FROM incident_notices n
               JOIN webhooks w ON w.id = n.webhook JOIN incidents i ON i.id = n.incident
              WHERE n.messages > 0 AND n.last_at <= $1 AND w.disabled_at IS NULL AND i.state = 'open'
                AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.webhook = n.webhook AND d.thread = n.incident
                    AND d.state IN ('open', 'pending'))
              ORDER BY n.last_at LIMIT $2",
        )
        .bind(now.saturating_sub(micros(soonest)))
        .bind(PIECE)
        .fetch_all(self.readers())
        .await?;
        let mut queued = 0;
        for again in due {
            queued += usize::from(self.repeat_message(&again, now).await?);
        }
        Ok(queued)
    }

    async fn repeat_message(&self, again: &DueAgain, now: i64) -> Result<bool, DecisionsError> {
        let mut transaction = self.begin().await?;
        let firing: Vec<FiringRow> = sqlx::query_as(
            "SELECT a.id, a.severity, a.at, a.cell FROM alerts a JOIN alerts_told told ON told.alert = a.id
              WHERE a.incident = $1 AND a.state = 'firing' AND told.webhook = $2 ORDER BY a.fired_at DESC, a.id",
        )
        .bind(&again.incident)
        .bind(&again.webhook)
        .fetch_all(&mut *transaction)
        .await?;
        let is_emergency = firing.iter().any(|row| self.is_emergency_at(row.cell));
        let pauses = self.pauses();
        let pause = if is_emergency {
            pauses.emergency_repeat
        } else {
            pauses.repeat
        };
        if firing.is_empty() || again.last_at.saturating_add(micros(pause)) > now {
            return Ok(false);
        }
        let repeats = again.repeats + 1;
        let seq = insert_open(
            &mut transaction,
            (&again.webhook, &again.incident),
            (now, now),
            (firing.len() as i64, Some(repeats), false),
        )
        .await?;
        for row in firing.iter().take(usize::try_from(MOST_TOLD).unwrap_or_default()) {
            sqlx::query(
                "INSERT INTO delivery_changes (delivery, alert, number, is_end, severity, at, is_late)
                    VALUES ($1, $2, 1, 0, $3, $4, 0)",
            )
            .bind(seq)
            .bind(&row.id)
            .bind(rank(&row.severity))
            .bind(row.at)
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query("UPDATE incident_notices SET repeats = $3 WHERE webhook = $1 AND incident = $2")
            .bind(&again.webhook)
            .bind(&again.incident)
            .bind(repeats)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

struct FiringRow {
    id: String,
    severity: String,
    at: i64,
    cell: Option<i64>,
}

read_from_row!(FiringRow {
    id,
    severity,
    at,
    cell
});
