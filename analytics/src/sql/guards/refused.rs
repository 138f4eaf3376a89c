//! Forms that `DataFusion` 55 fails at inside, or answers wrongly, and that are refused by name; and settings by which a
//! plan is kept from its faulty rules.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, WindowFrameBound};

use crate::sql::error::SqlError;

/// Refuses what cannot be answered, and sets `options` so that the rest is answered right.
///
/// # Errors
/// [`SqlError::BadRequest`] with a form that works.
pub(crate) fn check(plan: &LogicalPlan, options: &mut ConfigOptions) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if matches!(node, LogicalPlan::Window(_)) {
            // With a window below, DISTINCT … LIMIT fails inside when it stops early (report 25350).
            options.optimizer.enable_distinct_aggregation_soft_limit = false;
        }
        if !matches!(node, LogicalPlan::Window(_) | LogicalPlan::Aggregate(_)) {
            return Ok(TreeNodeRecursion::Continue);
        }
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                match part {
                    Expr::AggregateFunction(AggregateFunction { func, params }) => {
                        check_extreme(func.name(), &params.args, &schema)?;
                    }
                    Expr::WindowFunction(window) => check_window(window, &schema)?,
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map(|_| ())
}

fn check_window(window: &WindowFunction, schema: &DFSchema) -> Result<()> {
    let frame = &window.params.window_frame;
    for bound in [&frame.start_bound, &frame.end_bound] {
        let (WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value)) = bound else {
            continue;
        };
        // Rows are added to it as if it were signed.
        if number_of(value).is_some_and(|rows| rows > i64::MAX as u64) {
            return Err(SqlError::bad_request(
                "a frame of a window reaches at most 9223372036854775807 rows; write UNBOUNDED PRECEDING or UNBOUNDED FOLLOWING",
            )
            .into());
        }
    }
    check_extreme(window.fun.name(), &window.params.args, schema)
}

fn number_of(value: &ScalarValue) -> Option<u64> {
    match value {
        ScalarValue::UInt64(number) => *number,
        ScalarValue::Utf8(Some(text)) => text.parse().ok(),
        _ => None,
    }
}

fn check_extreme(name: &str, args: &[Expr], schema: &DFSchema) -> Result<()> {
    if !matches!(name, "min" | "max") {
        return Ok(());
    }
    for arg in args {
        if matches!(arg.get_type(schema)?, DataType::Map(..) | DataType::Union(..)) {
            return Err(SqlError::BadRequest(format!(
                "{name} takes no maps, which have no order of their own; take {name} of a value, as in {name}(m['key'])"
            ))
            .into());
        }
    }
    Ok(())
}
