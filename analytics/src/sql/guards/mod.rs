//! Wrong answers of `DataFusion` kept out: a file a kind, with the reports that tell of it.
//!
//! Each is mended by a rule or a function that stands in the place of `DataFusion`'s, or refused with a form that works.
//! `analytics/tests/sql/upstream/` asks every form of the engine, and of `DataFusion` as it comes: the second half fails once a
//! newer version makes a guard needless.
//!
//! | what | where |
//! |---|---|
//! | integers and decimals that outgrow their type | [`checked_arithmetic`], [`exact_sum`], [`exact_average`] |
//! | NOT IN with NULL, IN and EXISTS over one aggregate | [`not_in`] |
//! | IN lists beside each other | [`in_lists`] |
//! | INTERSECT ALL, EXCEPT ALL | [`set_operations`] |
//! | `lead` and `lag` with IGNORE NULLS | [`shifts`] |
//! | ordered lists of distinct values | [`ordered_lists`] |
//! | windows ordered by intervals, maps and structs | [`window_order`] |
//! | `a IS DISTINCT FROM b AND c` | [`distinct_from`] |
//! | extreme arguments of functions | [`arguments`] |
//! | nested queries of one text | [`nested_projections`] |
//! | names of time zones, times of texts in one | [`time_zones`], [`zoned_timestamps`] |
//! | what is refused | [`refused`] |

mod arguments;
mod checked_arithmetic;
mod distinct_from;
mod exact_average;
mod exact_spans;
mod exact_sum;
mod exact_sum_rows;
mod in_lists;
mod nested_projections;
mod not_in;
mod ordered_lists;
mod refused;
mod set_operations;
mod shifts;
mod time_zones;
mod window_order;
mod zoned_timestamps;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{AggregateUDF, Expr, LogicalPlan, WindowUDF};
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;

use crate::sql::rare_rules::RareRule;

pub(crate) use arguments::with_checked_arguments;
pub(crate) use distinct_from::put_right;
pub(crate) use nested_projections::nested_projections;
pub(crate) use window_order::FramesByGroups;
pub(crate) use zoned_timestamps::zoned;

/// Rules before `DataFusion`'s, which coerce types.
pub(crate) fn rules_before_types() -> Vec<RareRule> {
    vec![set_operations::number_equal_rows()]
}

/// Rules after them.
pub(crate) fn rules_after_types() -> Vec<RareRule> {
    vec![
        not_in::subqueries_with_nulls(),
        checked_arithmetic::check_arithmetic(),
    ]
}

/// `DataFusion`'s rules with one of ours in the place of one of them.
pub(crate) fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    in_lists::simplify_apart(Optimizer::new().rules)
}

/// Physical rules without those that push filters down once more.
///
/// What scans can use was pushed into them before, and none takes more while it runs. Through a projection with two columns of one
/// name, as above a join whose sides were swapped, the rules of `DataFusion` 55 push a condition on one column as one on the other:
/// an outer join then gives rows that its WHERE excludes.
pub(crate) fn without_filter_pushdown(
    rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    rules
        .into_iter()
        .filter(|rule| !rule.name().starts_with("FilterPushdown"))
        .collect()
}

/// Aggregates to register over `DataFusion`'s.
pub(crate) fn aggregates() -> impl Iterator<Item = Arc<AggregateUDF>> {
    [exact_sum::exact_sum(), exact_average::exact_average()]
        .into_iter()
        .chain(ordered_lists::ordered_lists())
}

/// Window functions to register over `DataFusion`'s.
pub(crate) fn window_functions() -> impl Iterator<Item = Arc<WindowUDF>> {
    shifts::shifts().into_iter()
}

/// Refuses what a node cannot be answered for, and sets `options` so that the rest is answered right.
///
/// # Errors
/// [`SqlError::BadRequest`](crate::sql::SqlError::BadRequest) with a form that works.
pub(crate) fn check_node(node: &LogicalPlan, options: &mut ConfigOptions) -> Result<()> {
    let calls = refused::Calls::of(node, options);
    node.apply_expressions(|expr| {
        expr.apply(|part| {
            time_zones::check(part)?;
            if let Some(calls) = &calls {
                calls.check(part)?;
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })
    .map(|_| ())
}

/// Whether some part of an expression of the node is such a one.
fn node_has_expression(node: &LogicalPlan, is_such: impl Fn(&Expr) -> bool) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expr| {
        expr.apply(|part| {
            found |= is_such(part);
            Ok(if found {
                TreeNodeRecursion::Stop
            } else {
                TreeNodeRecursion::Continue
            })
        })
    })?;
    Ok(found)
}
