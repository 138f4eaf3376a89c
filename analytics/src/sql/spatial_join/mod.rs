//! Joins on a geometric condition, by an R-tree.
//!
//! `FROM events e JOIN areas a ON st_contains(a.geometry, st_point(e.lon, e.lat))` would compare each event with each
//! area. The rule here puts a [`SpatialJoinExec`] in the place of such a nested loop: one side is kept in an R-tree,
//! made ready for exact tests, and each row of the other side meets those rows only whose boxes it meets. EXPLAIN shows
//! it, with `index=rtree`.

mod exec;
mod index;
mod predicate;
mod probe;
mod ranked;
mod ranking;

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinSide, JoinType, Result};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::{JoinFilter, reorder_output_after_swap, swap_join_projection};
use datafusion::physical_plan::joins::{NestedLoopJoinExec, NestedLoopJoinExecBuilder};

use exec::SpatialJoinExec;
use predicate::SpatialPredicate;

pub(crate) use ranked::RankedPlanner;
pub(crate) use ranking::rank_first;

/// The function that a spatial join understands and nothing else can answer.
pub(crate) const NEAREST: &str = "st_knn";

type Rules = Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>;

/// `DataFusion`'s rules with this one where sides of joins have been chosen and nothing relies on them yet.
pub(crate) fn rules_with_spatial_joins() -> Rules {
    let mut rules: Rules = PhysicalOptimizer::new().rules;
    let chosen = rules.iter().position(|rule| rule.name() == "join_selection");
    rules.insert(chosen.map_or(0, |place| place + 1), Arc::new(SpatialJoins));
    rules
}

#[derive(Debug)]
struct SpatialJoins;

impl PhysicalOptimizerRule for SpatialJoins {
    fn name(&self) -> &'static str {
        "spatial_joins"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let spatial = match node.downcast_ref::<NestedLoopJoinExec>() {
                Some(join) => spatial_join(join)?,
                None => None,
            };
            Ok(spatial.map_or_else(|| Transformed::no(node), Transformed::yes))
        })
        .map(|done| done.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same join by an index, if its condition has a part that one can answer.
fn spatial_join(join: &NestedLoopJoinExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let marks = matches!(join.join_type(), JoinType::LeftMark | JoinType::RightMark);
    let Some(filter) = join.filter().filter(|_| !marks) else {
        return Ok(None);
    };
    let Some(indexed) = predicate::side_to_index(filter)? else {
        return Ok(None);
    };
    if indexed == JoinSide::Left {
        return Ok(with_left_indexed(join, filter)?.map(|join| Arc::new(join) as Arc<dyn ExecutionPlan>));
    }
    let (left, right) = (join.left(), join.right());
    let swapped =
        NestedLoopJoinExecBuilder::new(Arc::clone(right), Arc::clone(left), join.join_type().swap())
            .with_filter(Some(filter.swap()))
            .with_projection(swap_join_projection(
                left.schema().fields().len(),
                right.schema().fields().len(),
                join.projection().as_deref(),
                join.join_type(),
            ))
            .build()?;
    let Some(spatial) = with_left_indexed(&swapped, &filter.swap())? else {
        return Ok(None);
    };
    let keeps_both_sides = matches!(
        join.join_type(),
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full
    );
    let spatial: Arc<dyn ExecutionPlan> = Arc::new(spatial);
    Ok(Some(if keeps_both_sides && join.projection().is_none() {
        reorder_output_after_swap(spatial, &left.schema(), &right.schema())?
    } else {
        spatial
    }))
}

fn with_left_indexed(join: &NestedLoopJoinExec, filter: &JoinFilter) -> Result<Option<SpatialJoinExec>> {
    let Some((predicate, rest)) = SpatialPredicate::of_filter(filter)? else {
        return Ok(None);
    };
    let projection = join.projection().as_ref().map(|columns| columns.to_vec());
    SpatialJoinExec::try_new(
        Arc::clone(join.left()),
        Arc::clone(join.right()),
        *join.join_type(),
        predicate,
        rest,
        projection,
    )
    .map(Some)
}
