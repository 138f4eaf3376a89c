//! The audit: who looked at raw records, replayed or purged, and when. A row is written before the thing is done.

use serde::Serialize;
use serde_json::Value;

use super::alerts::as_rfc3339;
use super::row::read_from_row;
use super::{Decisions, DecisionsError};

/// One thing that was done, or begun at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Grows by one from row to row.
    pub seq: i64,
    /// When, microseconds since 1970 UTC.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: i64,
    /// From which address, or the command line.
    pub who: String,
    /// `dead_letters.raw`, `dead_letters.replay` or `feeds.purge`.
    pub action: String,
    /// What was asked for.
    pub filters: Value,
    /// How many records it was about.
    pub count: i64,
}

struct StoredRow {
    seq: i64,
    at: i64,
    who: String,
    action: String,
    filters: String,
    count: i64,
}

read_from_row!(StoredRow {
    seq,
    at,
    who,
    action,
    filters,
    count
});

impl Decisions {
    /// Adds a row; durable when this returns.
    pub async fn audit(
        &self,
        at: i64,
        who: &str,
        action: &str,
        filters: &Value,
        count: i64,
    ) -> Result<(), DecisionsError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO audit (seq, at, who, action, filters, count)
             SELECT COALESCE(MAX(seq), 0) + 1, $1, $2, $3, $4, $5 FROM audit",
        )
        .bind(at)
        .bind(who)
        .bind(action)
        .bind(filters.to_string())
        .bind(count)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Up to `limit` rows before the one of number `before`, newest first.
    pub async fn audit_rows(&self, before: i64, limit: u32) -> Result<Vec<AuditRow>, DecisionsError> {
        let rows: Vec<StoredRow> =
            sqlx::query_as("SELECT * FROM audit WHERE seq < $1 ORDER BY seq DESC LIMIT $2")
                .bind(before)
                .bind(i64::from(limit))
                .fetch_all(self.readers())
                .await?;
        let rows = rows.into_iter().map(|row| {
            let filters = serde_json::from_str(&row.filters)
                .map_err(|error| DecisionsError::unreadable("audit row", &error))?;
            Ok(AuditRow {
                seq: row.seq,
                at: row.at,
                who: row.who,
                action: row.action,
                filters,
                count: row.count,
            })
        });
        rows.collect()
    }
}
