//! The history of incidents as it is read.

use std::collections::HashSet;

use serde::Serialize;

use super::super::alerts::as_rfc3339;
use super::super::{Decisions, DecisionsError, PIECE};
use super::list::IncidentReader;
use crate::database::{Connection, read_from_row};

/// A line of the history of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineageRow {
    /// Of which incident.
    #[serde(skip)]
    pub incident: String,
    /// From 1 on.
    pub seq: i64,
    /// When, µs.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: i64,
    /// open, join, absorb, merge, split or close.
    pub kind: String,
    /// The part that merged or split off.
    pub part: Option<i64>,
    /// The parts that it was before.
    pub of: Vec<i64>,
    /// The alert that opened or joined; the incident that was absorbed.
    pub alert: Option<String>,
}

struct StoredLine {
    incident: String,
    seq: i64,
    at: i64,
    kind: String,
    part: Option<i64>,
    parts_before: String,
    about: Option<String>,
}

read_from_row!(StoredLine {
    incident,
    seq,
    at,
    kind,
    part,
    parts_before,
    about
});

struct SeenRow {
    id: String,
    layer: String,
    cell: Option<i64>,
}

read_from_row!(SeenRow { id, layer, cell });

impl StoredLine {
    fn into_row(self) -> Result<LineageRow, DecisionsError> {
        let of = serde_json::from_str(&self.parts_before)
            .map_err(|error| DecisionsError::unreadable("lineage", &error))?;
        Ok(LineageRow {
            incident: self.incident,
            seq: self.seq,
            at: self.at,
            kind: self.kind,
            part: self.part,
            of,
            alert: self.about,
        })
    }
}

impl Decisions {
    /// The history of an incident, oldest first. Who does not see all of its alerts reads only how those joined that are
    /// seen, and when the first of them did: splits and merges would tell where the others are.
    ///
    /// # Errors
    /// The database's.
    pub async fn lineage(
        &self,
        incident: &str,
        reader: IncidentReader<'_>,
    ) -> Result<Vec<LineageRow>, DecisionsError> {
        let alerts: Vec<SeenRow> = sqlx::query_as(
            "SELECT id, layer, cell FROM alerts WHERE incident = $1 OR incident =
                (SELECT merged_into FROM incidents WHERE id = $1)",
        )
        .bind(incident)
        .fetch_all(self.readers())
        .await?;
        let is_seen = |alert: &SeenRow| reader.sees(&alert.layer, alert.cell);
        let lines: Vec<StoredLine> = sqlx::query_as(
            "SELECT incident, seq, at, kind, part, parts_before, about FROM incident_lineage WHERE incident = $1
                ORDER BY seq",
        )
        .bind(incident)
        .fetch_all(self.readers())
        .await?;
        let rows = lines.into_iter().map(StoredLine::into_row);
        let rows: Vec<LineageRow> = rows.collect::<Result<_, _>>()?;
        if alerts.iter().all(is_seen) {
            return Ok(rows);
        }
        let seen: HashSet<&str> = alerts
            .iter()
            .filter(|alert| is_seen(alert))
            .map(|alert| alert.id.as_str())
            .collect();
        let joins = rows.into_iter().filter(|row| {
            row.kind == "join" && row.alert.as_deref().is_some_and(|alert| seen.contains(alert))
        });
        let numbered = joins.zip(1..).map(|(row, seq)| LineageRow { seq, ..row });
        Ok(numbered.collect())
    }
}

/// Forgets a piece of the incidents that are over and have no alert any more.
pub(in super::super) async fn forget_incidents(
    connection: &mut Connection,
    before: i64,
) -> Result<u64, DecisionsError> {
    let old: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM incidents WHERE state <> 'open' AND closed_at < $1
            AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.incident = incidents.id)
            AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.incident = incidents.merged_into) LIMIT $2",
    )
    .bind(before)
    .bind(PIECE)
    .fetch_all(&mut *connection)
    .await?;
    for id in &old {
        for sql in [
            "DELETE FROM incident_lineage WHERE incident = $1",
            "DELETE FROM incident_notices WHERE incident = $1",
            "DELETE FROM incidents WHERE id = $1",
        ] {
            sqlx::query(sql).bind(id).execute(&mut *connection).await?;
        }
    }
    Ok(old.len() as u64)
}
