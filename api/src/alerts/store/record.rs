//! Storing what the rules decided: alert, transition and outbox rows in one transaction, once.

use std::collections::HashMap;

use riskgrid_analytics::rules::{Audience, RuleInstance, Transition, TransitionKind};
use riskgrid_ingest::EventTime;
use serde_json::{Value, json};

use super::alerts::{Alert, AlertRow, AlertState, alert_row};
use super::bounds::{Draft, RULE_FULL, RULE_FULL_INSTANCE, Reached};
use super::hold::{Holds, never_sent};
use super::incidents::Gathering;
use super::instances::RuleState;
use super::notice::{Told, add_transition};
use super::telling::RulesKnown;
use super::{Decisions, DecisionsError, MAX_NOTIFY_AGE, Tally};
use crate::database::{Connection, Row, Transaction};

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
    /// Stores transitions in their order, in one transaction, with the state of a rule beside them.
    ///
    /// A transition that is stored already changes nothing; nor does a re-derived episode that overlaps a stored
    /// one of the same rule and instance, nor one of a rule that is deleted. `now`, in µs, is the clock that judges their
    /// age. Where a rule, or all, have as many open alerts as they may, an alert does not begin; one alert
    /// [`RULE_FULL`] tells so, until a tenth is free again.
    pub async fn record(
        &self,
        transitions: &[Transition],
        notify: Notify,
        now: i64,
        state: Option<RuleState<'_>>,
    ) -> Result<Recorded, DecisionsError> {
        if transitions.is_empty() && state.is_none() {
            return Ok(Recorded::default());
        }
        let mut recording = Recording::begin(self, notify, now).await?;
        for transition in in_stored_order(transitions) {
            match transition.kind {
                TransitionKind::Firing => recording.begin_alert(transition).await?,
                end => recording.end_alert(transition, AlertState::of_end(end)).await?,
            }
        }
        if let Some(state) = state {
            state.write(&mut recording.transaction).await?;
        }
        recording.end_full_alerts().await?;
        recording.commit().await
    }

    /// Ends up to `most` open alerts of rules that are deleted, off, or changed into others, telling those who were told
    /// that they fire.
    pub async fn end_alerts_of_gone_rules(&self, most: u32, now: i64) -> Result<Recorded, DecisionsError> {
        let mut recording = Recording::begin(self, Notify::Send, now).await?;
        for (sql, why) in [
            (
                "SELECT alerts.*, 'rule_deleted' AS gone FROM rules_deleted JOIN alerts ON alerts.rule_id = rules_deleted.id
                    WHERE alerts.resolved_at IS NULL LIMIT $1",
                "the rule was deleted",
            ),
            (
                "SELECT alerts.*, rules_changed.reason AS gone FROM rules_changed JOIN alerts
                    ON alerts.rule_id = rules_changed.id AND alerts.rule_version < rules_changed.before_version
                    WHERE alerts.resolved_at IS NULL LIMIT $1",
                "the rule watches something else now, or is off",
            ),
        ] {
            let open: Vec<GoneRow> = sqlx::query_as(sql)
                .bind(i64::from(most))
                .fetch_all(&mut *recording.transaction)
                .await?;
            let evidence = json!({"reason": why});
            for row in open {
                let alert = row.alert.into_alert()?;
                let end = End {
                    becomes: AlertState::Resolved,
                    at: now.max(alert.fired_at),
                    value: alert.value,
                    evidence: &evidence,
                    reason: Some(&row.gone),
                };
                recording.end(alert, end).await?;
            }
        }
        recording.end_full_alerts().await?;
        recording.commit().await
    }
}

/// An open alert, and why its rule is no more.
struct GoneRow {
    alert: AlertRow,
    gone: String,
}

impl sqlx::FromRow<'_, Row> for GoneRow {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        use sqlx::Row as _;
        Ok(Self {
            alert: AlertRow::from_row(row)?,
            gone: row.try_get("gone")?,
        })
    }
}

/// One transaction that begins and ends alerts.
pub(super) struct Recording<'a> {
    pub(super) decisions: &'a Decisions,
    pub(super) transaction: Transaction,
    draft: Draft,
    gathering: Gathering,
    pub(super) recorded: Recorded,
    began: u64,
    ended: u64,
    refused: [u64; 2],
    /// Read when the first alert begins.
    holds: Option<Holds>,
    pub(super) rules: RulesKnown,
    notify: Notify,
    pub(super) now: i64,
}

