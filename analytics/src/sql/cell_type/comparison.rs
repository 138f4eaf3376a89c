//! An H3 text compares with a column of cells: `cell = '89283082803ffff'`, `cell IN (…)`, BETWEEN, CASE.
//!
//! A literal becomes the number before types are coerced, so that scans see a plain comparison of `UInt64`; another text
//! expression goes through `h3_from_string`.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, BinaryExpr, Case, InList};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, ScalarUDF};

use super::column::{cell_literal, is_cell, parse_cell};

/// The rewrite; it needs the function `h3_from_string`.
#[derive(Debug)]
pub(crate) struct CellComparison {
    from_string: Arc<ScalarUDF>,
}

impl CellComparison {
    pub(crate) fn new(from_string: Arc<ScalarUDF>) -> Self {
        Self { from_string }
    }

    /// The expression as a cell if it is a text, else unchanged.
    fn as_cell(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        if let Expr::Literal(
            ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text),
            _,
        ) = &expr
        {
            let cell = text.as_deref().map(parse_cell).transpose()?;
            return Ok(Transformed::yes(cell_literal(cell)));
        }
        match expr.to_field(schema) {
            Ok((_, field)) if is_text(field.data_type()) => {
                Ok(Transformed::yes(self.from_string.call(vec![expr])))
            }
            _ => Ok(Transformed::no(expr)),
        }
    }

    fn boxed(&self, expr: Expr, schema: &DFSchema, changed: &mut bool) -> Result<Box<Expr>> {
        let done = self.as_cell(expr, schema)?;
        *changed |= done.transformed;
        Ok(Box::new(done.data))
    }
}

impl FunctionRewrite for CellComparison {
    fn name(&self) -> &'static str {
        "cell_comparison"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let mut changed = false;
        let expr = match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
                let (left, right) = match (names_cell(&left, schema), names_cell(&right, schema)) {
                    (true, false) => (left, self.boxed(*right, schema, &mut changed)?),
                    (false, true) => (self.boxed(*left, schema, &mut changed)?, right),
                    _ => (left, right),
                };
                Expr::BinaryExpr(BinaryExpr { left, op, right })
            }
            Expr::InList(InList { expr, list, negated }) if names_cell(&expr, schema) => {
                let list = list
                    .into_iter()
                    .map(|item| {
                        let done = self.as_cell(item, schema)?;
                        changed |= done.transformed;
                        Ok(done.data)
                    })
                    .collect::<Result<_>>()?;
                Expr::InList(InList { expr, list, negated })
            }
            Expr::Between(Between {
                expr,
                negated,
                low,
                high,
            }) if names_cell(&expr, schema) => {
                let low = self.boxed(*low, schema, &mut changed)?;
                let high = self.boxed(*high, schema, &mut changed)?;
                Expr::Between(Between {
                    expr,
                    negated,
                    low,
                    high,
                })
            }
            Expr::Case(Case {
                expr: Some(expr),
                when_then_expr,
                else_expr,
            }) if names_cell(&expr, schema) => {
                let when_then_expr = when_then_expr
                    .into_iter()
                    .map(|(when, then)| Ok((self.boxed(*when, schema, &mut changed)?, then)))
                    .collect::<Result<_>>()?;
                Expr::Case(Case {
                    expr: Some(expr),
                    when_then_expr,
                    else_expr,
                })
            }
            other => other,
        };
        Ok(if changed {
            Transformed::yes(expr)
        } else {
            Transformed::no(expr)
        })
    }
}

fn compares(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn names_cell(expr: &Expr, schema: &DFSchema) -> bool {
    expr.to_field(schema).is_ok_and(|(_, field)| is_cell(&field))
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}
