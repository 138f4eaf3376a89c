//! The SQL table `incidents`.

use std::sync::Arc;

use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::tables::stored::{
    self, Asked, Column, Comparison, Pages, StoredTable, Test, Value, Values,
};
use riskgrid_ingest::EventTime;

use super::is_layer_and_cell_seen;
use crate::alerts::store::{
    Decisions, Incident, IncidentPlace, IncidentQuery, IncidentReader, IncidentState,
};

/// Incidents of one reading.
const PAGE: u32 = 100;

/// The table as it is at `now`, for one query, with the rows that `seen` shows.
pub(crate) fn incidents_table(
    decisions: Decisions,
    seen: Arc<Permission>,
    now: EventTime,
) -> StoredTable<Incident> {
    StoredTable::new("incidents", columns(), move |asked| {
        pages(decisions.clone(), Arc::clone(&seen), now, state_of(asked))
    })
}

fn columns() -> Vec<Column<Incident>> {
    let column = |name, comment, values: Values<Incident>| Column {
        name,
        comment,
        values,
    };
    vec![
        column("id", "the incident's id", Values::Text(|row| &row.id)),
        column(
            "group",
            "what its alerts have in common: a hazard group, a layer or a rule",
            Values::Text(|row| &row.group),
        ),
        column(
            "state",
            "open, closed or merged",
            Values::Text(|row| row.state.name()),
        ),
        column(
            "severity",
            "the highest of its open alerts",
            Values::TextOrNull(|row| row.severity.as_deref()),
        ),
        column(
            "opened_at",
            "when it began",
            Values::Time(|row| EventTime::from_micros(row.opened_at)),
        ),
        column(
            "ended_at",
            "when the last of its alerts ended",
            Values::TimeOrNull(|row| row.ended_at.map(EventTime::from_micros)),
        ),
        column(
            "closed_at",
            "when it closed, or was absorbed",
            Values::TimeOrNull(|row| row.closed_at.map(EventTime::from_micros)),
        ),
        column(
            "alerts",
            "how many alerts it has",
            Values::Whole(|row| row.alerts),
        ),
        column("open", "how many of them are open", Values::Whole(|row| row.open)),
        column(
            "acknowledged",
            "how many of them somebody has taken",
            Values::Whole(|row| row.acknowledged),
        ),
        column(
            "cells",
            "its places at the incidents' resolution",
            Values::CellList(|row| &row.cells),
        ),
        column(
            "areas",
            "ids of the areas that hold one of its alerts",
            Values::TextList(|row| &row.areas),
        ),
        column(
            "merged_into",
            "the incident that absorbed it",
            Values::TextOrNull(|row| row.merged_into.as_deref()),
        ),
        column(
            "joint",
            "the incident of several installations that it is part of",
            Values::TextOrNull(|row| row.joint.as_deref()),
        ),
    ]
}

/// The one state that a query asks for.
fn state_of(asked: &Asked) -> Option<IncidentState> {
    let wanted = asked
        .conditions
        .iter()
        .find_map(|condition| match &condition.test {
            Test::Compares(Comparison::Equal, Value::Text(state)) if condition.column == "state" => {
                Some(state)
            }
            _ => None,
        });
    IncidentState::from_name(wanted?)
}

fn pages(
    decisions: Decisions,
    seen: Arc<Permission>,
    now: EventTime,
    state: Option<IncidentState>,
) -> Pages<Incident> {
    stored::pages(move |after: Option<IncidentPlace>| {
        let (decisions, seen) = (decisions.clone(), Arc::clone(&seen));
        async move {
            let query = IncidentQuery {
                state,
                limit: PAGE,
                after,
                ..IncidentQuery::default()
            };
            let reader = IncidentReader {
                sees: &|layer, cell| is_layer_and_cell_seen(&seen, layer, cell),
                sees_all: seen.has_all_layers() && seen.has_all_areas(),
                now: now.micros(),
            };
            let (incidents, next) = decisions.incidents(&query, reader).await?;
            Ok((incidents, next))
        }
    })
}
