//! The audit in the database database: a row is written in the transaction of its deed, or before it.

use chrono::{DateTime, SecondsFormat};
use riskgrid_ingest::EventTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::record::{Deed, Link, Record};
use crate::database::{Connection, Database, DatabaseError, put_meta, read_from_row};

/// Under which `meta` keeps the row that the oldest one hangs on, once older ones were trimmed.
const BASE: &str = "audit.base";
/// Under which it keeps what tells this installation from others.
const INSTALLATION: &str = "installation";
const DAY: i64 = 86_400_000_000;

/// A row, as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Grows by one from row to row.
    pub seq: i64,
    /// When; RFC 3339 with microseconds, which are what is hashed.
    #[serde(with = "microseconds")]
    pub at: i64,
    /// Who did it.
    pub who: String,
    /// In which role.
    pub role: String,
    /// By which way.
    pub via: String,
    /// From where.
    pub address: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// To how many.
    pub count: i64,
    /// What else is known of it.
    pub detail: Value,
    /// The hash of the row before.
    pub prev: String,
    /// Its own.
    pub hash: String,
}

mod microseconds {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(at: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&super::shown(*at))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = chrono::DateTime::parse_from_rfc3339(&text).map_err(D::Error::custom)?;
        Ok(time.timestamp_micros())
    }
}

fn shown(at: i64) -> String {
    let time = DateTime::from_timestamp_micros(at).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

impl AuditRow {
    pub(super) fn new(record: Record, hash: String) -> Self {
        let Record { seq, at, deed, prev } = record;
        Self {
            seq,
            at,
            who: deed.who,
            role: deed.role,
            via: deed.via,
            address: deed.address,
            action: deed.action,
            object: deed.object,
            count: deed.count,
            detail: deed.detail,
            prev,
            hash,
        }
    }

    /// The link after `before`, if this row hangs on it and is what it says.
    pub fn after(&self, before: &Link) -> Option<Link> {
        let record = Record {
            seq: self.seq,
            at: self.at,
            deed: Deed {
                who: self.who.clone(),
                role: self.role.clone(),
                via: self.via.clone(),
                address: self.address.clone(),
                action: self.action.clone(),
                object: self.object.clone(),
                count: self.count,
                detail: self.detail.clone(),
            },
            prev: self.prev.clone(),
        };
        before.then(&record, &self.hash)
    }
}

struct StoredRow {
    seq: i64,
    at: i64,
    who: String,
    role: String,
    via: String,
    address: String,
    action: String,
    object: String,
    count: i64,
    detail: String,
    prev: String,
    hash: String,
}

read_from_row!(StoredRow {
    seq,
    at,
    who,
    role,
    via,
    address,
    action,
    object,
    count,
    detail,
    prev,
    hash
});

impl StoredRow {
    /// A detail that is no JSON any more is shown as text, so that whoever verifies the chain is told of this row.
    fn into_row(self) -> AuditRow {
        let detail = serde_json::from_str(&self.detail).unwrap_or(Value::String(self.detail));
        let deed = Deed {
            who: self.who,
            role: self.role,
            via: self.via,
            address: self.address,
            action: self.action,
            object: self.object,
            count: self.count,
            detail,
        };
        AuditRow::new(
            Record {
                seq: self.seq,
                at: self.at,
                deed,
                prev: self.prev,
            },
            self.hash,
        )
    }
}

/// A row from before there was a chain.
struct LegacyRow {
    at: i64,
    who: String,
    action: String,
    filters: String,
    count: i64,
}

read_from_row!(LegacyRow {
    at,
    who,
    action,
    filters,
    count
});

impl Database {
    /// Adds a row for a deed that changes nothing here; durable when this returns.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit(&self, deed: &Deed, at: i64) -> Result<(), DatabaseError> {
        let mut transaction = self.begin().await?;
        append(&mut transaction, deed, at).await?;
        Ok(transaction.commit().await?)
    }

    /// Adds a row that a deed failed which has one that it begins. That this row cannot be written is told by the log: what
    /// failed is answered as that.
    pub async fn audit_failure(&self, deed: Deed, at: i64) {
        let deed = deed.failed();
        if let Err(error) = self.audit(&deed, at).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                action = deed.action,
                "the audit misses a row"
            );
        }
    }

    /// The newest row; none before the first.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_head(&self) -> Result<Option<Link>, DatabaseError> {
        let mut connection = self.readers().acquire().await?;
        newest(&mut connection).await
    }

    /// What the oldest row hangs on.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_base(&self) -> Result<Link, DatabaseError> {
        let stored = self.meta(BASE).await?;
        let text = stored.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        match text {
            None => Ok(Link::nothing()),
            Some(text) => {
                Link::parse(&text).ok_or_else(|| DatabaseError::unreadable("base of the audit", &text))
            }
        }
    }

    /// Up to `limit` rows before the one of number `before`, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_rows(&self, before: i64, limit: u32) -> Result<Vec<AuditRow>, DatabaseError> {
        let rows: Vec<StoredRow> =
            sqlx::query_as("SELECT * FROM audit WHERE seq < $1 ORDER BY seq DESC LIMIT $2")
                .bind(before)
                .bind(i64::from(limit))
                .fetch_all(self.readers())
                .await?;
        Ok(rows.into_iter().map(StoredRow::into_row).collect())
    }

    /// Takes away the rows of whole days that ended before `until`, from the old end; how many. What the oldest row then
    /// hangs on is kept, and a row says what was done.
    ///
    /// # Errors
    /// The database's.
    pub async fn trim_audit(&self, until: EventTime, now: EventTime) -> Result<i64, DatabaseError> {
        let midnight = until.micros().div_euclid(DAY) * DAY;
        let mut transaction = self.begin().await?;
        // The newest row stays in any case: it is what the next hangs on.
        let first_kept: Option<i64> = sqlx::query_scalar(
            "SELECT MIN(seq) FROM audit WHERE at >= $1 OR seq = (SELECT MAX(seq) FROM audit)",
        )
        .bind(midnight)
        .fetch_one(&mut *transaction)
        .await?;
        let last: Option<(i64, String)> =
            sqlx::query_as("SELECT seq, hash FROM audit WHERE seq < $1 ORDER BY seq DESC LIMIT 1")
                .bind(first_kept.unwrap_or(0))
                .fetch_optional(&mut *transaction)
                .await?;
        let Some((seq, hash)) = last else {
            return Ok(0);
        };
        let base = Link { seq, hash };
        let deleted = sqlx::query("DELETE FROM audit WHERE seq <= $1")
            .bind(seq)
            .execute(&mut *transaction)
            .await?;
        put_meta(&mut transaction, BASE, base.to_string().as_bytes()).await?;
        let count = i64::try_from(deleted.rows_affected()).unwrap_or(i64::MAX);
        let deed = Deed::of_the_system("audit.trim")
            .times(count)
            .with(json!({"base": base.to_string(), "before": shown(midnight)}));
        append(&mut transaction, &deed, now.micros()).await?;
        transaction.commit().await?;
        Ok(count)
    }
}

