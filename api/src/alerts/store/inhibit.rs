//! Alerts that keep others quiet, as they are stored: looked for among the open alerts of the rules that can be a source.

use std::collections::BTreeMap;

use riskgrid_analytics::incidents::Cover;

use super::alerts::{Alert, AlertRow};
use super::telling::{RuleFacts, rank};
use super::{Decisions, DecisionsError};
use crate::alerts::inhibition::{BUILT_IN_SOURCES, Candidate, RuleWords, inhibits};
use crate::alerts::silence::Subject;
use crate::database::{Connection, read_from_row};

/// Alerts of one reading.
const PAGE: i64 = 200;

/// The rules whose alerts may keep others quiet, by id, with the members of those that are composed.
pub(super) struct Inhibitors {
    decisions: Decisions,
    rules: BTreeMap<String, Vec<String>>,
}

struct RuleRow {
    id: String,
    name: String,
    body: String,
}

read_from_row!(RuleRow { id, name, body });

#[derive(serde::Deserialize)]
struct RuleKind {
    kind: String,
    #[serde(default)]
    layer: String,
}

impl Inhibitors {
    pub(super) async fn read(
        decisions: &Decisions,
        connection: &mut Connection,
    ) -> Result<Self, DecisionsError> {
        let rows: Vec<RuleRow> = sqlx::query_as("SELECT id, name, body FROM rules")
            .fetch_all(connection)
            .await?;
        let configured = &decisions.noise().inhibitions;
        let rules = rows.into_iter().filter_map(|row| {
            let RuleKind { kind, layer } = serde_json::from_str(&row.body).ok()?;
            let may_begin = BUILT_IN_SOURCES.contains(&kind.as_str())
                || configured.iter().any(|inhibition| {
                    inhibition.may_begin_with(&RuleWords {
                        name: &row.name,
                        id: &row.id,
                        layer: &layer,
                        kind: &kind,
                    })
                });
            may_begin.then(|| {
                let facts: RuleFacts = serde_json::from_str(&row.body).unwrap_or_default();
                (row.id, facts.all.into_iter().chain(facts.any).collect())
            })
        });
        Ok(Self {
            decisions: decisions.clone(),
            rules: rules.collect(),
        })
    }

    /// Whether an open alert keeps this one quiet.
    pub(super) async fn inhibit(
        &self,
        connection: &mut Connection,
        target: &Alert,
    ) -> Result<bool, DecisionsError> {
        if self.rules.is_empty() {
            return Ok(false);
        }
        let of_target = Described::of(&self.decisions, target, &[]);
        for (rule_id, members) in &self.rules {
            let (mut fired_at, mut id) = (i64::MIN, String::new());
            loop {
                let rows: Vec<AlertRow> = sqlx::query_as(
                    "SELECT * FROM alerts WHERE rule_id = $1 AND resolved_at IS NULL AND (fired_at, id) > ($2, $3)
                        ORDER BY fired_at, id LIMIT $4",
                )
                .bind(rule_id)
                .bind(fired_at)
                .bind(&id)
                .bind(PAGE)
                .fetch_all(&mut *connection)
                .await?;
                let is_whole = rows.len() as i64 == PAGE;
                for row in rows {
                    let source = row.into_alert()?;
                    let of_source = Described::of(&self.decisions, &source, members);
                    let configured = &self.decisions.noise().inhibitions;
                    if inhibits(
                        &of_source.candidate(&source),
                        &of_target.candidate(target),
                        configured,
                    ) {
                        return Ok(true);
                    }
                    (fired_at, id) = (source.fired_at, source.id);
                }
                if !is_whole {
                    break;
                }
            }
        }
        Ok(false)
    }
}

/// What is worked out of an alert for the comparison.
struct Described<'a> {
    cover: Cover,
    areas: Vec<(String, String)>,
    members: &'a [String],
    feed: Option<String>,
}

impl<'a> Described<'a> {
    fn of(decisions: &Decisions, alert: &Alert, members: &'a [String]) -> Self {
        let places = decisions.places();
        let areas = alert.areas.iter().filter_map(|id| {
            let area = places.areas.get(id)?;
            Some((area.level.to_string(), id.clone()))
        });
        let feed = alert.evidence.get("feed").and_then(serde_json::Value::as_str);
        Self {
            cover: decisions.cover_of(alert),
            areas: areas.collect(),
            members,
            feed: feed.map(str::to_owned),
        }
    }

    fn candidate<'b>(&'b self, alert: &'b Alert) -> Candidate<'b> {
        Candidate {
            subject: Subject::from(alert),
            id: &alert.id,
            fired_at: alert.fired_at,
            severity: rank(&alert.severity),
            cover: &self.cover,
            incident: alert.incident.as_deref(),
            group: Some(&alert.group),
            areas: &self.areas,
            instance: &alert.instance,
            members: self.members,
            feed: self.feed.as_deref(),
        }
    }
}
