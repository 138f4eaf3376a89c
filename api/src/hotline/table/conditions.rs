//! What a query asks of columns, as the store asks it.

use riskgrid_analytics::tables::stored::{Asked, Comparison, Condition, Test, Value};

use crate::hotline::store::{Bound, LineConditions};

/// Those of them that are of columns which the store has by the same name and in the same form.
pub(super) fn conditions_of(asked: &Asked, made: &[&str]) -> LineConditions {
    let mut conditions = LineConditions::default();
    for Condition { column, test } in &asked.conditions {
        if made.contains(column) {
            continue;
        }
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