impl<'a> Recording<'a> {
    pub(super) async fn begin(
        decisions: &'a Decisions,
        notify: Notify,
        now: i64,
    ) -> Result<Self, DecisionsError> {
        Ok(Self {
            decisions,
            transaction: decisions.begin().await?,
            draft: Draft::default(),
            gathering: Gathering::new(decisions),
            recorded: Recorded::default(),
            began: 0,
            ended: 0,
            refused: [0, 0],
            holds: None,
            rules: RulesKnown::default(),
            notify,
            now,
        })
    }

    pub(super) async fn commit(self) -> Result<Recorded, DecisionsError> {
        let (decisions, draft) = (self.decisions, self.draft);
        // Before the next transaction can begin: it must count on from here.
        decisions.census().apply(&draft, 1);
        if let Err(error) = self.transaction.commit().await {
            decisions.census().apply(&draft, -1);
            return Err(error.into());
        }
        self.gathering.keep();
        let tally = decisions.tally();
        Tally::add(&tally.ended, self.ended);
        Tally::add(&decisions.inner.ends, self.ended);
        Tally::add(&tally.began, self.began);
        let [of_rule, of_all] = self.refused;
        Tally::add(&tally.refused_by_rule, of_rule);
        Tally::add(&tally.refused_by_all, of_all);
        Ok(self.recorded)
    }

