//! Storing what the rules decided: alert, transition and outbox rows in one transaction, once.

use riskgrid_analytics::rules::{Transition, TransitionKind};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use super::alerts::{Alert, AlertRow, AlertState, alert_row};
use super::notice::add_transition;
use super::{Decisions, DecisionsError, MAX_NOTIFY_AGE};

/// Whether transitions wake anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// Those not older than [`MAX_NOTIFY_AGE`] by the `now` of [`Decisions::record`].
    Send,
    /// None: a historic feed, or reading on after a long stop.
    NotSentStale,
}

/// What a call changed.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The alerts that began or ended, as they are now; re-derived transitions change none.
    pub alerts: Vec<Alert>,
    /// Deliveries put into the outbox.
    pub queued: usize,
}

impl Decisions {
    /// Stores transitions in their order, in one transaction, with `state` (a key and its bytes) beside them.
    ///
    /// A transition that is stored already changes nothing; nor does a re-derived episode that overlaps a stored
    /// one of the same rule and instance. `now`, in µs, is the clock that judges their age.
    pub async fn record(
        &self,
        transitions: &[Transition],
        notify: Notify,
        now: i64,
        state: Option<(&str, &[u8])>,
    ) -> Result<Recorded, DecisionsError> {
        let mut recorded = Recorded::default();
        if transitions.is_empty() && state.is_none() {
            return Ok(recorded);
        }
        let mut transaction = self.begin().await?;
        for transition in transitions {
            let changed = match transition.kind {
                TransitionKind::Firing => begin_alert(&mut transaction, transition, notify, now).await?,
                TransitionKind::Resolved => end_alert(&mut transaction, transition, notify, now).await?,
            };
            if let Some((alert, queued)) = changed {
                recorded.alerts.push(alert);
                recorded.queued += queued;
            }
        }
        if let Some((key, bytes)) = state {
            sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
                .bind(key)
                .bind(bytes)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(recorded)
    }
}

async fn begin_alert(
    connection: &mut SqliteConnection,
    transition: &Transition,
    notify: Notify,
    now: i64,
) -> Result<Option<(Alert, usize)>, DecisionsError> {
    let known: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM alerts WHERE id = $1 OR (rule_id = $2 AND instance = $3
            AND (resolved_at IS NULL OR (fired_at <= $4 AND resolved_at > $4))) LIMIT 1",
    )
    .bind(&transition.episode)
    .bind(&transition.rule_id)
    .bind(transition.instance())
    .bind(transition.fired_at)
    .fetch_optional(&mut *connection)
    .await?;
    if known.is_some() {
        return Ok(None);
    }
    sqlx::query(
        "INSERT INTO alerts (id, rule_id, rule, instance, state, severity, layer, sensor, cell, value, at, fired_at,
            evidence, webhooks) VALUES ($1, $2, $3, $4, 'firing', $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(&transition.episode)
    .bind(&transition.rule_id)
    .bind(&transition.rule)
    .bind(transition.instance())
    .bind(transition.severity.name())
    .bind(&transition.layer)
    .bind(&transition.sensor)
    .bind(transition.cell.map(u64::cast_signed))
    .bind(transition.value)
    .bind(transition.at)
    .bind(transition.fired_at)
    .bind(transition.evidence.to_string())
    .bind(json!(transition.webhooks).to_string())
    .execute(&mut *connection)
    .await?;
    let how = if is_stale(transition.at, notify, now) {
        "not_sent_stale"
    } else {
        "sent"
    };
    let alert = stored_alert(connection, &transition.episode).await?;
    let queued = add_transition(connection, &alert, 1, &transition.evidence, how, now).await?;
    Ok(Some((alert, queued)))
}

async fn end_alert(
    connection: &mut SqliteConnection,
    transition: &Transition,
    notify: Notify,
    now: i64,
) -> Result<Option<(Alert, usize)>, DecisionsError> {
    // The episode itself; else the stored one that covers its beginning; else the open one that it ends.
    let found: Option<AlertRow> = sqlx::query_as(
        "SELECT * FROM alerts WHERE id = $1 OR (rule_id = $2 AND instance = $3
            AND ((fired_at <= $4 AND resolved_at > $4) OR (resolved_at IS NULL AND fired_at < $5)))
            ORDER BY id = $1 DESC, resolved_at IS NULL LIMIT 1",
    )
    .bind(&transition.episode)
    .bind(&transition.rule_id)
    .bind(transition.instance())
    .bind(transition.fired_at)
    .bind(transition.at)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = found.filter(|row| row.resolved_at.is_none()) else {
        return Ok(None);
    };
    let end = End {
        at: transition.at.max(row.fired_at),
        value: transition.value,
        evidence: &transition.evidence,
    };
    let is_stale = is_stale(transition.at, notify, now);
    resolve(connection, row.into_alert()?, end, is_stale, now)
        .await
        .map(Some)
}

