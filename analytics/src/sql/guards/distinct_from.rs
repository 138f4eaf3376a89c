//! `a IS DISTINCT FROM b AND c` as SQL means it: `(a IS DISTINCT FROM b) AND c`.
//!
//! The parser takes all that follows for the right side, up to the next bracket. With truth values that is a wrong answer without
//! an error. Here the AND and OR that it swallowed are put back into the chain that they belong to.

use std::mem;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

/// Puts the chain of AND and OR that begins at `expr` right. To be called from the outside in.
pub(crate) fn put_right(expr: &mut Expr) {
    if swallows(expr) {
        let whole = mem::replace(expr, Expr::value(Value::Null));
        *expr = chained(parts(whole));
    }
}

fn joins(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::And | BinaryOperator::Or)
}

fn is_chain(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op, .. } if joins(op))
}

/// Whether a part of the chain has AND or OR on its right side without brackets.
fn swallows(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryOp { left, op, right } if joins(op) => swallows(left) || swallows(right),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => is_chain(expr) || swallows(expr),
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => {
            is_chain(right) || swallows(right)
        }
        _ => false,
    }
}

/// A chain from left to right: its first operand, and the others with what stands before them.
struct Parts {
    first: Expr,
    rest: Vec<(BinaryOperator, Expr)>,
}

impl Parts {
    fn with_first(self, wrap: impl FnOnce(Box<Expr>) -> Expr) -> Self {
        Self {
            first: wrap(Box::new(self.first)),
            rest: self.rest,
        }
    }
}

fn parts(expr: Expr) -> Parts {
    match expr {
        Expr::BinaryOp { left, op, right } if joins(&op) => {
            let (mut left, right) = (parts(*left), parts(*right));
            left.rest.push((op, right.first));
            left.rest.extend(right.rest);
            left
        }
        Expr::UnaryOp {
            op: op @ UnaryOperator::Not,
            expr,
        } => parts(*expr).with_first(|expr| Expr::UnaryOp { op, expr }),
        Expr::IsDistinctFrom(left, right) => {
            parts(*right).with_first(|right| Expr::IsDistinctFrom(left, right))
        }
        Expr::IsNotDistinctFrom(left, right) => {
            parts(*right).with_first(|right| Expr::IsNotDistinctFrom(left, right))
        }
        other => Parts {
            first: other,
            rest: Vec::new(),
        },
    }
}

/// AND binds closer than OR.
fn chained(parts: Parts) -> Expr {
    let join = |left: Expr, op, right| Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    };
    let mut alternatives = vec![parts.first];
    for (op, operand) in parts.rest {
        match (op, alternatives.pop()) {
            (BinaryOperator::And, Some(last)) => alternatives.push(join(last, BinaryOperator::And, operand)),
            (_, last) => {
                alternatives.extend(last);
                alternatives.push(operand);
            }
        }
    }
    let all = alternatives
        .into_iter()
        .reduce(|left, right| join(left, BinaryOperator::Or, right));
    all.unwrap_or_else(|| Expr::value(Value::Null))
}
