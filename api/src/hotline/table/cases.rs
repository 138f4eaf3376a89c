//! `cases`: with how their clocks stand. Not where the words of callers could be.

use std::collections::HashMap;
use std::sync::Arc;

use h3o::CellIndex;
use riskgrid_analytics::tables::stored::{self, Asked, Column, Pages, StoredTable, Values};
use riskgrid_ingest::EventTime;

use super::Reader;
use crate::database::{Bound, Conditions};
use crate::hotline::desk::{Desk, Risks};
use crate::hotline::store::{CaseRow, ClockRow, Line, PAGE, clocks_of_all, lines};

/// Columns that the store has not.
const MADE: [&str; 3] = ["due", "card", "breach_risk"];

/// A case and the clock that counts.
#[derive(Clone, Debug)]
pub(super) struct CaseLine {
    case: CaseRow,
    due: Option<EventTime>,
    card: String,
    breach_risk: Option<f64>,
}

pub(super) fn table(desk: Arc<Desk>, reader: Reader) -> StoredTable<CaseLine> {
    StoredTable::new("cases", columns(), move |asked| {
        pages(Arc::clone(&desk), reader.clone(), asked)
    })
}

fn columns() -> Vec<Column<CaseLine>> {
    let column = |name, comment, values: Values<CaseLine>| Column {
        name,
        comment,
        values,
    };
    vec![
        column(
            "id",
            "26 digits that follow from source and report",
            Values::Text(|line| &line.case.id),
        ),
        column(
            "number",
            "by which people know it",
            Values::Text(|line| &line.case.number),
        ),
        column(
            "version",
            "the number of its newest move",
            Values::Whole(|line| line.case.version),
        ),
        column("state", "where it stands", Values::Text(|line| &line.case.state)),
        column("mode", "own or mirror", Values::Text(|line| &line.case.mode)),
        column(
            "source",
            "whose report it is",
            Values::Text(|line| &line.case.source),
        ),
        column("report", "which", Values::Text(|line| &line.case.report)),
        column(
            "kind",
            "inquiry, help, suggestion, complaint, tip_off, other",
            Values::Text(|line| &line.case.kind),
        ),
        column("layer", "its layer", Values::Text(|line| &line.case.layer)),
        column(
            "severity",
            "0 unknown to 4 critical",
            Values::Whole(|line| line.case.severity),
        ),
        column("channel", "how it came", Values::Text(|line| &line.case.channel)),
        column("lon", "degrees east", Values::NumberOrNull(|line| line.case.lon)),
        column("lat", "degrees north", Values::NumberOrNull(|line| line.case.lat)),
        column(
            "cell",
            "the base cell",
            Values::CellOrNull(|line| CellIndex::try_from(line.case.cell?.cast_unsigned()).ok()),
        ),
        column(
            "place_quality",
            "exact, street, area, unlocated",
            Values::Text(|line| &line.case.place_quality),
        ),
        column(
            "areas",
            "ids of the areas, JSON",
            Values::Text(|line| &line.case.areas),
        ),
        column(
            "office",
            "whose it is",
            Values::TextOrNull(|line| line.case.office.as_deref()),
        ),
        column(
            "duty_version",
            "of the duty table that said so",
            Values::WholeOrNull(|line| line.case.duty_version),
        ),
        column(
            "duty_rule",
            "its row",
            Values::TextOrNull(|line| line.case.duty_rule.as_deref()),
        ),
        column(
            "excluded",
            "offices that returned it, JSON",
            Values::Text(|line| &line.case.excluded),
        ),
        column(
            "returns",
            "how often it was returned",
            Values::Whole(|line| line.case.returns),
        ),
        column(
            "parent",
            "into which it is merged",
            Values::TextOrNull(|line| line.case.parent.as_deref()),
        ),
        column(
            "split_of",
            "from which it was split",
            Values::TextOrNull(|line| line.case.split_of.as_deref()),
        ),
        column(
            "round",
            "1, and 1 more for each redo",
            Values::Whole(|line| line.case.round),
        ),
        column(
            "paused_at",
            "since when it is paused",
            Values::TimeOrNull(|line| line.case.paused_at.map(EventTime::from_micros)),
        ),
        column(
            "result",
            "resolved, explained, unfounded",
            Values::TextOrNull(|line| line.case.result.as_deref()),
        ),
        column(
            "observed",
            "whether its event is in the log: pending, yes, no",
            Values::Text(|line| &line.case.observed),
        ),
        column(
            "opened_at",
            "when it was reported",
            Values::Time(|line| EventTime::from_micros(line.case.opened_at)),
        ),
        column(
            "updated_at",
            "when it was moved last",
            Values::Time(|line| EventTime::from_micros(line.case.updated_at)),
        ),
        column(
            "closed_at",
            "when it was closed, withdrawn or declined",
            Values::TimeOrNull(|line| line.case.closed_at.map(EventTime::from_micros)),
        ),
        column(
            "due",
            "of handle, else citizen",
            Values::TimeOrNull(|line| line.due),
        ),
        column("card", "of the same clock", Values::Text(|line| &line.card)),
        column(
            "breach_risk",
            "how likely handle runs over; NULL once it is stopped",
            Values::NumberOrNull(|line| line.breach_risk),
        ),
    ]
}

fn pages(desk: Arc<Desk>, reader: Reader, asked: &Asked) -> Pages<CaseLine> {
    let conditions = Arc::new(Conditions::of(asked, |column| {
        (!MADE.contains(&column)).then_some(column)
    }));
    let risks = Arc::new(Risks::default());
    stored::pages(move |after: Option<Vec<Bound>>| {
        let (desk, reader, conditions) = (Arc::clone(&desk), reader.clone(), Arc::clone(&conditions));
        let risks = Arc::clone(&risks);
        async move {
            let mut connection = desk.reader().await?;
            let rows: Vec<CaseRow> =
                lines(&mut connection, &conditions, after.as_deref(), usize::MAX).await?;
            let is_whole = rows.len() == PAGE;
            let next = rows.last().filter(|_| is_whole).map(Line::place);
            let rows: Vec<CaseRow> = rows.into_iter().filter(|case| reader.sees(case)).collect();
            let ids: Vec<&str> = rows.iter().map(|case| case.id.as_str()).collect();
            let clocks = if ids.is_empty() {
                Vec::new()
            } else {
                clocks_of_all(&mut connection, &ids).await?
            };
            drop(connection);
            let mut of_case: HashMap<&str, Vec<&ClockRow>> = HashMap::new();
            for clock in &clocks {
                of_case.entry(&clock.case_id).or_default().push(clock);
            }
            let mut made = Vec::with_capacity(rows.len());
            for case in &rows {
                let clocks = of_case
                    .get(case.id.as_str())
                    .map(Vec::as_slice)
                    .unwrap_or_default();
                let newest = |name: &str| clocks.iter().copied().find(|clock| clock.name == name);
                let handle = newest("handle");
                let shown = handle.or_else(|| newest("citizen"));
                let breach_risk = match handle {
                    Some(handle) => desk.breach_risk(handle, &risks).await?,
                    None => None,
                };
                made.push(CaseLine {
                    case: case.clone(),
                    due: shown.map(|clock| EventTime::from_micros(clock.due_at)),
                    card: shown.map_or_else(|| "none".to_owned(), |clock| clock.card.clone()),
                    breach_risk,
                });
            }
            Ok((made, next))
        }
    })
}
