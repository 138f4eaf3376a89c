//! The SQL table `incident_lineage`.

use std::sync::Arc;

use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::tables::stored::{
    self, Asked, Column, Comparison, Pages, StoredTable, Test, Value, Values,
};
use riskgrid_ingest::EventTime;

use super::is_layer_and_cell_seen;
use crate::alerts::store::{Decisions, IncidentPlace, IncidentQuery, IncidentReader, LineageRow};

/// Incidents whose lines are read at once.
const PAGE: u32 = 100;

/// The table as it is at `now`, for one query, with the rows that `seen` shows.
pub(crate) fn incident_lineage_table(
    decisions: Decisions,
    seen: Arc<Permission>,
    now: EventTime,
) -> StoredTable<LineageRow> {
    StoredTable::new("incident_lineage", columns(), move |asked| {
        pages(decisions.clone(), Arc::clone(&seen), now, incident_of(asked))
    })
}

fn columns() -> Vec<Column<LineageRow>> {
    let column = |name, comment, values: Values<LineageRow>| Column {
        name,
        comment,
        values,
    };
    vec![
        column("incident", "the incident's id", Values::Text(|row| &row.incident)),
        column("seq", "from 1 on", Values::Whole(|row| row.seq)),
        column("at", "when", Values::Time(|row| EventTime::from_micros(row.at))),
        column(
            "kind",
            "open, join, absorb, merge, split or close",
            Values::Text(|row| &row.kind),
        ),
        column(
            "part",
            "the part that merged or split off",
            Values::WholeOrNull(|row| row.part),
        ),
        column(
            "of",
            "the parts that it was before",
            Values::WholeList(|row| &row.of),
        ),
        column(
            "alert",
            "the alert that opened or joined; the incident that was absorbed",
            Values::TextOrNull(|row| row.alert.as_deref()),
        ),
    ]
}

/// The one incident that a query asks for.
fn incident_of(asked: &Asked) -> Option<String> {
    asked
        .conditions
        .iter()
        .find_map(|condition| match &condition.test {
            Test::Compares(Comparison::Equal, Value::Text(id)) if condition.column == "incident" => {
                Some(id.clone())
            }
            _ => None,
        })
}

fn pages(
    decisions: Decisions,
    seen: Arc<Permission>,
    now: EventTime,
    only: Option<String>,
) -> Pages<LineageRow> {
    stored::pages(move |after: Option<IncidentPlace>| {
        let (decisions, seen, only) = (decisions.clone(), Arc::clone(&seen), only.clone());
        async move {
            let reader = IncidentReader {
                sees: &|layer, cell| is_layer_and_cell_seen(&seen, layer, cell),
                sees_all: seen.has_all_layers() && seen.has_all_areas(),
                now: now.micros(),
            };
            let (incidents, next) = if let Some(id) = only {
                (decisions.incident(&id, reader).await?.into_iter().collect(), None)
            } else {
                let query = IncidentQuery {
                    limit: PAGE,
                    after,
                    ..IncidentQuery::default()
                };
                decisions.incidents(&query, reader).await?
            };
            let mut rows = Vec::new();
            for incident in incidents {
                rows.extend(decisions.lineage(&incident.id, reader).await?);
            }
            Ok((rows, next))
        }
    })
}
