//! Rows of `case_moves`, each of which covers the one before by its hash.

use serde_json::{Value, json};

use super::{Connection, StoreError, read_json};
use crate::database::read_from_row;
use crate::digest::{canonical, hex, sha256};

/// A move, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the contract, by their names")]
pub struct MoveRow {
    pub case_id: String,
    pub seq: i64,
    pub r#move: String,
    pub from_state: String,
    pub to_state: String,
    pub at: i64,
    pub actor: String,
    pub duty: String,
    pub office: Option<String>,
    pub text_id: Option<String>,
    pub data: String,
    pub hash: String,
}

read_from_row!(MoveRow {
    case_id,
    seq,
    r#move,
    from_state,
    to_state,
    at,
    actor,
    duty,
    office,
    text_id,
    data,
    hash
});

/// A move about to be stored: its place and hash follow from the row before.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the columns of the contract, by their names")]
pub struct NewMove<'a> {
    pub case_id: &'a str,
    pub seq: i64,
    pub r#move: &'a str,
    pub from_state: &'a str,
    pub to_state: &'a str,
    pub at: i64,
    pub actor: &'a str,
    pub duty: &'a str,
    pub office: Option<&'a str>,
    pub text_id: Option<&'a str>,
    pub data: &'a Value,
}

/// What the first row of a case hangs on.
pub const fn first_hash() -> [u8; 32] {
    [0; 32]
}

impl NewMove<'_> {
    /// SHA-256 of the hash before and of all columns in the one form of JSON that is hashed.
    pub fn hash(&self, before: &[u8; 32]) -> [u8; 32] {
        let columns = json!({
            "case_id": self.case_id, "seq": self.seq, "move": self.r#move, "from_state": self.from_state,
            "to_state": self.to_state, "at": self.at, "actor": self.actor, "duty": self.duty, "office": self.office,
            "text_id": self.text_id, "data": self.data,
        });
        let mut bytes = before.to_vec();
        bytes.extend_from_slice(canonical(&columns).as_bytes());
        sha256(&bytes)
    }
}

impl MoveRow {
    /// Whether its hash is that of its columns after the row before.
    pub fn follows(&self, before: &[u8; 32]) -> Result<bool, StoreError> {
        let data: Value = read_json("move", &self.data)?;
        let made = NewMove {
            case_id: &self.case_id,
            seq: self.seq,
            r#move: &self.r#move,
            from_state: &self.from_state,
            to_state: &self.to_state,
            at: self.at,
            actor: &self.actor,
            duty: &self.duty,
            office: self.office.as_deref(),
            text_id: self.text_id.as_deref(),
            data: &data,
        };
        Ok(hex(&made.hash(before)) == self.hash)
    }
}

/// Stores a move behind the newest one of its case.
///
/// # Errors
/// The database's; another one has its place.
pub async fn append_move(connection: &mut Connection, new: &NewMove<'_>) -> Result<(), StoreError> {
    let before: Option<String> =
        sqlx::query_scalar("SELECT hash FROM case_moves WHERE case_id = $1 AND seq = $2")
            .bind(new.case_id)
            .bind(new.seq - 1)
            .fetch_optional(&mut *connection)
            .await?;
    let before = match before {
        Some(hash) => from_hex(&hash)?,
        None => first_hash(),
    };
    sqlx::query(
        "INSERT INTO case_moves (case_id, seq, move, from_state, to_state, at, actor, duty, office, text_id, data, hash)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(new.case_id)
    .bind(new.seq)
    .bind(new.r#move)
    .bind(new.from_state)
    .bind(new.to_state)
    .bind(new.at)
    .bind(new.actor)
    .bind(new.duty)
    .bind(new.office)
    .bind(new.text_id)
    .bind(new.data.to_string())
    .bind(hex(&new.hash(&before)))
    .execute(connection)
    .await?;
    Ok(())
}

/// The moves of a case, the oldest first.
///
/// # Errors
/// The database's.
pub async fn moves_of(connection: &mut Connection, case_id: &str) -> Result<Vec<MoveRow>, StoreError> {
    let rows = sqlx::query_as("SELECT * FROM case_moves WHERE case_id = $1 ORDER BY seq").bind(case_id);
    Ok(rows.fetch_all(connection).await?)
}

/// The moves of all cases in `[from, to]`, the oldest first, at most so many.
///
/// # Errors
/// The database's.
pub async fn moves_between(
    connection: &mut Connection,
    from: i64,
    to: i64,
    most: i64,
) -> Result<Vec<MoveRow>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT * FROM case_moves WHERE at >= $1 AND at <= $2 ORDER BY at, case_id, seq LIMIT $3",
    )
    .bind(from)
    .bind(to)
    .bind(most);
    Ok(rows.fetch_all(connection).await?)
}

fn from_hex(text: &str) -> Result<[u8; 32], StoreError> {
    let unreadable = || StoreError::unreadable("move", &"its hash is no SHA-256 in hex");
    if text.len() != 64 || !text.is_ascii() {
        return Err(unreadable());
    }
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(2 * place..2 * place + 2).ok_or_else(unreadable)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| unreadable())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_move_has_the_golden_hash() {
        let accepted = NewMove {
            case_id: "3rr438hnx92gkd701vadvk4enx",
            seq: 2,
            r#move: "accept",
            from_state: "new",
            to_state: "accepted",
            at: 1_767_254_400_000_000,
            actor: "key:7",
            duty: "operator",
            office: None,
            text_id: None,
            data: &json!({}),
        };
        assert_eq!(
            hex(&accepted.hash(&first_hash())),
            "d97740985af0cc51234a7da37acafafd1a3aa5e45d21b4b4ab74b0bbde24c4a5"
        );
        assert_eq!(from_hex(&hex(&first_hash())).unwrap(), first_hash());
        assert!(from_hex("zz").is_err());
    }
}
