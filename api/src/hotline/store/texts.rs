//! Rows of `case_texts`: what people say, apart from all else, so that it can be erased. What stays is a digest, which tells
//! nothing without its salt.

use super::random_id;
use super::{Connection, StoreError};
use crate::database::read_from_row;
use crate::digest::{hex, sha256};

/// A text, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the contract, by their names")]
pub struct StoredText {
    pub id: String,
    pub case_id: String,
    pub kind: String,
    pub body: Option<String>,
    pub digest: String,
    pub erase_at: Option<i64>,
}

read_from_row!(StoredText {
    id,
    case_id,
    kind,
    body,
    digest,
    erase_at
});

/// Stores a text of a case: its id and digest.
///
/// # Errors
/// The database's; no random bytes.
pub async fn add_text(
    connection: &mut Connection,
    case_id: &str,
    kind: &str,
    text: &str,
) -> Result<(String, String), StoreError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    let mut salted = salt.to_vec();
    salted.extend_from_slice(text.as_bytes());
    let (id, digest) = (random_id()?, hex(&sha256(&salted)));
    sqlx::query(
        "INSERT INTO case_texts (id, case_id, kind, salt, body, digest) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&id)
    .bind(case_id)
    .bind(kind)
    .bind(salt.to_vec())
    .bind(text)
    .bind(&digest)
    .execute(connection)
    .await?;
    Ok((id, digest))
}

/// The texts of a case.
///
/// # Errors
/// The database's.
pub async fn texts_of(connection: &mut Connection, case_id: &str) -> Result<Vec<StoredText>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT id, case_id, kind, body, digest, erase_at FROM case_texts WHERE case_id = $1 ORDER BY id",
    )
    .bind(case_id);
    Ok(rows.fetch_all(connection).await?)
}

/// Says when the texts of a case are to be erased; `None`: not as things stand. Those that are held stay held.
///
/// # Errors
/// The database's.
pub async fn schedule_erasure(
    connection: &mut Connection,
    case_id: &str,
    at: Option<i64>,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE case_texts SET erase_at = $2 WHERE case_id = $1 AND body IS NOT NULL
            AND (erase_at IS NULL OR erase_at <> $3)",
    )
    .bind(case_id)
    .bind(at)
    .bind(i64::MAX)
    .execute(connection)
    .await?;
    Ok(())
}

/// Erases texts whose time has come, at most so many: how many.
///
/// # Errors
/// The database's.
pub async fn erase_texts(connection: &mut Connection, now: i64, most: i64) -> Result<u64, StoreError> {
    let erased = sqlx::query(
        "UPDATE case_texts SET body = NULL, salt = NULL, erase_at = NULL WHERE id IN
            (SELECT id FROM case_texts WHERE body IS NOT NULL AND erase_at IS NOT NULL AND erase_at <= $1 LIMIT $2)",
    )
    .bind(now)
    .bind(most)
    .execute(connection)
    .await?;
    Ok(erased.rows_affected())
}
