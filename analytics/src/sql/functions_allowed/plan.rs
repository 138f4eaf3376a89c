//! Looks at a whole plan once its constants are folded: arguments that must be small constants are, and constants that
//! are wide are counted wherever they are spread over rows.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::{NullTreatment, WindowFunctionParams};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Expr, LogicalPlan, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};

use super::aggregates::{self, Constant};
use super::{patterns, wide_constant};
use crate::sql::error::SqlError;

/// Rows of a frame over which an aggregate may keep all its input.
const FRAME_ROWS: u64 = 1_000;
/// The farthest that `lag` and `lead` look with IGNORE NULLS.
const OFFSET_IGNORING_NULLS: i128 = 1_000;
/// Bytes of a constant in a window function, which may be given for each row of a whole partition.
const WINDOW_CONSTANT: usize = 1_024;

/// The same plan, with its wide constants counted.
///
/// # Errors
/// [`SqlError::BadRequest`] that names the function, the argument and what is allowed.
pub(crate) fn check_plan(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut has_wide = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                check_part(part)?;
                has_wide |= wide_constant::is_wide(part);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if !has_wide {
        return Ok(plan);
    }
    plan.transform_down_with_subqueries(|node| {
        if matches!(
            node,
            LogicalPlan::Values(_)
                | LogicalPlan::TableScan(_)
                | LogicalPlan::Limit(_)
                | LogicalPlan::Extension(_)
        ) {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let counted = expr.transform_down(|part| Ok(wide_constant::counted(part)))?;
            Ok(counted.update_data(|expr| name.restore(expr)))
        })
    })
    .map(|done| done.data)
}

fn check_part(part: &Expr) -> Result<(), SqlError> {
    match part {
        Expr::AggregateFunction(call) => {
            let name = call.func.name();
            let bounds = aggregates::aggregate(name).ok_or_else(|| unknown(name))?;
            check_constants(name, bounds.constants, &call.params.args)
        }
        Expr::WindowFunction(call) => {
            let name = call.fun.name();
            let params = &call.params;
            match &call.fun {
                WindowFunctionDefinition::AggregateUDF(_) => {
                    let bounds = aggregates::aggregate(name).ok_or_else(|| unknown(name))?;
                    if bounds.holds_input && !is_short(&params.window_frame) {
                        return Err(SqlError::BadRequest(format!(
                            "{name} over a window would hold all rows of a frame for each of them; give it a frame of \
                             at most {FRAME_ROWS} rows, such as ROWS BETWEEN 100 PRECEDING AND CURRENT ROW"
                        )));
                    }
                    check_constants(name, bounds.constants, &params.args)?;
                }
                WindowFunctionDefinition::WindowUDF(_) => {
                    let constants = aggregates::window(name).ok_or_else(|| unknown(name))?;
                    check_constants(name, constants, &params.args)?;
                    check_offset(name, params)?;
                }
            }
            for arg in &params.args {
                if let Some(value) = constant(arg)
                    && value.size() > WINDOW_CONSTANT
                {
                    return Err(SqlError::BadRequest(format!(
                        "{name}: a constant has {} bytes, allowed are {WINDOW_CONSTANT} in a window",
                        value.size()
                    )));
                }
            }
            Ok(())
        }
        Expr::ScalarFunction(call) => check_pattern(call.name(), &call.args),
        _ => Ok(()),
    }
}

/// A constant pattern without flags; with flags the function itself says what is wrong.
fn check_pattern(name: &str, args: &[Expr]) -> Result<(), SqlError> {
    let without_flags = match name {
        "regexp_like" | "regexp_match" | "regexp_count" | "regexp_instr" => 2,
        "regexp_replace" => 3,
        _ => return Ok(()),
    };
    let pattern = args
        .get(1)
        .filter(|_| args.len() == without_flags)
        .and_then(constant)
        .and_then(|value| value.try_as_str().flatten());
    pattern.map_or(Ok(()), |pattern| patterns::check_constant(name, pattern))
}

fn unknown(name: &str) -> SqlError {
    SqlError::BadRequest(format!("there is no function {name}"))
}

fn check_constants(name: &str, constants: &[(usize, Constant)], args: &[Expr]) -> Result<(), SqlError> {
    for (index, allowed) in constants {
        let Some(arg) = args.get(*index) else { continue };
        let refused = |is: String, allowed: String| {
            SqlError::BadRequest(format!(
                "{name}: argument {} is {is}, allowed is {allowed}",
                index + 1
            ))
        };
        let value = constant(arg);
        match allowed {
            Constant::Whole(least, most) => {
                let range = format!("a whole constant from {least} to {most}");
                let Some(value) = value else {
                    return Err(refused("no constant".to_owned(), range));
                };
                if value.is_null() {
                    continue;
                }
                let number = whole(value).filter(|number| (least..=most).contains(&number));
                number.ok_or_else(|| refused(value.to_string(), range))?;
            }
            Constant::Text(longest) => {
                let range = format!("a constant text of at most {longest} bytes");
                let Some(value) = value else {
                    return Err(refused("no constant".to_owned(), range));
                };
                let length = value.try_as_str().flatten().map_or(0, str::len);
                if length > *longest {
                    return Err(refused(format!("{length} bytes long"), range));
                }
            }
        }
    }
    Ok(())
}

fn check_offset(name: &str, params: &WindowFunctionParams) -> Result<(), SqlError> {
    if params.null_treatment != Some(NullTreatment::IgnoreNulls) || !matches!(name, "lag" | "lead") {
        return Ok(());
    }
    let constants = [(1, Constant::Whole(-OFFSET_IGNORING_NULLS, OFFSET_IGNORING_NULLS))];
    check_constants(name, &constants, &params.args)
}

/// The value of what is one once it is folded.
fn constant(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => constant(&alias.expr),
        Expr::Cast(cast) => constant(&cast.expr),
        _ => None,
    }
}

fn whole(value: &ScalarValue) -> Option<i128> {
    Some(match value {
        ScalarValue::Int8(Some(number)) => i128::from(*number),
        ScalarValue::Int16(Some(number)) => i128::from(*number),
        ScalarValue::Int32(Some(number)) => i128::from(*number),
        ScalarValue::Int64(Some(number)) => i128::from(*number),
        ScalarValue::UInt8(Some(number)) => i128::from(*number),
        ScalarValue::UInt16(Some(number)) => i128::from(*number),
        ScalarValue::UInt32(Some(number)) => i128::from(*number),
        ScalarValue::UInt64(Some(number)) => i128::from(*number),
        _ => return None,
    })
}

/// Whether a frame can have only few rows.
fn is_short(frame: &WindowFrame) -> bool {
    let rows = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => Some(0),
        WindowFrameBound::Preceding(ScalarValue::UInt64(rows))
        | WindowFrameBound::Following(ScalarValue::UInt64(rows)) => *rows,
        _ => None,
    };
    frame.units == WindowFrameUnits::Rows
        && rows(&frame.start_bound)
            .zip(rows(&frame.end_bound))
            .is_some_and(|(start, end)| start <= FRAME_ROWS && end <= FRAME_ROWS)
}
