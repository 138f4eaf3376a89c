//! What a plan will cost, as far as it tells before it runs.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{CrossJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

use super::limits::RoleLimits;
use crate::sql::error::SqlError;

/// Rows that scans read, and pairs that are looked at. What a plan does not know counts nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Rows of all scans, after what filters rule out.
    pub rows: u64,
    /// Rows of both inputs multiplied, of each join that compares all with all; and what table functions compare.
    pub pairs: u64,
}

/// The pairs that a plan's leaf compares by itself; 0 for one that compares none.
pub(crate) type PairsOfLeaf = fn(&dyn ExecutionPlan) -> u64;

impl Estimate {
    /// That of a plan.
    pub(crate) fn of(plan: &Arc<dyn ExecutionPlan>, pairs_of_leaf: PairsOfLeaf) -> Result<Self> {
        let statistics = StatisticsContext::new();
        // What cannot be told is not known.
        let rows_of = |plan: &Arc<dyn ExecutionPlan>| -> Option<u64> {
            let known = statistics.compute(plan.as_ref(), &StatisticsArgs::new()).ok()?;
            known.num_rows.get_value().map(|rows| *rows as u64)
        };
        let mut estimate = Self::default();
        plan.apply(|node| {
            let children = node.children();
            if children.is_empty() {
                estimate.rows = estimate.rows.saturating_add(rows_of(node).unwrap_or(0));
                estimate.pairs = estimate.pairs.saturating_add(pairs_of_leaf(node.as_ref()));
            }
            let compares_all = node.downcast_ref::<CrossJoinExec>().is_some()
                || node.downcast_ref::<NestedLoopJoinExec>().is_some();
            if let (true, [left, right]) = (compares_all, children.as_slice())
                && let (Some(left), Some(right)) = (rows_of(left), rows_of(right))
            {
                estimate.pairs = estimate.pairs.saturating_add(left.saturating_mul(right));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(estimate)
    }

    /// Whether it is within the limits of a role.
    ///
    /// # Errors
    /// [`SqlError::TooExpensive`], with what is over which limit.
    pub(crate) fn check(self, limits: &RoleLimits) -> Result<(), SqlError> {
        for (what, estimate, limit) in [
            ("rows", self.rows, limits.estimated_rows),
            ("pairs", self.pairs, limits.estimated_pairs),
        ] {
            if let Some(limit) = limit.filter(|limit| estimate > *limit) {
                return Err(SqlError::TooExpensive {
                    what,
                    estimate,
                    limit,
                });
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Estimate {
    /// The last line of EXPLAIN.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "rows={}, pairs={}", self.rows, self.pairs)
    }
}
