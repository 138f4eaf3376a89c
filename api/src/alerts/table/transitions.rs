//! The SQL table `transitions`.

use std::sync::Arc;

use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::tables::stored::{
    self, Asked, Column, Comparison, Pages, StoredTable, Test, Value, Values,
};
use riskgrid_ingest::EventTime;

use super::is_layer_and_cell_seen;
use crate::alerts::store::{Decisions, TransitionLine};

/// The table, for one query, with the rows that `seen` shows.
pub(crate) fn transitions_table(decisions: Decisions, seen: Arc<Permission>) -> StoredTable<TransitionLine> {
    StoredTable::new("transitions", columns(), move |asked| {
        pages(decisions.clone(), Arc::clone(&seen), alert_of(asked))
    })
}

fn columns() -> Vec<Column<TransitionLine>> {
    let column = |name, comment, values: Values<TransitionLine>| Column {
        name,
        comment,
        values,
    };
    vec![
        column("alert", "the alert's id", Values::Text(|line| &line.alert)),
        column("number", "1 is the firing", Values::Whole(|line| line.number)),
        column(
            "kind",
            "firing, updated, acknowledged, unacknowledged, resolved, expired or retracted",
            Values::Text(|line| &line.kind),
        ),
        column("at", "when", Values::Time(|line| EventTime::from_micros(line.at))),
        column(
            "value",
            "the value that decided",
            Values::Number(|line| line.value),
        ),
        column("evidence", "why, as JSON", Values::Text(|line| &line.evidence)),
        column(
            "recorded_at",
            "when it was stored",
            Values::Time(|line| EventTime::from_micros(line.recorded_at)),
        ),
        column(
            "notify",
            "whether receivers are told, or why not",
            Values::Text(|line| &line.notify),
        ),
        column("severity", "of the alert", Values::Text(|line| &line.severity)),
        column(
            "reason",
            "why it ended, where the data did not end it",
            Values::TextOrNull(|line| line.reason.as_deref()),
        ),
        column(
            "by",
            "who made it, where somebody did",
            Values::TextOrNull(|line| line.made_by.as_deref()),
        ),
        column(
            "comment",
            "what they said to it",
            Values::TextOrNull(|line| line.comment.as_deref()),
        ),
        column(
            "until",
            "until when they took it",
            Values::TimeOrNull(|line| line.until.map(EventTime::from_micros)),
        ),
    ]
}

/// The one alert that a query asks for.
fn alert_of(asked: &Asked) -> Option<String> {
    asked
        .conditions
        .iter()
        .find_map(|condition| match &condition.test {
            Test::Compares(Comparison::Equal, Value::Text(id)) if condition.column == "alert" => {
                Some(id.clone())
            }
            _ => None,
        })
}

fn pages(decisions: Decisions, seen: Arc<Permission>, only: Option<String>) -> Pages<TransitionLine> {
    stored::pages(move |after: Option<(String, i64)>| {
        let (decisions, seen, only) = (decisions.clone(), Arc::clone(&seen), only.clone());
        async move {
            let mut lines = decisions
                .transition_lines(only.as_deref(), after.as_ref())
                .await?;
            let next = lines.last().map(|line| (line.alert.clone(), line.number));
            lines
                .retain(|line| is_layer_and_cell_seen(&seen, &line.layer, line.cell.map(i64::cast_unsigned)));
            Ok((lines, next))
        }
    })
}
