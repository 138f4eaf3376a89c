//! The SQL table `silences`.

use std::sync::Arc;

use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::tables::stored::{self, Column, Pages, StoredTable, Values};
use riskgrid_ingest::EventTime;
use serde_json::json;

use crate::alerts::store::{Decisions, SilencePlace, StoredSilence};

/// Silences of one reading.
const PAGE: u32 = 1_000;

/// One row.
pub(crate) struct SilenceLine {
    id: String,
    state: &'static str,
    matches: String,
    place: Option<String>,
    starts_at: EventTime,
    ends_at: EventTime,
    by: String,
    comment: String,
    held: i64,
}

impl SilenceLine {
    fn of(stored: StoredSilence, now: EventTime) -> Self {
        Self {
            state: stored.state(now),
            id: stored.id,
            matches: json!(stored.silence.matches).to_string(),
            place: stored.silence.place.map(|place| json!(place).to_string()),
            starts_at: stored.silence.starts_at,
            ends_at: stored.silence.ends_at,
            by: stored.silence.by,
            comment: stored.silence.comment,
            held: stored.held,
        }
    }
}

/// The table as it is at `now`, for one query, with the rows that `seen` shows.
pub(crate) fn silences_table(
    decisions: Decisions,
    seen: Arc<Permission>,
    now: EventTime,
) -> StoredTable<SilenceLine> {
    StoredTable::new("silences", columns(), move |_| {
        pages(decisions.clone(), Arc::clone(&seen), now)
    })
}

fn columns() -> Vec<Column<SilenceLine>> {
    let column = |name, comment, values: Values<SilenceLine>| Column {
        name,
        comment,
        values,
    };
    vec![
        column("id", "the silence's id", Values::Text(|line| &line.id)),
        column(
            "state",
            "pending, active or ended",
            Values::Text(|line| line.state),
        ),
        column(
            "match",
            "what alerts must be, as JSON",
            Values::Text(|line| &line.matches),
        ),
        column(
            "place",
            "where they must lie, as JSON",
            Values::TextOrNull(|line| line.place.as_deref()),
        ),
        column("starts_at", "from when on", Values::Time(|line| line.starts_at)),
        column("ends_at", "until when", Values::Time(|line| line.ends_at)),
        column("by", "who made it", Values::Text(|line| &line.by)),
        column("comment", "why", Values::Text(|line| &line.comment)),
        column(
            "held",
            "beginnings of alerts that it held back",
            Values::Whole(|line| line.held),
        ),
    ]
}

/// There are few, so conditions are left to the query.
fn pages(decisions: Decisions, seen: Arc<Permission>, now: EventTime) -> Pages<SilenceLine> {
    stored::pages(move |after: Option<SilencePlace>| {
        let (decisions, seen) = (decisions.clone(), Arc::clone(&seen));
        async move {
            let (mut silences, next) = decisions.silences(after.as_ref(), PAGE).await?;
            silences.retain(|stored| stored.silence.is_within(&seen));
            let lines: Vec<SilenceLine> = silences
                .into_iter()
                .map(|stored| SilenceLine::of(stored, now))
                .collect();
            Ok((lines, next))
        }
    })
}