/// Adds a row in the transaction of its deed.
///
/// # Errors
/// The database's.
pub(crate) async fn append(connection: &mut Connection, deed: &Deed, at: i64) -> Result<Link, DatabaseError> {
    let head = match newest(connection).await? {
        Some(head) => head,
        None => begin_chain(connection, at).await?,
    };
    hang(connection, &head, deed.clone(), at).await
}

async fn newest(connection: &mut Connection) -> Result<Option<Link>, DatabaseError> {
    let newest: Option<(i64, String)> =
        sqlx::query_as("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
            .fetch_optional(connection)
            .await?;
    Ok(newest.map(|(seq, hash)| Link { seq, hash }))
}

/// The first row, which says whose chain it is, and those from before there was one, in their order.
async fn begin_chain(connection: &mut Connection, at: i64) -> Result<Link, DatabaseError> {
    let installation = random_uuid()?;
    put_meta(&mut *connection, INSTALLATION, installation.as_bytes()).await?;
    let start = Deed::of_the_system("audit.start")
        .times(0)
        .with(json!({"installation": installation}));
    let mut head = hang(&mut *connection, &Link::nothing(), start, at).await?;
    let legacy: Vec<LegacyRow> = sqlx::query_as("SELECT * FROM audit_legacy ORDER BY seq")
        .fetch_all(&mut *connection)
        .await?;
    for row in legacy {
        let deed = Deed {
            who: row.who,
            role: String::new(),
            via: "legacy".to_owned(),
            address: String::new(),
            action: row.action,
            object: String::new(),
            count: row.count,
            detail: serde_json::from_str(&row.filters).unwrap_or(Value::String(row.filters)),
        };
        head = hang(&mut *connection, &head, deed, row.at).await?;
    }
    sqlx::query("DELETE FROM audit_legacy")
        .execute(connection)
        .await?;
    Ok(head)
}

async fn hang(connection: &mut Connection, head: &Link, deed: Deed, at: i64) -> Result<Link, DatabaseError> {
    let record = Record {
        seq: head.seq + 1,
        at,
        deed,
        prev: head.hash.clone(),
    };
    let row = AuditRow::new(record.clone(), record.hash());
    sqlx::query(
        "INSERT INTO audit (seq, at, who, role, via, address, action, object, count, detail, prev, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(row.seq)
    .bind(row.at)
    .bind(row.who)
    .bind(row.role)
    .bind(row.via)
    .bind(row.address)
    .bind(row.action)
    .bind(row.object)
    .bind(row.count)
    .bind(row.detail.to_string())
    .bind(row.prev)
    .bind(&row.hash)
    .execute(connection)
    .await?;
    Ok(Link {
        seq: row.seq,
        hash: row.hash,
    })
}

/// Version 4, as RFC 9562 writes it.
fn random_uuid() -> Result<String, DatabaseError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{number:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
    Ok(parts.join("-"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
