//! `case_moves`, `case_clocks` and `case_assessed`: rows of cases that are seen.

use std::collections::HashSet;
use std::sync::Arc;

use riskgrid_analytics::tables::stored::{self, Asked, Column, Pages, StoredTable, Values};
use riskgrid_ingest::EventTime;

use super::Reader;
use crate::database::{Bound, Conditions};
use crate::hotline::desk::Desk;
use crate::hotline::store::{AssessedRow, ClockRow, Line, MoveRow, cases_of, lines};

const fn column<R>(name: &'static str, comment: &'static str, values: Values<R>) -> Column<R> {
    Column {
        name,
        comment,
        values,
    }
}

fn time(at: i64) -> EventTime {
    EventTime::from_micros(at)
}

/// `case_moves`.
pub(super) fn moves(desk: Arc<Desk>, reader: Reader) -> StoredTable<MoveRow> {
    let columns = vec![
        column("case_id", "the case", Values::Text(|row: &MoveRow| &row.case_id)),
        column("seq", "1 is the row that made it", Values::Whole(|row| row.seq)),
        column(
            "move",
            "open, or a move of the table",
            Values::Text(|row| &row.r#move),
        ),
        column(
            "from_state",
            "empty of the first",
            Values::Text(|row| &row.from_state),
        ),
        column("to_state", "where it led", Values::Text(|row| &row.to_state)),
        column("at", "when", Values::Time(|row| time(row.at))),
        column("actor", "who", Values::Text(|row| &row.actor)),
        column("duty", "as what", Values::Text(|row| &row.duty)),
        column(
            "office",
            "whose it was then",
            Values::TextOrNull(|row| row.office.as_deref()),
        ),
        column(
            "text_id",
            "what was said, by its id",
            Values::TextOrNull(|row| row.text_id.as_deref()),
        ),
        column("data", "what else it says, JSON", Values::Text(|row| &row.data)),
        column(
            "hash",
            "of the row before and all else of this one",
            Values::Text(|row| &row.hash),
        ),
    ];
    table("case_moves", columns, desk, reader)
}

/// `case_clocks`.
pub(super) fn clocks(desk: Arc<Desk>, reader: Reader) -> StoredTable<ClockRow> {
    let columns = vec![
        column("case_id", "the case", Values::Text(|row: &ClockRow| &row.case_id)),
        column(
            "name",
            "accept, dispatch, return, respond, handle, citizen, call_back",
            Values::Text(|row| &row.name),
        ),
        column(
            "generation",
            "which of this name",
            Values::Whole(|row| row.generation),
        ),
        column(
            "revision",
            "how often it was computed",
            Values::Whole(|row| row.revision),
        ),
        column(
            "office",
            "whose it was at its start",
            Values::TextOrNull(|row| row.office.as_deref()),
        ),
        column("rule", "the rule that it follows", Values::Text(|row| &row.rule)),
        column("spec", "what that says, JSON", Values::Text(|row| &row.spec)),
        column(
            "calendar_version",
            "of the calendar in the rule",
            Values::WholeOrNull(|row| row.calendar_version),
        ),
        column(
            "start_at",
            "when it began",
            Values::Time(|row| time(row.start_at)),
        ),
        column(
            "due_at",
            "in time is what comes before",
            Values::Time(|row| time(row.due_at)),
        ),
        column(
            "yellow_at",
            "when it turns yellow",
            Values::TimeOrNull(|row| row.yellow_at.map(time)),
        ),
        column(
            "red_at",
            "when it turns red",
            Values::TimeOrNull(|row| row.red_at.map(time)),
        ),
        column(
            "next_at",
            "when it is looked at",
            Values::TimeOrNull(|row| row.next_at.map(time)),
        ),
        column(
            "state",
            "running, paused, stopped",
            Values::Text(|row| &row.state),
        ),
        column("pauses", "from and to, µs, JSON", Values::Text(|row| &row.pauses)),
        column(
            "extended",
            "in the unit of its term",
            Values::Whole(|row| row.extended),
        ),
        column("card", "none, yellow, red", Values::Text(|row| &row.card)),
        column("steps", "who was told, JSON", Values::Text(|row| &row.steps)),
        column(
            "provisional",
            "1: the calendar ends before",
            Values::Whole(|row| row.provisional),
        ),
        column(
            "stopped_at",
            "when it was stopped",
            Values::TimeOrNull(|row| row.stopped_at.map(time)),
        ),
        column(
            "stop",
            "by which move",
            Values::TextOrNull(|row| row.stop.as_deref()),
        ),
    ];
    table("case_clocks", columns, desk, reader)
}

/// `case_assessed`.
pub(super) fn assessed(desk: Arc<Desk>, reader: Reader) -> StoredTable<AssessedRow> {
    let columns = vec![
        column("month", "of due", Values::Text(|row: &AssessedRow| &row.month)),
        column("office", "whose it was", Values::Text(|row| &row.office)),
        column("case_id", "the case", Values::Text(|row| &row.case_id)),
        column(
            "generation",
            "of its clock handle",
            Values::Whole(|row| row.generation),
        ),
        column("due_at", "its due", Values::Time(|row| time(row.due_at))),
        column(
            "out",
            "why it does not count",
            Values::TextOrNull(|row| row.out.as_deref()),
        ),
        column(
            "responded",
            "1: it was started in time",
            Values::Whole(|row| row.responded),
        ),
        column(
            "replied_at",
            "when it was replied",
            Values::TimeOrNull(|row| row.replied_at.map(time)),
        ),
        column(
            "resolved",
            "what the caller says",
            Values::TextOrNull(|row| row.resolved.as_deref()),
        ),
        column("rating", "1 to 5", Values::WholeOrNull(|row| row.rating)),
    ];
    table("case_assessed", columns, desk, reader)
}

fn table<L: Line + Sync>(
    name: &'static str,
    columns: Vec<Column<L>>,
    desk: Arc<Desk>,
    reader: Reader,
) -> StoredTable<L> {
    StoredTable::new(name, columns, move |asked| {
        pages(Arc::clone(&desk), reader.clone(), asked)
    })
}

fn pages<L: Line + Sync>(desk: Arc<Desk>, reader: Reader, asked: &Asked) -> Pages<L> {
    let conditions = Arc::new(Conditions::of(asked, Some));
    stored::pages(move |after: Option<Vec<Bound>>| {
        let (desk, reader, conditions) = (Arc::clone(&desk), reader.clone(), Arc::clone(&conditions));
        async move {
            let mut connection = desk.reader().await?;
            let mut rows: Vec<L> = lines(&mut connection, &conditions, after.as_deref(), usize::MAX).await?;
            let is_whole = rows.len() == crate::hotline::store::PAGE;
            let next = rows.last().filter(|_| is_whole).map(Line::place);
            let mut ids: Vec<&str> = rows.iter().map(Line::case_id).collect();
            ids.dedup();
            let cases = if ids.is_empty() {
                Vec::new()
            } else {
                cases_of(&mut connection, &ids).await?
            };
            let seen: HashSet<&str> = cases
                .iter()
                .filter(|case| reader.sees(case))
                .map(|case| case.id.as_str())
                .collect();
            rows.retain(|row| seen.contains(row.case_id()));
            Ok((rows, next))
        }
    })
}