struct End<'a> {
    at: i64,
    value: f64,
    evidence: &'a Value,
}

async fn resolve(
    connection: &mut SqliteConnection,
    mut alert: Alert,
    end: End<'_>,
    is_stale: bool,
    now: i64,
) -> Result<(Alert, usize), DecisionsError> {
    sqlx::query("UPDATE alerts SET state = 'resolved', resolved_at = $2, at = $2, value = $3 WHERE id = $1")
        .bind(&alert.id)
        .bind(end.at)
        .bind(end.value)
        .execute(&mut *connection)
        .await?;
    alert.state = AlertState::Resolved;
    (alert.resolved_at, alert.at, alert.value) = (Some(end.at), end.at, end.value);
    let number: i64 = sqlx::query_scalar("SELECT MAX(number) + 1 FROM transitions WHERE alert = $1")
        .bind(&alert.id)
        .fetch_one(&mut *connection)
        .await?;
    let firing: String = sqlx::query_scalar("SELECT notify FROM transitions WHERE alert = $1 AND number = 1")
        .bind(&alert.id)
        .fetch_one(&mut *connection)
        .await?;
    let how = match firing.as_str() {
        _ if is_stale => "not_sent_stale",
        "sent" => "sent",
        // An all-clear for what nobody was told of would only puzzle.
        _ => "not_sent_firing_unsent",
    };
    let queued = add_transition(connection, &alert, number, end.evidence, how, now).await?;
    Ok((alert, queued))
}

/// Ends the open alerts of a rule that is being deleted.
pub(super) async fn resolve_alerts_of_rule(
    connection: &mut SqliteConnection,
    rule_id: &str,
    now: i64,
) -> Result<Recorded, DecisionsError> {
    let open: Vec<AlertRow> = sqlx::query_as(
        "SELECT * FROM alerts WHERE rule_id = $1 AND resolved_at IS NULL ORDER BY fired_at, id",
    )
    .bind(rule_id)
    .fetch_all(&mut *connection)
    .await?;
    let evidence = json!({"reason": "the rule was deleted"});
    let mut recorded = Recorded::default();
    for row in open {
        let alert = row.into_alert()?;
        let end = End {
            at: now.max(alert.fired_at),
            value: alert.value,
            evidence: &evidence,
        };
        let (alert, queued) = resolve(connection, alert, end, false, now).await?;
        recorded.alerts.push(alert);
        recorded.queued += queued;
    }
    Ok(recorded)
}

fn is_stale(at: i64, notify: Notify, now: i64) -> bool {
    notify == Notify::NotSentStale || now.saturating_sub(at) > MAX_NOTIFY_AGE.as_micros() as i64
}

async fn stored_alert(connection: &mut SqliteConnection, id: &str) -> Result<Alert, DecisionsError> {
    let row = alert_row(connection, id).await?;
    row.ok_or(DecisionsError::Database(sqlx::Error::RowNotFound))?
        .into_alert()
}
