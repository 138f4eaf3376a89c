//! Windows ordered by an interval, a map or a struct.
//!
//! `DataFusion` 55 asks what a distance of such values is, although `ORDER BY i` alone needs none, and fails inside. A frame that
//! ends at the rows that equal the current one is the same by groups of equal rows.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, ExprSchemable, WindowFrame, WindowFrameBound, WindowFrameUnits};

use crate::sql::error::SqlError;

#[derive(Debug)]
pub(crate) struct FramesByGroups;

impl FunctionRewrite for FramesByGroups {
    fn name(&self) -> &'static str {
        "frames_by_groups"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let Expr::WindowFunction(mut window) = expr else {
            return Ok(Transformed::no(expr));
        };
        let Some(kind) = without_distance(&window, schema)? else {
            return Ok(Transformed::no(Expr::WindowFunction(window)));
        };
        let frame = &window.params.window_frame;
        if !(is_free(&frame.start_bound) && is_free(&frame.end_bound)) {
            return Err(SqlError::BadRequest(format!(
                "RANGE with a distance cannot be ordered by {kind}; order by a number, such as extract(epoch FROM …), or \
                 use ROWS or GROUPS"
            ))
            .into());
        }
        window.params.window_frame = WindowFrame::new_bounds(
            WindowFrameUnits::Groups,
            frame.start_bound.clone(),
            frame.end_bound.clone(),
        );
        Ok(Transformed::yes(Expr::WindowFunction(window)))
    }
}

/// Whether a bound needs no distance.
fn is_free(bound: &WindowFrameBound) -> bool {
    match bound {
        WindowFrameBound::CurrentRow => true,
        WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) => value.is_null(),
    }
}

/// The type that a frame by RANGE is ordered by if it has no distances.
fn without_distance(window: &WindowFunction, schema: &DFSchema) -> Result<Option<DataType>> {
    if window.params.window_frame.units != WindowFrameUnits::Range {
        return Ok(None);
    }
    for sort in &window.params.order_by {
        let kind = sort.expr.get_type(schema)?;
        if lacks_distance(&kind) {
            return Ok(Some(kind));
        }
    }
    Ok(None)
}

fn lacks_distance(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => lacks_distance(value),
        DataType::Interval(_)
        | DataType::Duration(_)
        | DataType::Struct(_)
        | DataType::Map(..)
        | DataType::Union(..)
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::RunEndEncoded(..) => true,
        _ => false,
    }
}
