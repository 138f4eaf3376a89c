//! Cases by what is asked of them, the newest first.

use super::case::CaseRow;
use super::{Connection, StoreError};

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

enum Bound {
    Text(String),
    Number(i64),
}

/// Collects conditions with their values.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Bound>,
}

impl Conditions {
    /// `?` in `sql` stands for the value.
    fn add(&mut self, sql: &str, value: Bound) {
        self.values.push(value);
        self.sql
            .push(sql.replace('?', &format!("${}", self.values.len())));
    }

    fn text(&mut self, sql: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.add(sql, Bound::Text(value.clone()));
        }
    }

    fn number(&mut self, sql: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.add(sql, Bound::Number(value));
        }
    }
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
    conditions.text("cases.state = ?", filter.state.as_ref());
    conditions.text("cases.layer = ?", filter.layer.as_ref());
    conditions.text("cases.parent = ?", filter.parent.as_ref());
    conditions.number("cases.opened_at >= ?", filter.opened_from);
    conditions.number("cases.opened_at < ?", filter.opened_before);
    conditions.number("cases.updated_at >= ?", filter.updated_from);
    conditions.number("cases.updated_at < ?", filter.updated_before);
    if let Some(area) = &filter.area {
        // Ids of areas stand in the list as JSON has them.
        let member = serde_json::Value::from(area.as_str()).to_string();
        conditions.add(
            "cases.areas LIKE ? ESCAPE '!'",
            Bound::Text(format!("%{}%", escaped(&member))),
        );
    }
    conditions.text(
        "EXISTS (SELECT 1 FROM case_clocks WHERE case_clocks.case_id = cases.id AND case_clocks.card = ?
            AND case_clocks.state <> 'stopped')",
        filter.card.as_ref(),
    );
    conditions.number(
        "EXISTS (SELECT 1 FROM case_clocks WHERE case_clocks.case_id = cases.id AND case_clocks.state <> 'stopped'
            AND case_clocks.name IN ('handle', 'citizen') AND case_clocks.due_at < ?)",
        filter.due_before,
    );
    if !filter.offices.is_empty() {
        let first = conditions.values.len() + 1;
        let places = (first..first + filter.offices.len()).map(|place| format!("${place}"));
        let places = places.collect::<Vec<_>>().join(", ");
        conditions.sql.push(format!("cases.office IN ({places})"));
        let offices = filter.offices.iter().cloned().map(Bound::Text);
        conditions.values.extend(offices);
    }
    if let Some(after) = after {
        let place = conditions.values.len();
        conditions.sql.push(format!(
            "(cases.opened_at, cases.id) < (${}, ${})",
            place + 1,
            place + 2
        ));
        conditions.values.push(Bound::Number(after.opened_at));
        conditions.values.push(Bound::Text(after.id.clone()));
    }
    let wanted = if conditions.sql.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", conditions.sql.join(" AND "))
    };
    let sql =
        format!("SELECT * FROM cases {wanted} ORDER BY cases.opened_at DESC, cases.id DESC LIMIT {most}");
    // The conditions are the program's own words.
    let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
    for value in conditions.values {
        query = match value {
            Bound::Text(text) => query.bind(text),
            Bound::Number(number) => query.bind(number),
        };
    }
    Ok(query.fetch_all(connection).await?)
}

/// A text in which nothing stands for others.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, letter| {
        if matches!(letter, '%' | '_' | '!') {
            escaped.push('!');
        }
        escaped.push(letter);
        escaped
    })
}
