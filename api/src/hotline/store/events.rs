//! Events of cases that are still to be put into the log: written with the case, taken away once the log has them.

use super::{Connection, StoreError};
use crate::database::read_from_row;

/// An event that is not known to be in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the table, by their names")]
pub struct PendingEvent {
    pub id: String,
    pub case_id: String,
    pub op: String,
    pub body: String,
    pub created_at: i64,
}

read_from_row!(PendingEvent {
    id,
    case_id,
    op,
    body,
    created_at
});

/// Notes an event that is to be put into the log.
///
/// # Errors
/// The database's.
pub async fn add_event(connection: &mut Connection, event: &PendingEvent) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO case_events (id, case_id, op, body, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(&event.id)
        .bind(&event.case_id)
        .bind(&event.op)
        .bind(&event.body)
        .bind(event.created_at)
        .execute(connection)
        .await?;
    Ok(())
}

/// The oldest of them, of one case or of all.
///
/// # Errors
/// The database's.
pub async fn pending_events(
    connection: &mut Connection,
    case_id: Option<&str>,
    most: i64,
) -> Result<Vec<PendingEvent>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT id, case_id, op, body, created_at FROM case_events WHERE $1 = '' OR case_id = $1
            ORDER BY created_at, id LIMIT $2",
    )
    .bind(case_id.unwrap_or_default())
    .bind(most);
    Ok(rows.fetch_all(connection).await?)
}

/// Notes that the log has an event, or never will: then the case is not observed.
///
/// # Errors
/// The database's.
pub async fn event_is_in_log(
    connection: &mut Connection,
    event: &PendingEvent,
    is_there: bool,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM case_events WHERE id = $1")
        .bind(&event.id)
        .execute(&mut *connection)
        .await?;
    if event.op == "open" {
        // No move: what is decided of the case is the same.
        sqlx::query("UPDATE cases SET observed = $2 WHERE id = $1")
            .bind(&event.case_id)
            .bind(if is_there { "yes" } else { "no" })
            .execute(connection)
            .await?;
    }
    Ok(())
}