    pub(super) async fn begin_alert(&mut self, transition: &Transition) -> Result<(), DecisionsError> {
        let known: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM alerts WHERE id = $1 OR (rule_id = $2 AND instance = $3
                AND (resolved_at IS NULL OR (fired_at <= $4 AND resolved_at > $4)))
             UNION ALL SELECT 1 FROM rules_deleted WHERE id = $2
             UNION ALL SELECT 1 FROM rules_changed WHERE id = $2 AND before_version > $5 LIMIT 1",
        )
        .bind(&transition.episode)
        .bind(&transition.rule_id)
        .bind(&transition.instance)
        .bind(transition.fired_at.micros())
        .bind(transition.rule_version)
        .fetch_optional(&mut *self.transaction)
        .await?;
        if known.is_some() {
            return Ok(());
        }
        let rule_id = &transition.rule_id;
        let (reached, open) = {
            let census = self.decisions.census();
            let reached = self.draft.reached(&census, rule_id, self.decisions.bounds());
            (reached, self.draft.open(&census, rule_id))
        };
        let Some(reached) = reached else {
            return self.insert(transition).await;
        };
        self.refused[usize::from(reached == Reached::OfAll)] += 1;
        let is_told = {
            let told = self.draft.full.get(rule_id).copied();
            told.unwrap_or_else(|| self.decisions.census().full.contains(rule_id))
        };
        if is_told {
            return Ok(());
        }
        self.draft.full.insert(rule_id.clone(), true);
        let bounds = self.decisions.bounds();
        let (key, most, open) = match reached {
            Reached::OfRule => ("alerts.max_open_per_rule", bounds.open_of_rule, open.0),
            Reached::OfAll => ("alerts.max_open", bounds.open, open.1),
        };
        tracing::warn!(
            rule = transition.rule,
            key,
            most,
            "the rule is full: no more alerts of it begin until some end; make it narrower, or allow more"
        );
        let at = transition.at;
        let full = RuleInstance {
            rule_id,
            instance: RULE_FULL,
        };
        let episode = full.episode(at);
        if alert_row(&mut self.transaction, &episode).await?.is_some() {
            // It was full at this very time before.
            return Ok(());
        }
        self.insert(&Transition {
            episode,
            rule: RULE_FULL.to_owned(),
            instance: RULE_FULL_INSTANCE.to_owned(),
            // What riskgrid tells of the rule itself is nobody else's.
            audience: Audience::Staff,
            sensor: None,
            cell: None,
            value: open as f64,
            fired_at: at,
            evidence: json!({"rule": transition.rule, "reason": "no more alerts of this rule begin until some end",
                "limit": key, "most": most, "open": open}),
            ..transition.clone()
        })
        .await
    }

    async fn insert(&mut self, transition: &Transition) -> Result<(), DecisionsError> {
        let is_emergency = self
            .decisions
            .is_emergency_at(transition.cell.map(u64::cast_signed));
        let rule = self.rules.of(&mut self.transaction, &transition.rule_id).await?;
        let (severity, webhooks) = rule.terms(transition.severity, transition.webhooks.clone(), is_emergency);
        sqlx::query(
            "INSERT INTO alerts (id, rule_id, rule, instance, state, severity, layer, sensor, cell, value, at, fired_at,
                evidence, webhooks, audience, kind, rule_version, incident_group, labels, areas) VALUES
                ($1, $2, $3, $4, 'firing', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
        )
        .bind(&transition.episode)
        .bind(&transition.rule_id)
        .bind(&transition.rule)
        .bind(&transition.instance)
        .bind(severity.name())
        .bind(transition.layer.as_deref().unwrap_or_default())
        .bind(&transition.sensor)
        .bind(transition.cell.map(u64::cast_signed))
        .bind(transition.value)
        .bind(transition.at.micros())
        .bind(transition.fired_at.micros())
        .bind(transition.evidence.to_string())
        .bind(json!(webhooks).to_string())
        .bind(transition.audience.name())
        .bind(transition.rule_kind)
        .bind(transition.rule_version)
        .bind(self.decisions.group_of(transition))
        .bind(json!(transition.labels).to_string())
        .bind(json!(self.decisions.areas_of(transition.cell)).to_string())
        .execute(&mut *self.transaction)
        .await?;
        let mut alert = stored_alert(&mut self.transaction, &transition.episode).await?;
        self.gathering
            .fire(&mut self.transaction, &mut alert, transition.group.as_deref())
            .await?;
        let how = if self.is_stale(transition.at.micros()) {
            "not_sent_stale"
        } else if self.is_held(&alert).await? {
            "held"
        } else {
            "sent"
        };
        let told = Told {
            kind: AlertState::Firing.name(),
            number: 1,
            evidence: &transition.evidence,
            reason: None,
            how,
            is_late: false,
        };
        let queued = add_transition(self.decisions, &mut self.transaction, &alert, &told, self.now).await?;
        self.recorded.queued += queued;
        self.recorded.alerts.push(alert);
        self.began += 1;
        self.draft.began(&transition.rule_id);
        Ok(())
    }

    pub(super) async fn end_alert(
        &mut self,
        transition: &Transition,
        becomes: AlertState,
    ) -> Result<(), DecisionsError> {
        // The episode itself; else the stored one that covers its beginning; else the open one that it ends.
        let found: Option<AlertRow> = sqlx::query_as(
            "SELECT * FROM alerts WHERE id = $1 OR (rule_id = $2 AND instance = $3
                AND ((fired_at <= $4 AND resolved_at > $4) OR (resolved_at IS NULL AND fired_at < $5)))
                ORDER BY id = $1 DESC, resolved_at IS NULL LIMIT 1",
        )
        .bind(&transition.episode)
        .bind(&transition.rule_id)
        .bind(&transition.instance)
        .bind(transition.fired_at.micros())
        .bind(transition.at.micros())
        .fetch_optional(&mut *self.transaction)
        .await?;
        let Some(row) = found.filter(|row| row.resolved_at.is_none()) else {
            return Ok(());
        };
        let end = End {
            becomes,
            at: transition.at.micros().max(row.fired_at),
            value: transition.value,
            evidence: &transition.evidence,
            reason: None,
        };
        self.end(row.into_alert()?, end).await
    }

    /// Ends the alerts that told of rules which have room again.
    pub(super) async fn end_full_alerts(&mut self) -> Result<(), DecisionsError> {
        if !self.draft.has_ended_any() {
            return Ok(());
        }
        let with_room = {
            let census = self.decisions.census();
            self.draft.with_room_again(&census, self.decisions.bounds())
        };
        for rule_id in with_room {
            self.draft.full.insert(rule_id.clone(), false);
            let row: Option<AlertRow> = sqlx::query_as(
                "SELECT * FROM alerts WHERE rule_id = $1 AND instance = '' AND rule = $2 AND resolved_at IS NULL",
            )
            .bind(&rule_id)
            .bind(RULE_FULL)
            .fetch_optional(&mut *self.transaction)
            .await?;
            let Some(row) = row else { continue };
            let alert = row.into_alert()?;
            let newest = self.recorded.alerts.iter().map(|alert| alert.at).max();
            let evidence = json!({"reason": "alerts of this rule begin again"});
            let end = End {
                becomes: AlertState::Resolved,
                at: newest.unwrap_or(self.now).max(alert.fired_at),
                value: alert.value,
                evidence: &evidence,
                reason: None,
            };
            self.end(alert, end).await?;
        }
        Ok(())
    }

    /// Whether something holds back the beginning of an alert.
    pub(super) async fn is_held(&mut self, alert: &Alert) -> Result<bool, DecisionsError> {
        if self.holds.is_none() {
            self.holds = Some(Holds::read(self.decisions, &mut self.transaction, self.now).await?);
        }
        match &self.holds {
            Some(holds) => {
                holds
                    .hold(&mut self.transaction, &mut self.rules, alert, alert.at)
                    .await
            }
            None => Ok(false),
        }
    }

    fn is_stale(&self, at: i64) -> bool {
        self.notify == Notify::NotSentStale || self.now.saturating_sub(at) > MAX_NOTIFY_AGE.as_micros() as i64
    }

    pub(super) async fn end(&mut self, mut alert: Alert, end: End<'_>) -> Result<(), DecisionsError> {
        let is_late = self.is_stale(end.at);
        let connection = &mut *self.transaction;
        sqlx::query(
            "UPDATE alerts SET state = $4, resolved_at = $2, at = $2, value = $3, reason = $5 WHERE id = $1",
        )
        .bind(&alert.id)
        .bind(end.at)
        .bind(end.value)
        .bind(end.becomes.name())
        .bind(end.reason)
        .execute(&mut *connection)
        .await?;
        alert.state = end.becomes;
        (alert.resolved_at, alert.at, alert.value) = (Some(end.at), end.at, end.value);
        alert.reason = end.reason.map(str::to_owned);
        self.gathering.end(&mut *connection, &alert).await?;
        let number = self.next_number(&alert.id).await?;
        let begun = self.how_begun(&alert.id).await?;
        let connection = &mut *self.transaction;
        // A change that is held is told to nobody any more.
        never_sent(connection, &alert.id).await?;
        let how = match begun.as_str() {
            // However late it is: whoever was told that it began waits for its end.
            "sent" => "sent",
            "held" => "not_sent_held",
            _ if is_late => "not_sent_stale",
            // An all-clear for what nobody was told of would only puzzle.
            _ => "not_sent_firing_unsent",
        };
        let told = Told {
            kind: end.becomes.name(),
            number,
            evidence: end.evidence,
            reason: end.reason,
            how,
            is_late,
        };
        let queued = add_transition(self.decisions, connection, &alert, &told, self.now).await?;
        self.draft.ended(&alert.rule_id);
        self.ended += 1;
        self.recorded.queued += queued;
        self.recorded.alerts.push(alert);
        Ok(())
    }

    /// The number of the next transition of an alert.
    pub(super) async fn next_number(&mut self, alert: &str) -> Result<i64, DecisionsError> {
        let number = sqlx::query_scalar("SELECT MAX(number) + 1 FROM transitions WHERE alert = $1")
            .bind(alert)
            .fetch_one(&mut *self.transaction)
            .await?;
        Ok(number)
    }

    /// Whether anybody was told of the beginning of an alert: `sent`, or why not. Where something else of it was sent as its
    /// beginning, somebody was.
    pub(super) async fn how_begun(&mut self, alert: &str) -> Result<String, DecisionsError> {
        let how = sqlx::query_scalar(
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM alerts_told WHERE alerts_told.alert = $1) THEN 'sent' ELSE notify END
                FROM transitions WHERE alert = $1 AND number = 1",
        )
        .bind(alert)
        .fetch_one(&mut *self.transaction)
        .await?;
        Ok(how)
    }
}

/// How an alert ends.
pub(super) struct End<'a> {
    pub(super) becomes: AlertState,
    pub(super) at: i64,
    pub(super) value: f64,
    pub(super) evidence: &'a Value,
    /// Where the data did not end it.
    pub(super) reason: Option<&'a str>,
}

/// The order in which transitions of one transaction are stored: by their times, and of one time by alert. Those of one
/// instance stay as they were made.
fn in_stored_order(transitions: &[Transition]) -> Vec<&Transition> {
    let mut newest: HashMap<(&str, &str), (EventTime, &str)> = HashMap::new();
    let mut keyed: Vec<((EventTime, &str), &Transition)> = Vec::with_capacity(transitions.len());
    for transition in transitions {
        let own = (transition.at, transition.episode.as_str());
        let of_instance = newest
            .entry((&transition.rule_id, &transition.instance))
            .or_insert(own);
        *of_instance = own.max(*of_instance);
        keyed.push((*of_instance, transition));
    }
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, transition)| transition).collect()
}

async fn stored_alert(connection: &mut Connection, id: &str) -> Result<Alert, DecisionsError> {
    let row = alert_row(connection, id).await?;
    row.ok_or(DecisionsError::from(sqlx::Error::RowNotFound))?
        .into_alert()
}
