//! Counts the memory of window functions that hold all their input, which `DataFusion` does not, and the answers that
//! they make anew for each row.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt as _;

use super::value_bounds::bytes_at;

/// Puts a [`CountedInput`] under every `WindowAggExec`.
#[derive(Debug)]
pub(crate) struct CountWindowInput;

impl PhysicalOptimizerRule for CountWindowInput {
    fn name(&self) -> &'static str {
        "count_window_input"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            if node.name() != "WindowAggExec" {
                return Ok(Transformed::no(node));
            }
            let input_columns = node
                .children()
                .first()
                .map_or(0, |input| input.schema().fields().len());
            let wide_answers = node
                .schema()
                .fields()
                .iter()
                .skip(input_columns)
                .filter(|field| !field.data_type().is_primitive())
                .count();
            let inputs = node
                .children()
                .into_iter()
                .map(|input| {
                    let counted = CountedInput::new(Arc::clone(input), wide_answers);
                    Arc::new(counted) as Arc<dyn ExecutionPlan>
                })
                .collect();
            Ok(Transformed::yes(replace_children_if_necessary(node, inputs)?))
        })
        .map(|done| done.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Passes batches on and counts them against the query's memory until the plan is dropped.
///
/// Twice their size: the operator above joins them into one batch while it still has the parts. It also drops its
/// input before that, so the reservation cannot belong to the stream.
#[derive(Debug)]
struct CountedInput {
    input: Arc<dyn ExecutionPlan>,
    /// Functions above whose answer for a row can be as wide as the widest row.
    wide_answers: usize,
    properties: Arc<PlanProperties>,
    held: Arc<Mutex<Vec<Arc<MemoryReservation>>>>,
}

impl CountedInput {
    fn new(input: Arc<dyn ExecutionPlan>, wide_answers: usize) -> Self {
        let properties = Arc::clone(input.properties());
        Self {
            input,
            wide_answers,
            properties,
            held: Arc::default(),
        }
    }
}

impl DisplayAs for CountedInput {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CountedInput")
    }
}

impl ExecutionPlan for CountedInput {
    fn name(&self) -> &'static str {
        "CountedInput"
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
            Some(input) => Arc::new(Self::new(input, self.wide_answers)),
            None => self,
        })
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reservation = Arc::new(MemoryConsumer::new("window").register(context.memory_pool()));
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&reservation));
        let wide_answers = self.wide_answers;
        let (mut rows, mut widest, mut for_answers) = (0_usize, 0_usize, 0_usize);
        let counted = self.input.execute(partition, context)?.map(move |batch| {
            let batch = batch?;
            reservation.try_grow(2 * bytes_of(&batch))?;
            if wide_answers > 0 {
                rows = rows.saturating_add(batch.num_rows());
                let of_batch = batch.columns().iter().map(widest_value).max();
                widest = widest.max(of_batch.unwrap_or(0));
                let answers = rows.saturating_mul(widest).saturating_mul(wide_answers);
                reservation.try_grow(answers.saturating_sub(for_answers))?;
                for_answers = answers;
            }
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }
}

/// Bytes of the widest value of a column.
pub(super) fn widest_value(column: &ArrayRef) -> usize {
    if column.data_type().is_primitive() || *column.data_type() == DataType::Boolean {
        return 0;
    }
    if let Some(dictionary) = column.as_any_dictionary_opt() {
        return widest_value(dictionary.values());
    }
    let widest = (0..column.len()).map(|row| bytes_at(column.as_ref(), row)).max();
    usize::try_from(widest.unwrap_or(0)).unwrap_or(usize::MAX)
}

/// Bytes of the rows of the batch, not of the buffers that it may be a slice of.
pub(crate) fn bytes_of(batch: &RecordBatch) -> usize {
    batch
        .columns()
        .iter()
        .map(|column| {
            column
                .to_data()
                .get_slice_memory_size()
                .unwrap_or_else(|_| column.get_array_memory_size())
        })
        .sum()
}
