//! Forms that `DataFusion` 55 fails at inside, or answers wrongly, and that are refused by name; and settings by which a
//! plan is kept from its faulty rules.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, WindowFrameBound};

use crate::sql::error::SqlError;

/// The calls of a node that are looked at, over the columns of its inputs.
pub(super) struct Calls {
    schema: DFSchema,
}

impl Calls {
    /// Those of a node that can have some; `options` are set so that it is answered right.
    pub(super) fn of(node: &LogicalPlan, options: &mut ConfigOptions) -> Option<Self> {
        match node {
            LogicalPlan::Window(_) => {
                // With a window below, DISTINCT … LIMIT fails inside when it stops early (report 25350).
                options.optimizer.enable_distinct_aggregation_soft_limit = false;
            }
            LogicalPlan::Aggregate(_) => {}
            _ => return None,
        }
        Some(Self {
            schema: merge_schema(&node.inputs()),
        })
    }

    /// # Errors
    /// [`SqlError::BadRequest`] with a form that works, if a call cannot be answered.
    pub(super) fn check(&self, part: &Expr) -> Result<()> {
        match part {
            Expr::AggregateFunction(AggregateFunction { func, params }) => {
                check_extreme(func.name(), &params.args, &self.schema)
            }
            Expr::WindowFunction(window) => check_window(window, &self.schema),
            _ => Ok(()),
        }
    }
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
