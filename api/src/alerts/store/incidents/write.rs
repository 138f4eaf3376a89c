//! Writes what a group of incidents changed.

use std::sync::Arc;

use riskgrid_analytics::incidents::{Changes, Lineage, LineageKind};
use riskgrid_ingest::EventTime;
use serde_json::json;

use super::super::DecisionsError;
use super::super::grouping::{Absorbed, absorb_messages};
use super::gather::GroupKey;
use crate::database::Connection;

pub(super) async fn store_changes(
    connection: &mut Connection,
    (group, domain): &GroupKey,
    clock: EventTime,
    changes: &Changes,
) -> Result<(), DecisionsError> {
    for line in &changes.lineage {
        store_line(connection, (group, domain), line).await?;
    }
    for (alert, part) in &changes.parts {
        sqlx::query("UPDATE alerts SET part = $2 WHERE id = $1")
            .bind(&**alert)
            .bind(part.map(i64::from))
            .execute(&mut *connection)
            .await?;
    }
    for (incident, next_part) in &changes.next_parts {
        sqlx::query("UPDATE incidents SET next_part = $2 WHERE id = $1")
            .bind(&**incident)
            .bind(i64::from(*next_part))
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("UPDATE incident_groups SET clock = $3 WHERE group_name = $1 AND domain = $2")
        .bind(group)
        .bind(domain)
        .bind(clock.micros())
        .execute(connection)
        .await?;
    Ok(())
}

async fn store_line(
    connection: &mut Connection,
    (group, domain): (&str, &str),
    line: &Lineage,
) -> Result<(), DecisionsError> {
    let at = line.at.micros();
    match (line.kind, line.about.as_ref()) {
        (LineageKind::Open, _) => {
            sqlx::query(
                "INSERT INTO incidents (id, group_name, domain, state, opened_at, next_part)
                    VALUES ($1, $2, $3, 'open', $4, 1)",
            )
            .bind(&*line.incident)
            .bind(group)
            .bind(domain)
            .bind(at)
            .execute(&mut *connection)
            .await?;
        }
        (LineageKind::Join, Some(alert)) => {
            sqlx::query("UPDATE alerts SET incident = $2 WHERE id = $1")
                .bind(&**alert)
                .bind(&*line.incident)
                .execute(&mut *connection)
                .await?;
        }
        (LineageKind::Absorb, Some(other)) => absorb(connection, &line.incident, other, at).await?,
        (LineageKind::Close, _) => {
            sqlx::query("UPDATE incidents SET state = 'closed', closed_at = $2 WHERE id = $1")
                .bind(&*line.incident)
                .bind(at)
                .execute(&mut *connection)
                .await?;
        }
        _ => {}
    }
    sqlx::query(
        "INSERT INTO incident_lineage (incident, seq, at, kind, part, parts_before, about)
            SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5, $6 FROM incident_lineage WHERE incident = $1",
    )
    .bind(&*line.incident)
    .bind(at)
    .bind(line.kind.name())
    .bind(line.part.map(i64::from))
    .bind(json!(line.of).to_string())
    .bind(line.about.as_deref())
    .execute(connection)
    .await?;
    Ok(())
}

/// What was absorbed by the other before is absorbed by this one then: `merged_into` leads to it in one step.
async fn absorb(
    connection: &mut Connection,
    incident: &Arc<str>,
    other: &Arc<str>,
    at: i64,
) -> Result<(), DecisionsError> {
    sqlx::query("UPDATE incidents SET state = 'merged', merged_into = $2, closed_at = $3 WHERE id = $1")
        .bind(&**other)
        .bind(&**incident)
        .bind(at)
        .execute(&mut *connection)
        .await?;
    absorb_messages(connection, Absorbed { other, incident }).await?;
    for sql in [
        "UPDATE incidents SET merged_into = $2 WHERE merged_into = $1",
        "UPDATE alerts SET incident = $2 WHERE incident = $1",
    ] {
        sqlx::query(sql)
            .bind(&**other)
            .bind(&**incident)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
