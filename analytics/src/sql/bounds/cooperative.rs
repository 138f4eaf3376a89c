//! Makes every plan give its thread back now and then, so that a cancelled or late query stops burning CPU.
//!
//! `DataFusion`'s own rule covers leaves and exchanges. A join or UNNEST that makes many batches out of one input batch
//! never waits for a leaf, so its stream would run on after its consumer is gone; here each of them spends budget
//! for every batch that it makes.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

/// The rule; it must be the last one.
#[derive(Debug)]
pub(crate) struct CooperativeJoins;

impl PhysicalOptimizerRule for CooperativeJoins {
    fn name(&self) -> &'static str {
        "cooperative_joins"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            Ok(if multiplies_rows(node.name()) {
                Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>)
            } else {
                Transformed::no(node)
            })
        })
        .map(|done| done.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

pub(super) fn multiplies_rows(name: &str) -> bool {
    name.ends_with("JoinExec") || name == "UnnestExec"
}
