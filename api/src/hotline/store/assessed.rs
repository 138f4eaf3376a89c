//! Rows of `case_assessed`, and the months whose rows are whole.

use std::collections::BTreeSet;

use super::lines::{AssessedRow, in_list};
use super::moves::MoveRow;
use super::{Connection, StoreError};
use crate::database::read_from_row;

/// A month whose rows are whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the table, by their names")]
pub struct FrozenMonth {
    pub month: String,
    pub frozen_at: i64,
    pub sha256: String,
}

read_from_row!(FrozenMonth {
    month,
    frozen_at,
    sha256
});

struct Id {
    case_id: String,
}

read_from_row!(Id { case_id });

/// The month, if its rows are whole.
///
/// # Errors
/// The database's.
pub async fn frozen_month(
    connection: &mut Connection,
    month: &str,
) -> Result<Option<FrozenMonth>, StoreError> {
    let row = sqlx::query_as("SELECT * FROM case_months WHERE month = $1").bind(month);
    Ok(row.fetch_optional(connection).await?)
}

/// Begins to freeze a month: whether nobody did before.
///
/// # Errors
/// The database's.
pub async fn begin_month(
    connection: &mut Connection,
    month: &str,
    frozen_at: i64,
) -> Result<bool, StoreError> {
    let begun = sqlx::query(
        "INSERT INTO case_months (month, frozen_at, sha256) VALUES ($1, $2, '') ON CONFLICT (month) DO NOTHING",
    )
    .bind(month)
    .bind(frozen_at)
    .execute(connection)
    .await?;
    Ok(begun.rows_affected() == 1)
}

/// Notes what the rows of the month are, which are all there.
///
/// # Errors
/// The database's.
pub async fn end_month(connection: &mut Connection, month: &str, sha256: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE case_months SET sha256 = $2 WHERE month = $1")
        .bind(month)
        .bind(sha256)
        .execute(connection)
        .await?;
    Ok(())
}

/// The rows of a month, by case and generation.
///
/// # Errors
/// The database's.
pub async fn assessed_of(connection: &mut Connection, month: &str) -> Result<Vec<AssessedRow>, StoreError> {
    let rows = sqlx::query_as("SELECT * FROM case_assessed WHERE month = $1 ORDER BY case_id, generation");
    Ok(rows.bind(month).fetch_all(connection).await?)
}

/// Stores a row, but where the generation has one of another month: rows never change.
///
/// # Errors
/// The database's.
pub async fn insert_assessed(connection: &mut Connection, row: &AssessedRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO case_assessed (month, office, case_id, generation, due_at, out, responded, replied_at, resolved, rating)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (case_id, generation) DO NOTHING",
    )
    .bind(&row.month)
    .bind(&row.office)
    .bind(&row.case_id)
    .bind(row.generation)
    .bind(row.due_at)
    .bind(&row.out)
    .bind(row.responded)
    .bind(row.replied_at)
    .bind(&row.resolved)
    .bind(row.rating)
    .execute(connection)
    .await?;
    Ok(())
}

/// The first due of `handle` after a time.
///
/// # Errors
/// The database's.
pub async fn next_due(connection: &mut Connection, after: i64) -> Result<Option<i64>, StoreError> {
    let due = sqlx::query_scalar("SELECT MIN(due_at) FROM case_clocks WHERE name = 'handle' AND due_at > $1");
    Ok(due.bind(after).fetch_one(connection).await?)
}

/// The cases with a `handle` that is due within two times, by their ids.
///
/// # Errors
/// The database's.
pub async fn cases_due_within(
    connection: &mut Connection,
    (from, to): (i64, i64),
) -> Result<Vec<String>, StoreError> {
    let rows: Vec<Id> = sqlx::query_as(
        "SELECT case_id FROM case_clocks WHERE name = 'handle' AND due_at >= $1 AND due_at <= $2",
    )
    .bind(from)
    .bind(to)
    .fetch_all(connection)
    .await?;
    let ids: BTreeSet<String> = rows.into_iter().map(|row| row.case_id).collect();
    Ok(ids.into_iter().collect())
}

/// The moves of some cases, at most a page of cases, of each the oldest first.
///
/// # Errors
/// The database's.
pub async fn moves_of_all(connection: &mut Connection, ids: &[&str]) -> Result<Vec<MoveRow>, StoreError> {
    let sql = in_list("SELECT * FROM case_moves WHERE case_id IN", ids.len());
    let sql = format!("{sql} ORDER BY case_id, seq");
    let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
    for id in ids {
        query = query.bind((*id).to_owned());
    }
    Ok(query.fetch_all(connection).await?)
}
