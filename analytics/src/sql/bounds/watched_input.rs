//! An input whose batches are looked at on their way into an operator.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt as _;

/// Looks at one batch after the other; an error ends the query.
pub(super) type LookAt = Box<dyn FnMut(&RecordBatch) -> Result<()> + Send>;

/// What batches are looked at for.
pub(super) trait Watch: fmt::Debug + Send + Sync {
    /// As EXPLAIN names it.
    fn name(&self) -> &'static str;

    /// Begins to look at the batches of a partition.
    fn begin(&self, context: &TaskContext) -> LookAt;
}

/// Passes batches on that the watch lets through.
#[derive(Debug)]
pub(super) struct WatchedInput {
    input: Arc<dyn ExecutionPlan>,
    watch: Arc<dyn Watch>,
    properties: Arc<PlanProperties>,
}

impl WatchedInput {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, watch: Arc<dyn Watch>) -> Self {
        let properties = Arc::clone(input.properties());
        Self {
            input,
            watch,
            properties,
        }
    }
}

impl DisplayAs for WatchedInput {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.watch.name())
    }
}

impl ExecutionPlan for WatchedInput {
    fn name(&self) -> &str {
        self.watch.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(match children.pop() {
            Some(input) => Arc::new(Self::new(input, Arc::clone(&self.watch))),
            None => self,
        })
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut look_at = self.watch.begin(&context);
        let watched = self.input.execute(partition, context)?.map(move |batch| {
            let batch = batch?;
            look_at(&batch)?;
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), watched)))
    }
}
