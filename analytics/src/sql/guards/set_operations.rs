//! INTERSECT ALL and EXCEPT ALL, which count how often a row is on either side.
//!
//! `DataFusion` 55 plans them as a semi and an anti join of the rows as they are: a row that is three times on the left and once on the
//! right comes three times, or never (its reports 12955 and 12956). Here equal rows of each side are numbered, and the
//! numbers are compared too: the first three with the first one.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Distinct, Expr, ExprFunctionExt as _, Join, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;

use crate::sql::rare_rules::{Need, RareRule};

/// The column of numbers; it does not leave the join.
const NUMBER: &str = "__number_of_equal_row";

#[derive(Debug)]
struct NumberEqualRows;

impl AnalyzerRule for NumberEqualRows {
    fn name(&self) -> &'static str {
        "number_equal_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) if counts_rows(&join) => numbered(&join).map(Transformed::yes),
            other => Ok(Transformed::no(other)),
        })
        .map(|done| done.data)
    }
}

/// The rule, where a plan needs it.
pub(super) fn number_equal_rows() -> RareRule {
    RareRule {
        rule: Arc::new(NumberEqualRows),
        needed_for: Need::Node(|node| matches!(node, LogicalPlan::Join(join) if counts_rows(join))),
    }
}

/// Before the optimizer runs, only set operations make semi and anti joins in which NULL equals NULL; those without ALL have
/// distinct rows on the left.
fn counts_rows(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && !join.null_aware
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)))
}

fn numbered(join: &Join) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = join
        .left
        .schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .collect();
    let (left, right): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
    let left_side = with_number(&join.left, &left)?.alias("__left_rows")?.build()?;
    let right_side = with_number(&join.right, &right)?.alias("__right_rows")?.build()?;
    // A whole row is compared: both sides have their columns in the order of the keys.
    let keys = |side: &LogicalPlan| side.schema().columns().into_iter().collect::<Vec<Column>>();
    let (left_keys, right_keys) = (keys(&left_side), keys(&right_side));
    let named = left_keys
        .iter()
        .zip(&columns)
        .map(|(key, column)| match column {
            Expr::Column(Column { relation, name, .. }) => {
                Expr::Column(key.clone()).alias_qualified(relation.clone(), name)
            }
            other => other.clone(),
        })
        .collect::<Vec<_>>();
    LogicalPlanBuilder::from(left_side)
        .join_detailed(
            right_side,
            join.join_type,
            (left_keys, right_keys),
            None,
            NullEquality::NullEqualsNull,
        )?
        .project(named)?
        .build()
}

/// The columns of a side under names of their own, and the number of each row among its equals.
fn with_number(side: &Arc<LogicalPlan>, keys: &[Expr]) -> Result<LogicalPlanBuilder> {
    let number = Expr::from(WindowFunction::new(row_number_udwf(), vec![]))
        .partition_by(keys.to_vec())
        .build()?
        .alias(NUMBER);
    let columns = side.schema().columns();
    let renamed = columns
        .into_iter()
        .enumerate()
        .map(|(index, column)| Expr::Column(column).alias(format!("__column_{index}")))
        .chain([Expr::Column(Column::new_unqualified(NUMBER))]);
    LogicalPlanBuilder::from(side.as_ref().clone())
        .window([number])?
        .project(renamed)
}
