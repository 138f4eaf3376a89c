//! `x IN (1, 2) AND x NOT IN (1, NULL)`, `x NOT IN (1) OR x NOT IN (2)`: lists are kept apart where putting them together
//! would answer otherwise.
//!
//! `DataFusion` 55 makes one list of two beside each other on one expression as if nothing were NULL, and as if items that
//! are no literals were unequal (its report 24258): the first is true for 2, the second for NULL. Here one of two such lists is
//! hidden from the rule while it runs. Lists that may be put together (`x IN (1) OR x IN (2)`, `x NOT IN (1) AND x NOT IN (2)`)
//! still are.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::{BinaryExpr, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// `DataFusion`'s rule of the same name, on expressions in which it does not find lists that it would spoil.
#[derive(Debug, Default)]
pub(super) struct SimplifyApart {
    inner: SimplifyExpressions,
}

impl OptimizerRule for SimplifyApart {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.inner.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !has_two_lists(&plan)? {
            return self.inner.rewrite(plan, config);
        }
        // The name of an aggregate with FILTER shows its condition.
        let names = NamePreserver::new(&plan);
        let hidden = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let hidden = expr.transform_up(|expr| Ok(hide(expr)))?;
            Ok(hidden.update_data(|expr| name.restore(expr)))
        })?;
        let simplified = self.inner.rewrite(hidden.data, config)?;
        let changed = simplified.transformed;
        let shown = simplified
            .data
            .map_expressions(|expr| expr.transform_up(|expr| Ok(show(expr))))?;
        Ok(Transformed::new_transformed(shown.data, changed))
    }
}

/// Whether some expression of the node has two lists or more.
fn has_two_lists(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_expressions(|expr| {
        let mut lists = 0;
        expr.apply(|part| {
            lists += usize::from(listed(part).is_some());
            found |= lists > 1;
            Ok(match part {
                _ if found => TreeNodeRecursion::Stop,
                // Its items are not looked through: they may be thousands.
                Expr::InList(_) => TreeNodeRecursion::Jump,
                _ => TreeNodeRecursion::Continue,
            })
        })?;
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(found)
}

/// Puts the right side of an AND or OR out of sight if both sides have lists on one expression that must not become one.
fn hide(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::And | Operator::Or),
            right,
        }) if meet(&left, &right) && !(joins_well(op, &left) && joins_well(op, &right)) => {
            let right = Box::new(HIDDEN.call(vec![*right]));
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        other => Transformed::no(other),
    }
}

fn show(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if func.inner().is::<Hidden>() => {
            match args.pop() {
                Some(shown) => Transformed::yes(shown),
                None => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
            }
        }
        other => Transformed::no(other),
    }
}

/// The expression that a list, or an equality that may become one, is about.
fn listed(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::InList(InList { expr, .. }) => Some(expr),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq | Operator::NotEq,
            right,
        }) => match (left.as_ref(), right.as_ref()) {
            (column @ Expr::Column(_), Expr::Literal(..)) | (Expr::Literal(..), column @ Expr::Column(_)) => {
                Some(column)
            }
            _ => None,
        },
        _ => None,
    }
}

fn all_listed(expr: &Expr) -> HashSet<&Expr> {
    let mut found = HashSet::new();
    // The visitor never fails.
    let _ = expr.apply(|part| {
        found.extend(listed(part));
        Ok(match part {
            Expr::InList(_) => TreeNodeRecursion::Jump,
            _ => TreeNodeRecursion::Continue,
        })
    });
    found
}

/// Whether lists of both sides are about the same columns: simplified, they may turn out to be about the same expression.
fn meet(left: &Expr, right: &Expr) -> bool {
    let (left, right) = (all_listed(left), all_listed(right));
    let columns = |listed: &HashSet<&Expr>| -> HashSet<Column> {
        listed
            .iter()
            .flat_map(|expr| expr.column_refs().into_iter().cloned())
            .collect()
    };
    !left.is_disjoint(&right) || !columns(&left).is_disjoint(&columns(&right))
}

/// Whether all parts are lists that this operator makes one of to the same answer, NULL or not.
fn joins_well(op: Operator, expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: inner @ (Operator::And | Operator::Or),
            right,
        }) => *inner == op && joins_well(op, left) && joins_well(op, right),
        Expr::InList(InList { negated, .. }) => *negated == (op == Operator::And),
        Expr::BinaryExpr(BinaryExpr { op: compared, .. }) => {
            *compared
                == if op == Operator::And {
                    Operator::NotEq
                } else {
                    Operator::Eq
                }
        }
        _ => false,
    }
}

static HIDDEN: LazyLock<ScalarUDF> = LazyLock::new(|| {
    ScalarUDF::new_from_impl(Hidden {
        signature: Signature::any(1, Volatility::Immutable),
    })
});

/// Gives back what it gets. It has no name in a schema and is gone when the rule has run.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Hidden {
    signature: Signature,
}

impl ScalarUDFImpl for Hidden {
    fn name(&self) -> &'static str {
        "hidden_condition"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [condition] = take_function_args(self.name(), args)?;
        Ok(condition.schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [condition] = take_function_args(self.name(), args.args)?;
        Ok(condition)
    }
}

/// `rules` with this one in the place of `DataFusion`'s.
pub(super) fn simplify_apart(
    rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
) -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let ours = SimplifyApart::default();
    rules
        .into_iter()
        .map(|rule| {
            if rule.name() == ours.name() {
                Arc::new(SimplifyApart::default())
            } else {
                rule
            }
        })
        .collect()
}
