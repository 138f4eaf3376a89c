//! The numbers that people know cases by.

use super::{Connection, StoreError};

/// The next number of a local date, as `20260309`: `20260309-000001` is the first.
///
/// # Errors
/// The database's.
pub async fn next_number(connection: &mut Connection, date: &str) -> Result<String, StoreError> {
    let last: i64 = sqlx::query_scalar(
        "INSERT INTO case_numbers (date, last) VALUES ($1, 1)
            ON CONFLICT (date) DO UPDATE SET last = case_numbers.last + 1 RETURNING last",
    )
    .bind(date)
    .fetch_one(connection)
    .await?;
    Ok(format!("{date}-{last:06}"))
}
