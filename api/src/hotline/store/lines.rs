//! Rows of the hotline's tables as SQL reads them: page by page, by what is asked of their columns.

use super::case::CaseRow;
use super::clocks::ClockRow;
use super::moves::MoveRow;
use super::{Connection, StoreError};
use crate::database::{Bound, Conditions, Row, read_from_row};

/// Rows of one page.
pub const PAGE: usize = 500;

/// A row of `case_assessed`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the contract, by their names")]
pub struct AssessedRow {
    pub month: String,
    pub office: String,
    pub case_id: String,
    pub generation: i64,
    pub due_at: i64,
    pub out: Option<String>,
    pub responded: i64,
    pub replied_at: Option<i64>,
    pub resolved: Option<String>,
    pub rating: Option<i64>,
}

read_from_row!(AssessedRow {
    month,
    office,
    case_id,
    generation,
    due_at,
    out,
    responded,
    replied_at,
    resolved,
    rating
});

/// A row of a table that is read page by page.
pub trait Line: for<'r> sqlx::FromRow<'r, Row> + Send + Unpin + Clone + 'static {
    /// The table.
    const TABLE: &'static str;
    /// By what its rows are ordered, which tells each from all others: texts, then numbers, as [`place`](Self::place) has them.
    const ORDER: &'static [&'static str];
    /// Where a row stands in that order.
    fn place(&self) -> Vec<Bound>;
    /// The case that it is of.
    fn case_id(&self) -> &str;
}

impl Line for CaseRow {
    const TABLE: &'static str = "cases";
    const ORDER: &'static [&'static str] = &["opened_at", "id"];
    fn place(&self) -> Vec<Bound> {
        vec![Bound::Number(self.opened_at), Bound::Text(self.id.clone())]
    }
    fn case_id(&self) -> &str {
        &self.id
    }
}

impl Line for MoveRow {
    const TABLE: &'static str = "case_moves";
    const ORDER: &'static [&'static str] = &["case_id", "seq"];
    fn place(&self) -> Vec<Bound> {
        vec![Bound::Text(self.case_id.clone()), Bound::Number(self.seq)]
    }
    fn case_id(&self) -> &str {
        &self.case_id
    }
}

impl Line for ClockRow {
    const TABLE: &'static str = "case_clocks";
    const ORDER: &'static [&'static str] = &["case_id", "name", "generation"];
    fn place(&self) -> Vec<Bound> {
        vec![
            Bound::Text(self.case_id.clone()),
            Bound::Text(self.name.clone()),
            Bound::Number(self.generation),
        ]
    }
    fn case_id(&self) -> &str {
        &self.case_id
    }
}

impl Line for AssessedRow {
    const TABLE: &'static str = "case_assessed";
    const ORDER: &'static [&'static str] = &["case_id", "generation"];
    fn place(&self) -> Vec<Bound> {
        vec![Bound::Text(self.case_id.clone()), Bound::Number(self.generation)]
    }
    fn case_id(&self) -> &str {
        &self.case_id
    }
}

/// The next rows behind a place, at most so many.
///
/// # Errors
/// The database's.
pub async fn lines<L: Line>(
    connection: &mut Connection,
    conditions: &Conditions,
    after: Option<&[Bound]>,
    most: usize,
) -> Result<Vec<L>, StoreError> {
    let (table, order) = (L::TABLE, L::ORDER.join(", "));
    let mut all = conditions.clone();
    if let Some(after) = after {
        let places = vec!["?"; after.len()].join(", ");
        all.add(format!("({order}) > ({places})"), after.iter().cloned());
    }
    let limit = most.min(PAGE);
    let sql = format!("SELECT * FROM {table} $WHERE ORDER BY {order} LIMIT {limit}");
    Ok(all.query(&sql).fetch_all(connection).await?)
}

/// The cases of some ids, at most a page.
///
/// # Errors
/// The database's.
pub async fn cases_of(connection: &mut Connection, ids: &[&str]) -> Result<Vec<CaseRow>, StoreError> {
    let sql = in_list("SELECT * FROM cases WHERE id IN", ids.len());
    let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
    for id in ids {
        query = query.bind((*id).to_owned());
    }
    Ok(query.fetch_all(connection).await?)
}

/// The clocks of some cases, at most a page of cases; of each name the newest generation first.
///
/// # Errors
/// The database's.
pub async fn clocks_of_all(connection: &mut Connection, ids: &[&str]) -> Result<Vec<ClockRow>, StoreError> {
    let sql = in_list("SELECT * FROM case_clocks WHERE case_id IN", ids.len());
    let sql = format!("{sql} ORDER BY case_id, name, generation DESC");
    let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
    for id in ids {
        query = query.bind((*id).to_owned());
    }
    Ok(query.fetch_all(connection).await?)
}

pub(super) fn in_list(begin: &str, length: usize) -> String {
    let places: Vec<String> = (1..=length).map(|place| format!("${place}")).collect();
    format!("{begin} ({})", places.join(", "))
}
