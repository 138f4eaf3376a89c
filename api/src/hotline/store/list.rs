//! Cases by what is asked of them, the newest first.

use super::case::CaseRow;
use super::{Connection, StoreError};
use crate::database::{Bound, Conditions};

/// What is asked of cases: all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the parameters of the contract, by their names")]
pub struct CaseFilter {
    pub state: Option<String>,
    /// One of these; empty: any.
    pub offices: Vec<String>,
    pub layer: Option<String>,
    pub area: Option<String>,
    pub card: Option<String>,
    pub due_before: Option<i64>,
    pub parent: Option<String>,
    pub opened_from: Option<i64>,
    pub opened_before: Option<i64>,
    pub updated_from: Option<i64>,
    pub updated_before: Option<i64>,
}

/// Behind which case a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CasePlace {
    /// When it was opened.
    pub opened_at: i64,
    /// Its id.
    pub id: String,
}

/// The next cases behind `after`, at most so many.
///
/// # Errors
/// The database's.
pub async fn list_cases(
    connection: &mut Connection,
    filter: &CaseFilter,
    after: Option<&CasePlace>,
    most: u32,
) -> Result<Vec<CaseRow>, StoreError> {
    let mut conditions = Conditions::default();
    conditions.has("cases.state", filter.state.as_deref());
    conditions.has("cases.layer", filter.layer.as_deref());
    conditions.has("cases.parent", filter.parent.as_deref());
    conditions.number("cases.opened_at >= ?", filter.opened_from);
    conditions.number("cases.opened_at < ?", filter.opened_before);
    conditions.number("cases.updated_at >= ?", filter.updated_from);
    conditions.number("cases.updated_at < ?", filter.updated_before);
    conditions.lists("cases.areas", filter.area.as_deref());
    if let Some(card) = &filter.card {
        conditions.add(
            "EXISTS (SELECT 1 FROM case_clocks WHERE case_clocks.case_id = cases.id AND case_clocks.card = ?
                AND case_clocks.state <> 'stopped')",
            [Bound::Text(card.clone())],
        );
    }
    conditions.number(
        "EXISTS (SELECT 1 FROM case_clocks WHERE case_clocks.case_id = cases.id AND case_clocks.state <> 'stopped'
            AND case_clocks.name IN ('handle', 'citizen') AND case_clocks.due_at < ?)",
        filter.due_before,
    );
    conditions.has_one_of("cases.office", filter.offices.iter().map(String::as_str));
    if let Some(after) = after {
        let place = [Bound::Number(after.opened_at), Bound::Text(after.id.clone())];
        conditions.add("(cases.opened_at, cases.id) < (?, ?)", place);
    }
    let sql = format!("SELECT * FROM cases $WHERE ORDER BY cases.opened_at DESC, cases.id DESC LIMIT {most}");
    Ok(conditions.query(&sql).fetch_all(connection).await?)
}
