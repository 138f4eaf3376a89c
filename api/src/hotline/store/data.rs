//! Rows of `hotline_data`: duty, rules and calendars, each version by itself.

use super::{Connection, StoreError};
use crate::database::read_from_row;

/// A version of a datum.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the contract, by their names")]
pub struct Datum {
    pub name: String,
    pub version: i64,
    pub effective_at: i64,
    pub body: String,
}

read_from_row!(Datum {
    name,
    version,
    effective_at,
    body
});

/// The newest version of each datum.
///
/// # Errors
/// The database's.
pub async fn newest_data(connection: &mut Connection) -> Result<Vec<Datum>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT name, version, effective_at, body FROM hotline_data AS one WHERE version =
            (SELECT MAX(version) FROM hotline_data AS other WHERE other.name = one.name) ORDER BY name",
    );
    Ok(rows.fetch_all(connection).await?)
}

/// Stores a new version, if the newest one is the one before: whether it is.
///
/// # Errors
/// The database's.
pub async fn insert_datum(connection: &mut Connection, datum: &Datum) -> Result<bool, StoreError> {
    let newest: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM hotline_data WHERE name = $1")
        .bind(&datum.name)
        .fetch_one(&mut *connection)
        .await?;
    if newest.unwrap_or(0) != datum.version - 1 {
        return Ok(false);
    }
    sqlx::query("INSERT INTO hotline_data (name, version, effective_at, body) VALUES ($1, $2, $3, $4)")
        .bind(&datum.name)
        .bind(datum.version)
        .bind(datum.effective_at)
        .bind(&datum.body)
        .execute(connection)
        .await?;
    Ok(true)
}
