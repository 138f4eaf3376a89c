//! Conditions on the columns of a stored table, as SQL.

use riskgrid_analytics::tables::stored::{Asked, Comparison, Condition, Test, Value};
use sqlx::any::AnyArguments;
use sqlx::query::QueryAs;
use sqlx::{Any, FromRow};

use super::Row;

/// A value that a condition compares with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// Of a text.
    Text(String),
    /// Of a time in µs, or a cell.
    Number(i64),
}

/// Conditions of which all must hold: SQL with `?` for each of the values, in their order. It is made of names and operators that
/// the program knows, never of a client's text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions {
    /// Such as `state = ?`.
    pub sql: Vec<String>,
    /// The values.
    pub values: Vec<Bound>,
}

impl Conditions {
    /// What a query asks of columns; `stored_as` has the name of a column in the database, or `None` where that does not have it
    /// in the form in which it is asked for: then the query looks for itself.
    pub fn of(asked: &Asked, stored_as: impl Fn(&'static str) -> Option<&'static str>) -> Self {
        let mut conditions = Self::default();
        for Condition { column, test } in &asked.conditions {
            let Some(column) = stored_as(column) else {
                continue;
            };
            let test = match test {
                Test::Compares(comparison, value) => {
                    conditions.values.push(bound(value));
                    format!("{} ?", sign(*comparison))
                }
                Test::IsOneOf(values) => {
                    conditions.values.extend(values.iter().map(bound));
                    format!("IN ({})", vec!["?"; values.len()].join(", "))
                }
                Test::IsNull => "IS NULL".to_owned(),
                Test::IsNotNull => "IS NOT NULL".to_owned(),
            };
            conditions.sql.push(format!("{column} {test}"));
        }
        conditions
    }

    /// Adds one, with `?` for each of its values.
    pub fn add(&mut self, sql: impl Into<String>, values: impl IntoIterator<Item = Bound>) {
        self.sql.push(sql.into());
        self.values.extend(values);
    }

    /// That a column has this text, where one is asked for.
    pub fn has<'t>(&mut self, column: &str, text: impl Into<Option<&'t str>>) {
        if let Some(text) = text.into() {
            self.add(format!("{column} = ?"), [Bound::Text(text.to_owned())]);
        }
    }

    /// That a column has one of these texts, where some are asked for.
    pub fn has_one_of<'t>(&mut self, column: &str, texts: impl IntoIterator<Item = &'t str>) {
        let texts: Vec<Bound> = texts
            .into_iter()
            .map(|text| Bound::Text(text.to_owned()))
            .collect();
        if !texts.is_empty() {
            let places = vec!["?"; texts.len()].join(", ");
            self.add(format!("{column} IN ({places})"), texts);
        }
    }

    /// That the list of texts which a column has as JSON holds this one, where one is asked for.
    pub fn lists<'t>(&mut self, column: &str, text: impl Into<Option<&'t str>>) {
        let Some(text) = text.into() else { return };
        // Each stands in the list as JSON has it.
        let member = serde_json::Value::from(text).to_string();
        let escaped = member.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        self.add(
            format!("{column} LIKE ? ESCAPE '!'"),
            [Bound::Text(format!("%{escaped}%"))],
        );
    }

    /// That a number is such, where one is asked for; `?` in `sql` stands for it.
    pub fn number(&mut self, sql: &str, number: Option<i64>) {
        if let Some(number) = number {
            self.add(sql, [Bound::Number(number)]);
        }
    }

    /// The query for rows of which all holds: in `sql`, of the program's own words, `$WHERE` stands where that is to be said.
    pub(crate) fn query<R>(self, sql: &str) -> QueryAs<'static, Any, R, AnyArguments>
    where
        R: for<'r> FromRow<'r, Row>,
    {
        let all = if self.sql.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", self.sql.join(" AND "))
        };
        let sql = numbered(&sql.replace("$WHERE", &all));
        let query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
        self.values.into_iter().fold(query, |query, value| match value {
            Bound::Text(text) => query.bind(text),
            Bound::Number(number) => query.bind(number),
        })
    }
}

/// `?` for each value as both databases take them: `$1`, `$2`, ….
fn numbered(sql: &str) -> String {
    let mut parts = sql.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    parts
        .enumerate()
        .fold(first, |text, (place, part)| format!("{text}${}{part}", place + 1))
}

const fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn bound(value: &Value) -> Bound {
    match value {
        Value::Text(text) => Bound::Text(text.clone()),
        Value::Time(time) => Bound::Number(time.micros()),
        Value::Cell(cell) => Bound::Number(u64::from(*cell).cast_signed()),
    }
}
