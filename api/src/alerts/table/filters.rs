//! Which filters of a query the database can apply: comparisons of a column with a constant. The query applies all of them
//! once more, so what is not known here is left to it.

use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;

use crate::alerts::store::{Bound, Conditions};

/// Columns of texts.
const TEXTS: [&str; 6] = ["id", "rule", "state", "severity", "layer", "sensor"];
/// Columns of times.
const TIMES: [&str; 4] = ["at", "fired_at", "resolved_at", "acknowledged_at"];
/// Longest list of `IN`.
const LONGEST_LIST: usize = 100;

/// What the database can apply of these filters.
pub(super) fn conditions(filters: &[Expr]) -> Conditions {
    let mut conditions = Conditions::default();
    for filter in filters {
        if let Some((sql, values)) = condition(filter) {
            conditions.sql.push(sql);
            conditions.values.extend(values);
        }
    }
    conditions
}

/// Whether the database can apply a filter.
pub(super) fn is_known(filter: &Expr) -> bool {
    condition(filter).is_some()
}

fn condition(filter: &Expr) -> Option<(String, Vec<Bound>)> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
            (Expr::Column(column), Expr::Literal(value, _)) => comparison(&column.name, *op, value),
            (Expr::Literal(value, _), Expr::Column(column)) => comparison(&column.name, op.swap()?, value),
            _ => None,
        },
        Expr::IsNull(of) => Some((format!("{} IS NULL", nullable(of)?), Vec::new())),
        Expr::IsNotNull(of) => Some((format!("{} IS NOT NULL", nullable(of)?), Vec::new())),
        Expr::InList(list) if !list.negated && (1..=LONGEST_LIST).contains(&list.list.len()) => {
            let Expr::Column(column) = &*list.expr else {
                return None;
            };
            let values = list.list.iter().map(|item| match item {
                Expr::Literal(value, _) => bound(&column.name, value),
                _ => None,
            });
            let values: Vec<Bound> = values.collect::<Option<_>>()?;
            let places = vec!["?"; values.len()].join(", ");
            Some((format!("{} IN ({places})", column.name), values))
        }
        _ => None,
    }
}

fn comparison(column: &str, operator: Operator, value: &ScalarValue) -> Option<(String, Vec<Bound>)> {
    let value = bound(column, value)?;
    let sign = match operator {
        Operator::Eq => "=",
        // Texts and cells are ordered otherwise there.
        Operator::Lt if TIMES.contains(&column) => "<",
        Operator::LtEq if TIMES.contains(&column) => "<=",
        Operator::Gt if TIMES.contains(&column) => ">",
        Operator::GtEq if TIMES.contains(&column) => ">=",
        _ => return None,
    };
    Some((format!("{column} {sign} ?"), vec![value]))
}

/// A constant that the column can be compared with.
fn bound(column: &str, value: &ScalarValue) -> Option<Bound> {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
            if TEXTS.contains(&column) =>
        {
            Some(Bound::Text(text.clone()))
        }
        ScalarValue::TimestampMicrosecond(Some(micros), _) if TIMES.contains(&column) => {
            Some(Bound::Number(*micros))
        }
        ScalarValue::UInt64(Some(cell)) if column == "cell" => Some(Bound::Number(cell.cast_signed())),
        _ => None,
    }
}

fn nullable(of: &Expr) -> Option<&str> {
    let Expr::Column(column) = of else { return None };
    ["sensor", "cell", "resolved_at", "acknowledged_at"]
        .into_iter()
        .find(|name| *name == column.name)
}
