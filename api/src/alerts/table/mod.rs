//! The SQL tables of the wing, a file each, and here `alerts`. Rows are read page by page from the database when a query runs
//! that scans them.

mod deliveries;
mod incidents;
mod lineage;
mod rules;
mod silences;
mod transitions;

use std::sync::Arc;

use h3o::CellIndex;
use riskgrid_analytics::permission::{Permission, Role};
use riskgrid_analytics::rules::Audience;
use riskgrid_analytics::tables::stored::{self, Column, Pages, StoredTable, Values};
use riskgrid_ingest::EventTime;

pub(crate) use deliveries::{attempts_table, deliveries_table};
pub(crate) use incidents::incidents_table;
pub(crate) use lineage::incident_lineage_table;
pub(crate) use rules::rules_table;
pub(crate) use silences::silences_table;
pub(crate) use transitions::transitions_table;

use crate::alerts::store::{AlertLine, Decisions, LinePlace};
use crate::database::Conditions;

/// The table, for one query, with the rows that `seen` shows.
pub(crate) fn alerts_table(decisions: Decisions, seen: Arc<Permission>) -> StoredTable<AlertLine> {
    StoredTable::new("alerts", columns(), move |asked| {
        let asked = (
            Conditions::of(asked, |column| Some(stored_as(column))),
            asked.most,
        );
        pages(decisions.clone(), Arc::clone(&seen), asked)
    })
}

fn layer_of(layer: &str) -> Option<&str> {
    Some(layer).filter(|layer| !layer.is_empty())
}

/// The table of the public: what of the alerts for it is shown to it.
pub(crate) fn public_alerts_table(decisions: Decisions) -> StoredTable<AlertLine> {
    let mut columns = columns();
    columns.retain(|column| PUBLIC_COLUMNS.contains(&column.name));
    let everything = Arc::new(Permission::admin());
    StoredTable::new("alerts", columns, move |asked| {
        let mut conditions = Conditions::of(asked, |column| Some(stored_as(column)));
        conditions.has("audience", Some(Audience::Public.name()));
        pages(
            decisions.clone(),
            Arc::clone(&everything),
            (conditions, asked.most),
        )
    })
}

/// Whether staff of these rights see what is told of a layer in a cell.
pub(crate) fn is_layer_and_cell_seen(seen: &Permission, layer: &str, cell: Option<u64>) -> bool {
    seen.admits_layer(layer_of(layer)) && seen.admits_centre_of(cell)
}

/// Whether an alert of this layer and cell is seen. Of the public it is not asked where: an alert is for it or is not.
pub(crate) fn is_alert_seen(
    seen: &Permission,
    (layer, cell): (Option<&str>, Option<u64>),
    audience: Audience,
) -> bool {
    match seen.role() {
        Role::Public => audience == Audience::Public,
        _ => is_layer_and_cell_seen(seen, layer.unwrap_or_default(), cell),
    }
}

/// What the public sees of an alert.
const PUBLIC_COLUMNS: [&str; 7] = ["id", "rule", "state", "severity", "layer", "cell", "at"];

fn columns() -> Vec<Column<AlertLine>> {
    let column = |name, comment, values: Values<AlertLine>| Column {
        name,
        comment,
        values,
    };
    vec![
        column("id", "the episode's id", Values::Text(|line| &line.id)),
        column("rule", "name of the rule", Values::Text(|line| &line.rule)),
        column(
            "state",
            "firing, acknowledged, resolved or expired",
            Values::Text(|line| &line.state),
        ),
        column(
            "severity",
            "minor, moderate, major or critical",
            Values::Text(|line| &line.severity),
        ),
        column(
            "layer",
            "layer of the rule, where it watches one",
            Values::TextOrNull(|line| layer_of(&line.layer)),
        ),
        column("kind", "kind of the rule", Values::Text(|line| &line.kind)),
        column("rule_id", "id of the rule", Values::Text(|line| &line.rule_id)),
        column(
            "rule_version",
            "version of the rule as it began",
            Values::Whole(|line| line.rule_version),
        ),
        column(
            "instance",
            "what it is known by within its rule",
            Values::Text(|line| &line.instance),
        ),
        column(
            "group",
            "what it is gathered in incidents by",
            Values::Text(|line| &line.incident_group),
        ),
        column(
            "labels",
            "of the rule, as JSON",
            Values::Text(|line| &line.labels),
        ),
        column(
            "areas",
            "ids of the areas that hold its place, as a JSON list",
            Values::Text(|line| &line.areas),
        ),
        column(
            "reason",
            "why it ended, where the data did not end it",
            Values::TextOrNull(|line| line.reason.as_deref()),
        ),
        column(
            "sensor",
            "the sensor, for rules per sensor",
            Values::TextOrNull(|line| line.sensor.as_deref()),
        ),
        column(
            "cell",
            "the cell, or the one that the sensor stands in",
            Values::CellOrNull(|line| CellIndex::try_from(line.cell?.cast_unsigned()).ok()),
        ),
        column(
            "value",
            "the value that decided last",
            Values::Number(|line| line.value),
        ),
        column(
            "at",
            "event time of the last change",
            Values::Time(|line| EventTime::from_micros(line.at)),
        ),
        column(
            "fired_at",
            "event time of the firing",
            Values::Time(|line| EventTime::from_micros(line.fired_at)),
        ),
        column(
            "resolved_at",
            "event time of the end",
            Values::TimeOrNull(|line| line.resolved_at.map(EventTime::from_micros)),
        ),
        column(
            "acknowledged_at",
            "when it was acknowledged",
            Values::TimeOrNull(|line| line.acknowledged_at.map(EventTime::from_micros)),
        ),
        column(
            "acknowledged_by",
            "who acknowledged it",
            Values::TextOrNull(|line| line.acknowledged_by.as_deref()),
        ),
        column(
            "acknowledged_comment",
            "what they said to it",
            Values::TextOrNull(|line| line.acknowledged_comment.as_deref()),
        ),
        column(
            "acknowledged_until",
            "until when they took it",
            Values::TimeOrNull(|line| line.acknowledged_until.map(EventTime::from_micros)),
        ),
        column(
            "incident",
            "the incident that it is part of",
            Values::TextOrNull(|line| line.incident.as_deref()),
        ),
    ]
}

fn pages(
    decisions: Decisions,
    seen: Arc<Permission>,
    (conditions, most): (Conditions, Option<usize>),
) -> Pages<AlertLine> {
    let conditions = Arc::new(conditions);
    stored::pages(move |next: Option<(LinePlace, usize)>| {
        let (decisions, conditions) = (decisions.clone(), Arc::clone(&conditions));
        let seen = Arc::clone(&seen);
        async move {
            let (after, left) = next.unzip();
            let left = left.or(most).unwrap_or(usize::MAX);
            let (mut lines, next) = decisions.alert_lines(&conditions, after.as_ref(), left).await?;
            lines.retain(|line| is_line_seen(&seen, line));
            let left = left.saturating_sub(lines.len());
            let next = next.filter(|_| left > 0).map(|place| (place, left));
            Ok((lines, next))
        }
    })
}

/// Rows of the public were asked for by their audience.
fn is_line_seen(seen: &Permission, line: &AlertLine) -> bool {
    let place = (layer_of(&line.layer), line.cell.map(i64::cast_unsigned));
    is_alert_seen(seen, place, Audience::Staff)
}

/// `group` is a word of SQL.
fn stored_as(column: &'static str) -> &'static str {
    if column == "group" {
        "incident_group"
    } else {
        column
    }
}

#[cfg(test)]
mod tests;
