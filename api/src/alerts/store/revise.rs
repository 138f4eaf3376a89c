//! What late data change of alerts that are stored: an episode that is made again is the one that it overlaps, one that
//! nothing overlaps any more is retracted.

use std::collections::BTreeSet;

use riskgrid_analytics::rules::{InstanceChange, Rule, Transition};
use riskgrid_ingest::EventTime;
use serde_json::json;

use super::alerts::{Alert, AlertRow, AlertState};
use super::bounds::RULE_FULL;
use super::instances::RuleState;
use super::notice::{Told, add_transition};
use super::record::{End, Notify, Recorded, Recording};
use super::{Decisions, DecisionsError};
use crate::database::Standing;

/// Why an alert ended, or is named so after its end, that would not have been.
pub const RETRACTED: &str = "retracted";

/// An episode as it is after late data.
#[derive(Clone, Debug)]
pub struct RerunEpisode {
    /// The instance within the rule.
    pub instance: String,
    /// When it fired.
    pub fired_at: EventTime,
    /// Its beginning, where it began in what was judged again.
    pub firing: Option<Transition>,
    /// Its end, where it ended.
    pub end: Option<Transition>,
}

/// What a rule says since a time, now that it was judged again.
#[derive(Debug)]
pub struct RuleRevision<'a> {
    /// Which rule.
    pub rule: &'a Rule,
    /// How this node stood to the lease when it judged.
    pub standing: Standing,
    /// From when on it was judged again.
    pub from: EventTime,
    /// The newest time that it was judged at.
    pub evaluated: EventTime,
    /// All episodes that were open then or began since.
    pub episodes: &'a [RerunEpisode],
    /// The instances that may stand otherwise than stored.
    pub changes: &'a [InstanceChange],
    /// How instances stood before the evaluations since.
    pub past: &'a [(EventTime, &'a [InstanceChange])],
}

