//! Alerts as the SQL table shows them: read page by page, filtered by the database.

use super::{Decisions, DecisionsError};
use crate::database::{Bound, Conditions, read_from_row};

/// Alerts of one page.
const PAGE: u32 = 1_000;

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertLine {
    /// Id of the episode.
    pub id: String,
    /// Name of the rule.
    pub rule: String,
    /// firing, acknowledged, resolved or expired.
    pub state: String,
    /// minor, moderate, major or critical.
    pub severity: String,
    /// The layer of its rule; empty where that watches none.
    pub layer: String,
    /// The kind of its rule.
    pub kind: String,
    /// Id of the rule.
    pub rule_id: String,
    /// The version of its rule as it began.
    pub rule_version: i64,
    /// What it is known by within its rule.
    pub instance: String,
    /// What it is gathered in incidents by.
    pub incident_group: String,
    /// JSON: of its rule.
    pub labels: String,
    /// JSON: ids of the areas that hold its place.
    pub areas: String,
    /// Why it ended, where the data did not end it.
    pub reason: Option<String>,
    /// For rules per sensor.
    pub sensor: Option<String>,
    /// An H3 cell, its bits.
    pub cell: Option<i64>,
    /// Of the newest transition.
    pub value: f64,
    /// Of the newest transition that the data made, µs.
    pub at: i64,
    /// When it began, µs.
    pub fired_at: i64,
    /// When it ended, µs.
    pub resolved_at: Option<i64>,
    /// When somebody took it, µs.
    pub acknowledged_at: Option<i64>,
    /// Who took it.
    pub acknowledged_by: Option<String>,
    /// What they said to it.
    pub acknowledged_comment: Option<String>,
    /// Until when they took it, µs.
    pub acknowledged_until: Option<i64>,
    /// Id of its incident.
    pub incident: Option<String>,
}

read_from_row!(AlertLine {
    id,
    rule,
    state,
    severity,
    layer,
    kind,
    rule_id,
    rule_version,
    instance,
    incident_group,
    labels,
    areas,
    reason,
    sensor,
    cell,
    value,
    at,
    fired_at,
    resolved_at,
    acknowledged_at,
    acknowledged_by,
    acknowledged_comment,
    acknowledged_until,
    incident
});

/// A place in the table, newest first.
#[derive(Clone, Debug)]
pub struct LinePlace {
    fired_at: i64,
    id: String,
}

impl Decisions {
    /// The next alerts, newest first, after a place; with the place of the last one when there may be more. At most `most`.
    pub async fn alert_lines(
        &self,
        conditions: &Conditions,
        after: Option<&LinePlace>,
        most: usize,
    ) -> Result<(Vec<AlertLine>, Option<LinePlace>), DecisionsError> {
        let limit = u32::try_from(most).unwrap_or(u32::MAX).min(PAGE);
        let mut all = conditions.clone();
        if let Some(after) = after {
            let place = [Bound::Number(after.fired_at), Bound::Text(after.id.clone())];
            all.add("(fired_at, id) < (?, ?)", place);
        }
        let sql = format!(
            "SELECT id, rule, state, severity, layer, kind, rule_id, rule_version, instance, incident_group, labels, areas, reason,
                sensor, cell, value, at, fired_at, resolved_at, acknowledged_at, acknowledged_by, acknowledged_comment,
                acknowledged_until, incident
               FROM alerts $WHERE ORDER BY fired_at DESC, id DESC LIMIT {limit}"
        );
        let lines: Vec<AlertLine> = all.query(&sql).fetch_all(self.readers()).await?;
        let is_whole_page = lines.len() == limit as usize;
        let next = lines.last().filter(|_| is_whole_page).map(|line| LinePlace {
            fired_at: line.fired_at,
            id: line.id.clone(),
        });
        Ok((lines, next))
    }
}
