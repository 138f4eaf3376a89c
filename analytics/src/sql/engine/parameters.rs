//! `$1`, `$2`, …: bound as literals in the syntax tree, so that they work wherever a literal does, arguments of table
//! functions included. The text of a parameter is never parsed as SQL.

use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value as AstValue};
use serde_json::Value;

use crate::sql::error::SqlError;

/// The parameters of one request and which of them were used.
pub(crate) struct Placeholders<'v> {
    values: &'v [Value],
    used: Vec<bool>,
}

/// The name of a placeholder, as `$1`, if the expression is one.
pub(crate) fn placeholder(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            AstValue::Placeholder(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

impl<'v> Placeholders<'v> {
    pub(crate) fn new(values: &'v [Value]) -> Self {
        Self {
            values,
            used: vec![false; values.len()],
        }
    }

    /// The literal that stands for `name`.
    ///
    /// # Errors
    /// [`SqlError::BadRequest`] if there is no such parameter, or it is a list or an object.
    pub(crate) fn bind(&mut self, name: &str) -> Result<Expr, SqlError> {
        let number = name
            .strip_prefix('$')
            .and_then(|digits| digits.parse::<usize>().ok())
            .unwrap_or(0);
        let Some(index) = number.checked_sub(1) else {
            return Err(SqlError::BadRequest(format!(
                "{name} is not a parameter; write $1 for the first of \"params\", $2 for the second"
            )));
        };
        match (self.values.get(index), self.used.get_mut(index)) {
            (Some(value), Some(used)) => {
                *used = true;
                literal(name, value)
            }
            _ => Err(SqlError::BadRequest(format!(
                "{name} has no value: \"params\" has {} of them",
                self.values.len()
            ))),
        }
    }

    /// # Errors
    /// [`SqlError::BadRequest`] if a parameter is not used: a sign of a wrong number.
    pub(crate) fn finish(self) -> Result<(), SqlError> {
        match self.used.iter().position(|used| !used) {
            Some(index) => Err(SqlError::BadRequest(format!(
                "parameter ${} of \"params\" is not used in the statement; take it out or use it",
                index + 1
            ))),
            None => Ok(()),
        }
    }
}

fn literal(name: &str, value: &Value) -> Result<Expr, SqlError> {
    let number = |text: String| match text.strip_prefix('-') {
        Some(positive) => Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: Box::new(Expr::value(AstValue::Number(positive.to_owned(), false))),
        },
        None => Expr::value(AstValue::Number(text, false)),
    };
    Ok(match value {
        Value::Null => Expr::value(AstValue::Null),
        Value::Bool(value) => Expr::value(AstValue::Boolean(*value)),
        Value::Number(value) => number(value.to_string()),
        Value::String(value) => Expr::value(AstValue::SingleQuotedString(value.clone())),
        Value::Array(_) | Value::Object(_) => {
            return Err(SqlError::BadRequest(format!(
                "{name} is a list or an object; a parameter is null, true, false, a number or a text"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sql::engine::statement::parse;

    fn bound(sql: &str, values: &[Value]) -> String {
        match parse(sql, values, 1 << 20) {
            Ok(statement) => statement.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn parameters_become_literals_and_never_syntax() {
        assert_eq!(
            bound(
                "SELECT $1, $2, $3, $4, $5",
                &[
                    json!("a' OR 1=1 --"),
                    json!(-7),
                    json!(1.5),
                    json!(null),
                    json!(true)
                ]
            ),
            "SELECT 'a'' OR 1=1 --', -7, 1.5, NULL, true"
        );
        assert_eq!(
            bound("SELECT * FROM f(a => $1) LIMIT $2", &[json!("x"), json!(3)]),
            "SELECT * FROM f(a => 'x') LIMIT 3"
        );
    }

    #[test]
    fn missing_surplus_and_odd_parameters_are_refused() {
        assert!(bound("SELECT $2", &[json!(1)]).contains("$2 has no value"));
        assert!(bound("SELECT $1", &[json!(1), json!(2)]).contains("$2 of \"params\" is not used"));
        assert!(bound("SELECT $name", &[]).contains("write $1"));
        assert!(bound("SELECT $1", &[json!([1])]).contains("is a list"));
    }
}
