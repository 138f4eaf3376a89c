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
            DatabaseError::Query(sqlx::Error::Database(cause)) if is_full(cause.as_ref()) => {
                Self::unavailable(
                    "the disk of the decisions database is full; free space, then try again",
                    30,
                )
            }
            _ => Self::internal(&error),
        }
    }
}

/// The codes of `SQLite` and `PostgreSQL` for a full disk.
fn is_full(cause: &dyn sqlx::error::DatabaseError) -> bool {
    cause
        .code()
        .is_some_and(|code| matches!(code.as_ref(), "13" | "53100"))
}
