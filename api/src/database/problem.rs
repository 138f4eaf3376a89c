//! What clients are told when the database fails.

use super::DatabaseError;
use crate::problem::Problem;

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        match &error {
            DatabaseError::NoRoom(none) => Self::unavailable(none.to_string(), 30),
            DatabaseError::Query(sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => {
                Self::unavailable("the decisions database is busy or closing; try again", 5)
            }
            DatabaseError::Query(sqlx::Error::Io(_)) => {
                Self::unavailable("the decisions database does not answer; try again", 5)
            }
            DatabaseError::Query(sqlx::Error::Database(cause)) => match cause.code().as_deref() {
                // A full disk, in SQLite and in PostgreSQL.
                Some("13" | "53100") => Self::unavailable(
                    "the disk of the decisions database is full; free space, then try again",
                    30,
                ),
                // Others write for too long; too many connections; PostgreSQL stops or starts.
                Some("55P03" | "53300" | "57P01" | "57P02" | "57P03") => {
                    Self::unavailable("the decisions database is busy or closing; try again", 5)
                }
                // PostgreSQL keeps every letter but this one.
                Some("22021") => Self::unprocessable(
                    "a text has a letter U+0000 in it, which cannot be kept; leave it out",
                ),
                _ => Self::internal(&error),
            },
            _ => Self::internal(&error),
        }
    }
}
