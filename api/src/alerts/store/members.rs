//! Alerts of the members of a composite.

use super::{Decisions, DecisionsError};
use crate::database::read_from_row;

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberAlert {
    /// Name of its rule.
    pub rule: String,
    /// What it is known by within its rule.
    pub instance: String,
    /// Its cell, or the one that its sensor stands in.
    pub cell: Option<u64>,
    /// Ids of the areas that hold its place.
    pub areas: Vec<String>,
    /// µs.
    pub fired_at: i64,
    /// µs; none while it is open.
    pub resolved_at: Option<i64>,
}

struct MemberRow {
    rule: String,
    instance: String,
    cell: Option<i64>,
    areas: String,
    fired_at: i64,
    resolved_at: Option<i64>,
}

read_from_row!(MemberRow {
    rule,
    instance,
    cell,
    areas,
    fired_at,
    resolved_at
});

impl Decisions {
    /// The alerts of the rules of these names that are open, or ended after `since` (µs).
    pub async fn alerts_of_members(
        &self,
        names: &[String],
        since: i64,
    ) -> Result<Vec<MemberAlert>, DecisionsError> {
        let mut found = Vec::new();
        for name in names {
            let rows: Vec<MemberRow> = sqlx::query_as(
                "SELECT rule, instance, cell, areas, fired_at, resolved_at FROM alerts
                    WHERE rule = $1 AND (resolved_at IS NULL OR resolved_at > $2)",
            )
            .bind(name)
            .bind(since)
            .fetch_all(self.readers())
            .await?;
            for row in rows {
                let areas = serde_json::from_str(&row.areas);
                found.push(MemberAlert {
                    rule: row.rule,
                    instance: row.instance,
                    cell: row.cell.map(i64::cast_unsigned),
                    areas: areas.map_err(|error| DecisionsError::unreadable("alert", &error))?,
                    fired_at: row.fired_at,
                    resolved_at: row.resolved_at,
                });
            }
        }
        Ok(found)
    }
}