/// What is to be done, with the time and the alert that order it.
enum Deed<'a> {
    Begin(&'a Transition),
    End(Alert, &'a Transition),
    EndNew(&'a Transition),
    Retract(Alert),
}

impl Decisions {
    /// Brings what is stored of a rule into line with what it says after late data. Answers what changed, and the instances
    /// whose alert is over as it is stored, and that fire by what was judged again: the next value over is a new episode.
    ///
    /// # Errors
    /// [`DecisionsError::Conflict`] when the rule was changed meanwhile, or the database's.
    pub async fn record_revision(
        &self,
        revision: &RuleRevision<'_>,
        notify: Notify,
        now: i64,
    ) -> Result<(Recorded, BTreeSet<String>), DecisionsError> {
        let mut recording = Recording::begin(self, notify, now).await?;
        let rows: Vec<AlertRow> = sqlx::query_as(
            "SELECT * FROM alerts WHERE rule_id = $1 AND rule <> $2
                AND (resolved_at IS NULL OR resolved_at >= $3 OR fired_at >= $3) ORDER BY fired_at, id",
        )
        .bind(&revision.rule.id)
        .bind(RULE_FULL)
        .bind(revision.from.micros())
        .fetch_all(&mut *recording.transaction)
        .await?;
        let mut stored = rows
            .into_iter()
            .map(AlertRow::into_alert)
            .collect::<Result<Vec<_>, _>>()?;
        stored.retain(|alert| alert.kind == revision.rule.kind() && alert.rule != super::RULE_FAILING);
        let (deeds, over) = deeds_of(revision, stored);
        for deed in deeds {
            match deed {
                Deed::Begin(firing) => recording.begin_alert(firing).await?,
                Deed::EndNew(end) => recording.end_alert(end, AlertState::of_end(end.kind)).await?,
                Deed::End(alert, transition) => {
                    let end = End {
                        becomes: AlertState::of_end(transition.kind),
                        at: transition.at.micros().max(alert.fired_at),
                        value: transition.value,
                        evidence: &transition.evidence,
                        reason: None,
                    };
                    recording.end(alert, end).await?;
                }
                Deed::Retract(alert) => recording.retract(alert, revision.evaluated.micros()).await?,
            }
        }
        let changes: Vec<InstanceChange> = revision
            .changes
            .iter()
            .map(|(key, known)| (key.clone(), known.filter(|_| !over.contains(&*key.text()))))
            .collect();
        let state = RuleState {
            rule_id: &revision.rule.id,
            rule_version: revision.rule.version,
            standing: revision.standing,
            evaluated: revision.evaluated,
            changes: &changes,
            before: &[],
            of: revision.from,
        };
        state
            .write_again(&mut recording.transaction, revision.from, revision.past)
            .await?;
        recording.end_full_alerts().await?;
        Ok((recording.commit().await?, over))
    }
}

/// What is to be done, in the order in which it is stored, and the instances that are over as they are stored.
fn deeds_of<'a>(revision: &RuleRevision<'a>, stored: Vec<Alert>) -> (Vec<Deed<'a>>, BTreeSet<String>) {
    let mut over = BTreeSet::new();
    let mut deeds: Vec<((i64, String), Deed<'a>)> = Vec::new();
    let mut stored: Vec<(Alert, bool)> = stored.into_iter().map(|alert| (alert, false)).collect();
    for episode in revision.episodes {
        let of_it = stored
            .iter_mut()
            .filter(|(alert, _)| alert.instance == episode.instance && overlap(alert, episode));
        let mut own: Option<&Alert> = None;
        for (alert, is_there) in of_it {
            *is_there = true;
            // Of several the last goes on.
            own = Some(alert);
        }
        match (own, &episode.end) {
            (Some(alert), None) if alert.resolved_at.is_some() => {
                over.insert(episode.instance.clone());
            }
            (Some(alert), Some(end)) if alert.resolved_at.is_none() => {
                deeds.push(((end.at.micros(), alert.id.clone()), Deed::End(alert.clone(), end)));
            }
            (Some(_), _) => {}
            (None, end) => {
                if let Some(firing) = &episode.firing {
                    let id = &firing.episode;
                    deeds.push(((firing.at.micros(), id.clone()), Deed::Begin(firing)));
                    if let Some(end) = end {
                        deeds.push(((end.at.micros(), id.clone()), Deed::EndNew(end)));
                    }
                }
            }
        }
    }
    let from = revision.from.micros();
    let gone = stored
        .into_iter()
        .filter(|(alert, is_there)| !is_there && alert.fired_at >= from && alert.reason.is_none());
    for (alert, _) in gone {
        let at = revision.evaluated.micros().max(alert.fired_at);
        deeds.push(((at, alert.id.clone()), Deed::Retract(alert)));
    }
    // Of one alert its beginning stays before its end: the sort keeps the order of what is equal.
    deeds.sort_by(|(a, _), (b, _)| a.cmp(b));
    (deeds.into_iter().map(|(_, deed)| deed).collect(), over)
}

fn overlap(alert: &Alert, episode: &RerunEpisode) -> bool {
    let (fired_at, ended_at) = (
        episode.fired_at.micros(),
        episode.end.as_ref().map(|end| end.at.micros()),
    );
    fired_at == alert.fired_at
        || (ended_at.is_none_or(|ended_at| alert.fired_at < ended_at)
            && alert.resolved_at.is_none_or(|resolved_at| fired_at < resolved_at))
}

impl Recording<'_> {
    /// Nothing has been as the alert says: it ends, or where it had ended it is said of it.
    async fn retract(&mut self, mut alert: Alert, at: i64) -> Result<(), DecisionsError> {
        let evidence = json!({"reason": "late data: the value was not over the limit", "value": alert.value});
        if alert.resolved_at.is_none() {
            let end = End {
                becomes: AlertState::Resolved,
                at: at.max(alert.fired_at),
                value: alert.value,
                evidence: &evidence,
                reason: Some(RETRACTED),
            };
            return self.end(alert, end).await;
        }
        alert.at = at.max(alert.at);
        alert.reason = Some(RETRACTED.to_owned());
        sqlx::query("UPDATE alerts SET reason = $2, at = $3 WHERE id = $1")
            .bind(&alert.id)
            .bind(RETRACTED)
            .bind(alert.at)
            .execute(&mut *self.transaction)
            .await?;
        let how = match self.how_begun(&alert.id).await?.as_str() {
            "sent" => "sent",
            _ => "not_sent_firing_unsent",
        };
        let told = Told {
            kind: RETRACTED,
            number: self.next_number(&alert.id).await?,
            evidence: &evidence,
            reason: Some(RETRACTED),
            how,
            is_late: false,
        };
        let queued = add_transition(self.decisions, &mut self.transaction, &alert, &told, self.now).await?;
        self.recorded.queued += queued;
        self.recorded.alerts.push(alert);
        Ok(())
    }
}
