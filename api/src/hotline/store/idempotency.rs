//! What requests with an `Idempotency-Key` were answered: written in the transaction of what they did.

use super::{Connection, StoreError};
use crate::database::read_from_row;

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the table, by their names")]
pub struct Answered {
    pub actor: String,
    pub key: String,
    pub request: String,
    pub status: i64,
    pub version: i64,
    pub body: String,
    pub created_at: i64,
}

read_from_row!(Answered {
    actor,
    key,
    request,
    status,
    version,
    body,
    created_at
});

/// What an actor's key was answered since `from`.
///
/// # Errors
/// The database's.
pub async fn answered(
    connection: &mut Connection,
    actor: &str,
    key: &str,
    from: i64,
) -> Result<Option<Answered>, StoreError> {
    let row =
        sqlx::query_as("SELECT * FROM idempotency_keys WHERE actor = $1 AND key = $2 AND created_at >= $3")
            .bind(actor)
            .bind(key)
            .bind(from);
    Ok(row.fetch_optional(connection).await?)
}

/// Notes an answer. An older one of the same key, whose time is over, gives way.
///
/// # Errors
/// The database's.
pub async fn note_answer(connection: &mut Connection, answered: &Answered) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO idempotency_keys (actor, key, request, status, version, body, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (actor, key) DO UPDATE
            SET request = $3, status = $4, version = $5, body = $6, created_at = $7",
    )
    .bind(&answered.actor)
    .bind(&answered.key)
    .bind(&answered.request)
    .bind(answered.status)
    .bind(answered.version)
    .bind(&answered.body)
    .bind(answered.created_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets answers from before `before`, at most so many: how many.
///
/// # Errors
/// The database's.
pub async fn forget_answers(connection: &mut Connection, before: i64, most: i64) -> Result<u64, StoreError> {
    let gone = sqlx::query(
        "DELETE FROM idempotency_keys WHERE (actor, key) IN
            (SELECT actor, key FROM idempotency_keys WHERE created_at < $1 LIMIT $2)",
    )
    .bind(before)
    .bind(most)
    .execute(connection)
    .await?;
    Ok(gone.rows_affected())
}
