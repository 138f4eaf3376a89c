//! Conditions on the columns of a stored table, as SQL.

use riskgrid_analytics::tables::stored::{Asked, Comparison, Condition, Test, Value};

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
