//! Bounds around operators, put there by one rule in one walk over the plan: what makes many rows of few is stopped when its query
//! is, gives its thread back, and is given no wide values; what holds all its input has it counted.
//!
//! A cancelled or late query stops burning CPU only where it looks up. `DataFusion`'s own rule covers leaves and exchanges. A
//! join or UNNEST that makes many batches out of one input batch never waits for a leaf, so its stream would run on after
//! its consumer is gone; here each of them spends budget for every batch that it makes.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;

use super::query_guard::QueryGuard;
use super::stoppable::stoppable;
use super::wide_rows::narrow;
use super::window_memory::counted;

/// The rule; it must be the last one.
#[derive(Debug)]
pub(crate) struct BoundOperators;

impl PhysicalOptimizerRule for BoundOperators {
    fn name(&self) -> &'static str {
        "bound_operators"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let guard = QueryGuard::of(options);
        plan.transform_up(|node| {
            let bound: Arc<dyn ExecutionPlan> = match node.name() {
                "WindowAggExec" => with_inputs(node, counted)?,
                "BoundedWindowAggExec" => with_inputs(node, narrow)?,
                name if multiplies_rows(name) => {
                    let mut node = with_inputs(node, narrow)?;
                    if let Some(guard) = guard {
                        node = stoppable(node, guard.stop())?;
                    }
                    Arc::new(CooperativeExec::new(node))
                }
                _ => return Ok(Transformed::no(node)),
            };
            Ok(Transformed::yes(bound))
        })
        .map(|done| done.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn with_inputs(
    node: Arc<dyn ExecutionPlan>,
    bound: impl Fn(Arc<dyn ExecutionPlan>, &dyn ExecutionPlan) -> Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let inputs = node
        .children()
        .into_iter()
        .map(|input| bound(Arc::clone(input), node.as_ref()))
        .collect();
    replace_children_if_necessary(node, inputs)
}

fn multiplies_rows(name: &str) -> bool {
    name.ends_with("JoinExec") || name == "UnnestExec"
}
