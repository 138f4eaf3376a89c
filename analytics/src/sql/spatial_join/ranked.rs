//! A join by `st_knn` as a node of its own, past which no filter comes to the rows that are ranked.
//!
//! Who the nearest are depends on all rows of the ranked side, so a filter from outside, as on the name of a common table
//! expression that holds the join, is a filter on the answer. `DataFusion` knows no such joins and would move it below.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::future::ready;
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use futures::future::BoxFuture;

/// The rows of a join by `st_knn`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd)]
pub(super) struct Ranked {
    /// The join, below filters that choose among which is ranked.
    pub(super) join: LogicalPlan,
    /// The names of the ranked side's columns.
    pub(super) of_ranked: BTreeSet<String>,
}

impl Ranked {
    pub(super) fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The node of a plan, if it is one.
    pub(super) fn of(plan: &LogicalPlan) -> Option<&Self> {
        match plan {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref::<Self>(),
            _ => None,
        }
    }
}

impl UserDefinedLogicalNodeCore for Ranked {
    fn name(&self) -> &'static str {
        "Ranked"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.join]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.join.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    /// A filter on the rows that are joined to the nearest changes nobody's nearest.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.of_ranked.iter().cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ranked: filters above are of the answer")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Ok([join]) = <[_; 1]>::try_from(inputs) else {
            return internal_err!("a ranked join is one plan");
        };
        Ok(Self {
            join,
            of_ranked: self.of_ranked.clone(),
        })
    }

    fn necessary_children_exprs(&self, columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![columns.to_vec()])
    }
}

/// The planner of all plans, which plans a [`Ranked`] as the join that it is.
pub(crate) struct RankedPlanner {
    planner: DefaultPhysicalPlanner,
}

impl Default for RankedPlanner {
    fn default() -> Self {
        Self {
            planner: DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(JoinOfRanked)]),
        }
    }
}

impl fmt::Debug for RankedPlanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RankedPlanner").finish_non_exhaustive()
    }
}

// Futures are written out: see `scan_at_once`.
impl QueryPlanner for RankedPlanner {
    fn create_physical_plan<'planner, 'plan, 'session, 'all>(
        &'planner self,
        plan: &'plan LogicalPlan,
        session: &'session dyn Session,
    ) -> BoxFuture<'all, Result<Arc<dyn ExecutionPlan>>>
    where
        'planner: 'all,
        'plan: 'all,
        'session: 'all,
        Self: 'all,
    {
        self.planner.create_physical_plan(plan, session)
    }
}

struct JoinOfRanked;

impl ExtensionPlanner for JoinOfRanked {
    fn plan_extension<'own, 'planner, 'node, 'inputs, 'input, 'physical, 'session, 'context, 'all>(
        &'own self,
        _: &'planner dyn PhysicalPlanner,
        node: &'node dyn UserDefinedLogicalNode,
        _: &'inputs [&'input LogicalPlan],
        inputs: &'physical [Arc<dyn ExecutionPlan>],
        _: &'session dyn Session,
        _: &'context PhysicalPlanningContext,
    ) -> BoxFuture<'all, Result<Option<Arc<dyn ExecutionPlan>>>>
    where
        'own: 'all,
        'planner: 'all,
        'node: 'all,
        'inputs: 'all,
        'input: 'all,
        'physical: 'all,
        'session: 'all,
        'context: 'all,
        Self: 'all,
    {
        let is_ranked = node.as_any().downcast_ref::<Ranked>().is_some();
        Box::pin(ready(Ok(inputs.first().filter(|_| is_ranked).map(Arc::clone))))
    }
}
