//! What holds beginnings back: mutes, silences, and alerts that keep others quiet. A beginning that is held is recorded and told
//! to nobody, until nothing holds it any more.

use riskgrid_ingest::EventTime;

use super::alerts::{Alert, AlertRow, AlertState, alert_row};
use super::inhibit::Inhibitors;
use super::notice::{Told, queue};
use super::silences::{SilenceRow, StoredSilence};
use super::telling::RulesKnown;
use super::{Decisions, DecisionsError, MAX_NOTIFY_AGE, PIECE};
use crate::alerts::silence::Subject;
use crate::database::{Connection, read_from_row};

impl<'a> From<&'a Alert> for Subject<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            rule: &alert.rule,
            rule_id: &alert.rule_id,
            layer: alert.layer.as_deref().unwrap_or_default(),
            kind: &alert.kind,
            labels: &alert.labels,
            severity: &alert.severity,
            cell: alert.cell,
        }
    }
}

/// What holds back in one transaction.
pub(super) struct Holds {
    silences: Vec<StoredSilence>,
    inhibitors: Inhibitors,
    decisions: Decisions,
}

impl Holds {
    /// Silences that are not over at `now` (µs): what is over holds nothing back any more, however late it is decided.
    pub(super) async fn read(
        decisions: &Decisions,
        connection: &mut Connection,
        now: i64,
    ) -> Result<Self, DecisionsError> {
        let rows: Vec<SilenceRow> = sqlx::query_as("SELECT * FROM silences WHERE ends_at > $1 ORDER BY id")
            .bind(now)
            .fetch_all(&mut *connection)
            .await?;
        let silences = rows.into_iter().map(SilenceRow::into_silence);
        Ok(Self {
            silences: silences.collect::<Result<_, _>>()?,
            inhibitors: Inhibitors::read(decisions, connection).await?,
            decisions: decisions.clone(),
        })
    }

    /// Whether the beginning of an alert is held at a time; a silence counts that it did.
    pub(super) async fn hold(
        &self,
        connection: &mut Connection,
        rules: &mut RulesKnown,
        alert: &Alert,
        at: i64,
    ) -> Result<bool, DecisionsError> {
        if let Some(silence) = self.silence_of(alert, at) {
            sqlx::query("UPDATE silences SET held = held + 1 WHERE id = $1")
                .bind(&silence.id)
                .execute(connection)
                .await?;
            return Ok(true);
        }
        self.is_held_otherwise(connection, rules, alert, at).await
    }

    /// Whether it would be held at a time, without counting it.
    async fn would_hold(
        &self,
        connection: &mut Connection,
        rules: &mut RulesKnown,
        alert: &Alert,
        at: i64,
    ) -> Result<bool, DecisionsError> {
        if self.silence_of(alert, at).is_some() {
            return Ok(true);
        }
        self.is_held_otherwise(connection, rules, alert, at).await
    }

    async fn is_held_otherwise(
        &self,
        connection: &mut Connection,
        rules: &mut RulesKnown,
        alert: &Alert,
        at: i64,
    ) -> Result<bool, DecisionsError> {
        let mutes = &rules.of(connection, &alert.rule_id).await?.mute;
        let at = EventTime::from_micros(at);
        let is_muted = mutes.iter().any(|name| {
            let mute = self.decisions.noise().mutes.get(name);
            mute.is_some_and(|mute| mute.holds_at(at))
        });
        Ok(is_muted || self.inhibitors.inhibit(connection, alert).await?)
    }

    fn silence_of(&self, alert: &Alert, at: i64) -> Option<&StoredSilence> {
        let (subject, at) = (Subject::from(alert), EventTime::from_micros(at));
        let places = self.decisions.places();
        self.silences
            .iter()
            .find(|stored| stored.silence.is_in_force(at) && stored.silence.is_about(&subject, places))
    }
}

