//! Rows of `case_clocks`.

use super::{Connection, StoreError};
use crate::database::read_from_row;

/// A clock, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the contract, by their names")]
pub struct ClockRow {
    pub case_id: String,
    pub name: String,
    pub generation: i64,
    pub revision: i64,
    pub office: Option<String>,
    pub rule: String,
    pub spec: String,
    pub calendar_version: Option<i64>,
    pub start_at: i64,
    pub due_at: i64,
    pub yellow_at: Option<i64>,
    pub red_at: Option<i64>,
    pub next_at: Option<i64>,
    pub state: String,
    pub pauses: String,
    pub extended: i64,
    pub card: String,
    pub steps: String,
    pub provisional: i64,
    pub stopped_at: Option<i64>,
    pub stop: Option<String>,
}

read_from_row!(ClockRow {
    case_id,
    name,
    generation,
    revision,
    office,
    rule,
    spec,
    calendar_version,
    start_at,
    due_at,
    yellow_at,
    red_at,
    next_at,
    state,
    pauses,
    extended,
    card,
    steps,
    provisional,
    stopped_at,
    stop
});

impl ClockRow {
    /// Whether it runs or is paused.
    pub fn is_open(&self) -> bool {
        self.state != "stopped"
    }
}

/// The clocks of a case, of each name the newest generation first.
///
/// # Errors
/// The database's.
pub async fn clocks_of(connection: &mut Connection, case_id: &str) -> Result<Vec<ClockRow>, StoreError> {
    let rows = sqlx::query_as("SELECT * FROM case_clocks WHERE case_id = $1 ORDER BY name, generation DESC")
        .bind(case_id);
    Ok(rows.fetch_all(connection).await?)
}

/// Running clocks of which something falls due by `now`, the earliest first.
///
/// # Errors
/// The database's.
pub async fn clocks_to_look_at(
    connection: &mut Connection,
    now: i64,
    most: i64,
) -> Result<Vec<ClockRow>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT * FROM case_clocks WHERE state = 'running' AND next_at <= $1 ORDER BY next_at, case_id, name LIMIT $2",
    )
    .bind(now)
    .bind(most);
    Ok(rows.fetch_all(connection).await?)
}

/// Of the clocks of a rule and name that were stopped since `from`: the office, start, due, stop and pauses of each.
///
/// # Errors
/// The database's.
pub async fn stopped_shares(
    connection: &mut Connection,
    rule: &str,
    name: &str,
    from: i64,
) -> Result<Vec<ClockRow>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT * FROM case_clocks WHERE rule = $1 AND name = $2 AND state = 'stopped' AND stopped_at >= $3",
    )
    .bind(rule)
    .bind(name)
    .bind(from);
    Ok(rows.fetch_all(connection).await?)
}

/// Stores a new clock.
///
/// # Errors
/// The database's.
pub async fn insert_clock(connection: &mut Connection, row: &ClockRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO case_clocks (case_id, name, generation, revision, office, rule, spec, calendar_version, start_at, due_at,
            yellow_at, red_at, next_at, state, pauses, extended, card, steps, provisional, stopped_at, stop)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
    )
    .bind(&row.case_id)
    .bind(&row.name)
    .bind(row.generation)
    .bind(row.revision)
    .bind(&row.office)
    .bind(&row.rule)
    .bind(&row.spec)
    .bind(row.calendar_version)
    .bind(row.start_at)
    .bind(row.due_at)
    .bind(row.yellow_at)
    .bind(row.red_at)
    .bind(row.next_at)
    .bind(&row.state)
    .bind(&row.pauses)
    .bind(row.extended)
    .bind(&row.card)
    .bind(&row.steps)
    .bind(row.provisional)
    .bind(row.stopped_at)
    .bind(&row.stop)
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores a clock as it is now.
///
/// # Errors
/// The database's.
pub async fn update_clock(connection: &mut Connection, row: &ClockRow) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE case_clocks SET revision = $4, calendar_version = $5, due_at = $6, yellow_at = $7, red_at = $8, next_at = $9,
            state = $10, pauses = $11, extended = $12, card = $13, steps = $14, provisional = $15, stopped_at = $16, stop = $17,
            spec = $18
          WHERE case_id = $1 AND name = $2 AND generation = $3",
    )
    .bind(&row.case_id)
    .bind(&row.name)
    .bind(row.generation)
    .bind(row.revision)
    .bind(row.calendar_version)
    .bind(row.due_at)
    .bind(row.yellow_at)
    .bind(row.red_at)
    .bind(row.next_at)
    .bind(&row.state)
    .bind(&row.pauses)
    .bind(row.extended)
    .bind(&row.card)
    .bind(&row.steps)
    .bind(row.provisional)
    .bind(row.stopped_at)
    .bind(&row.stop)
    .bind(&row.spec)
    .execute(connection)
    .await?;
    Ok(())
}
