//! The SQL tables `deliveries` and `attempts`.

use riskgrid_analytics::tables::stored::{Column, StoredTable, Values, pages};
use riskgrid_ingest::EventTime;

use crate::alerts::store::{AttemptRow, Decisions, DeliveryRow};

/// Rows of one reading.
const PAGE: u32 = 1_000;

/// What receivers are told, for one query.
pub(crate) fn deliveries_table(decisions: Decisions) -> StoredTable<DeliveryRow> {
    StoredTable::new("deliveries", delivery_columns(), move |_| {
        let decisions = decisions.clone();
        pages(move |after| {
            let decisions = decisions.clone();
            async move {
                let rows = decisions.all_deliveries(after, PAGE).await?;
                let is_whole = rows.len() == PAGE as usize;
                let next = rows.last().filter(|_| is_whole).map(|row| row.seq);
                Ok((rows, next))
            }
        })
    })
}

/// What became of each attempt, for one query.
pub(crate) fn attempts_table(decisions: Decisions) -> StoredTable<AttemptRow> {
    StoredTable::new("attempts", attempt_columns(), move |_| {
        let decisions = decisions.clone();
        pages(move |after: Option<(String, i64)>| {
            let decisions = decisions.clone();
            async move {
                let rows = decisions.all_attempts(after.as_ref(), PAGE).await?;
                let is_whole = rows.len() == PAGE as usize;
                let last = rows.last().filter(|_| is_whole);
                let next = last.map(|row| (row.delivery.clone(), row.number));
                Ok((rows, next))
            }
        })
    })
}

fn time(micros: i64) -> EventTime {
    EventTime::from_micros(micros)
}

fn delivery_columns() -> Vec<Column<DeliveryRow>> {
    let column = |name, comment, values: Values<DeliveryRow>| Column {
        name,
        comment,
        values,
    };
    vec![
        column("id", "the webhook-id", Values::Text(|row| &row.id)),
        column("webhook", "id of the webhook", Values::Text(|row| &row.webhook)),
        column(
            "incident",
            "the incident that it is about",
            Values::TextOrNull(|row| row.incident.as_deref()),
        ),
        column(
            "alert",
            "the alert, where it tells of one change",
            Values::TextOrNull(|row| row.alert.as_deref()),
        ),
        column(
            "number",
            "of the alert's transition",
            Values::WholeOrNull(|row| row.number),
        ),
        column(
            "message",
            "of the incident's messages to the webhook",
            Values::WholeOrNull(|row| row.message),
        ),
        column(
            "changes",
            "how many changes it tells of",
            Values::Whole(|row| row.changes),
        ),
        column(
            "type",
            "alert.firing, alert.resolved, incident.changed, …",
            Values::Text(|row| &row.r#type),
        ),
        column(
            "state",
            "open, pending, delivered or dead",
            Values::Text(|row| &row.state),
        ),
        column(
            "attempts",
            "since it was queued or replayed",
            Values::Whole(|row| row.attempts),
        ),
        column(
            "next_attempt_at",
            "when it is tried next, while it is to be",
            Values::Time(|row| time(row.next_attempt_at)),
        ),
        column(
            "created_at",
            "when it was decided",
            Values::Time(|row| time(row.created_at)),
        ),
        column(
            "sealed_at",
            "since when its bytes are fixed",
            Values::TimeOrNull(|row| row.sealed_at.map(time)),
        ),
        column(
            "delivered_at",
            "when the receiver had it",
            Values::TimeOrNull(|row| row.delivered_at.map(time)),
        ),
        column(
            "status",
            "HTTP status of the newest attempt",
            Values::WholeOrNull(|row| row.status),
        ),
        column(
            "error",
            "why the newest attempt did not deliver it",
            Values::TextOrNull(|row| row.error.as_deref()),
        ),
        column(
            "truncated",
            "whether something was left out of it",
            Values::YesOrNo(|row| row.truncated != 0),
        ),
    ]
}

fn attempt_columns() -> Vec<Column<AttemptRow>> {
    let column = |name, comment, values: Values<AttemptRow>| Column {
        name,
        comment,
        values,
    };
    vec![
        column("delivery", "the webhook-id", Values::Text(|row| &row.delivery)),
        column("number", "from 1 on", Values::Whole(|row| row.number)),
        column("at", "when", Values::Time(|row| time(row.at))),
        column("status", "HTTP status", Values::WholeOrNull(|row| row.status)),
        column(
            "latency_ms",
            "from the request to the answer",
            Values::Whole(|row| row.latency_ms),
        ),
        column(
            "error",
            "why it was not delivered",
            Values::TextOrNull(|row| row.error.as_deref()),
        ),
    ]
}