/// The beginning was held until the alert ended: nobody will be told.
pub(super) async fn never_sent(connection: &mut Connection, alert: &str) -> Result<(), DecisionsError> {
    sqlx::query("UPDATE transitions SET notify = 'not_sent_held' WHERE alert = $1 AND notify = 'held'")
        .bind(alert)
        .execute(connection)
        .await?;
    Ok(())
}

impl Decisions {
    /// Whether a silence ended after `since` and not after `now` (µs), so that what it held may be told.
    pub async fn has_silence_ended(&self, since: EventTime, now: EventTime) -> Result<bool, DecisionsError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT CAST(1 AS BIGINT) FROM silences WHERE ends_at > $1 AND ends_at <= $2 LIMIT 1",
        )
        .bind(since.micros())
        .bind(now.micros())
        .fetch_optional(self.readers())
        .await?;
        Ok(found.is_some())
    }

    /// Tells of alerts that still fire and that nothing holds any more at `now` (µs), piece by piece. Answers how many
    /// deliveries were queued.
    pub async fn release_held(&self, now: i64) -> Result<usize, DecisionsError> {
        let mut queued = 0;
        let mut last = String::new();
        let is_any: Option<String> =
            sqlx::query_scalar("SELECT alert FROM transitions WHERE notify = 'held' LIMIT 1")
                .fetch_optional(self.readers())
                .await?;
        if is_any.is_none() {
            return Ok(queued);
        }
        loop {
            let mut transaction = self.begin().await?;
            let held: Vec<String> = sqlx::query_scalar(
                "SELECT DISTINCT alert FROM transitions WHERE notify = 'held' AND alert > $1 ORDER BY alert LIMIT $2",
            )
            .bind(&last)
            .bind(PIECE)
            .fetch_all(&mut *transaction)
            .await?;
            let Some(newest) = held.last() else {
                return Ok(queued);
            };
            last.clone_from(newest);
            let holds = Holds::read(self, &mut transaction, now).await?;
            let mut rules = RulesKnown::default();
            for id in held {
                let Some(row) = alert_row(&mut transaction, &id).await? else {
                    continue;
                };
                let alert = AlertRow::into_alert(row)?;
                let is_free = alert.resolved_at.is_none()
                    && !holds
                        .would_hold(&mut transaction, &mut rules, &alert, now)
                        .await?;
                if is_free {
                    queued += tell_of(self, &mut transaction, alert, now).await?;
                }
            }
            transaction.commit().await?;
            tokio::task::yield_now().await;
        }
    }
}

struct HeldRow {
    number: i64,
    kind: String,
}

read_from_row!(HeldRow { number, kind });

/// Sends the beginning that was held, as it was; else the newest change.
async fn tell_of(
    decisions: &Decisions,
    connection: &mut Connection,
    mut alert: Alert,
    now: i64,
) -> Result<usize, DecisionsError> {
    let held: Option<HeldRow> = sqlx::query_as(
        "SELECT number, kind FROM transitions WHERE alert = $1 AND notify = 'held'
            ORDER BY number = 1 DESC, number DESC LIMIT 1",
    )
    .bind(&alert.id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(held) = held else { return Ok(0) };
    sqlx::query("UPDATE transitions SET notify = 'sent' WHERE alert = $1 AND number = $2")
        .bind(&alert.id)
        .bind(held.number)
        .execute(&mut *connection)
        .await?;
    // The newest of what was held tells it all.
    never_sent(&mut *connection, &alert.id).await?;
    // Somebody may have taken it meanwhile; that it began is still news to receivers.
    alert.state = AlertState::Firing;
    let told = Told {
        kind: &held.kind,
        number: held.number,
        evidence: &alert.evidence,
        reason: None,
        how: "sent",
        is_late: now.saturating_sub(alert.at) > MAX_NOTIFY_AGE.as_micros() as i64,
    };
    queue(decisions, connection, &alert, &told, now).await
}
