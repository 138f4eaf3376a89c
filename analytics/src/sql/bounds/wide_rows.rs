//! Keeps wide values from being multiplied.
//!
//! A join, UNNEST or a window gives a value of its input for many rows at once, and its memory is asked for after that,
//! if at all: one text of 100 MB beside 8 192 others is 800 GB. So a batch that goes into such an operator is looked at
//! first; values that a batch of answers could not hold end the query.

use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt as _;

use super::cooperative::multiplies_rows;
use super::window_memory::widest_value;
use crate::sql::error::SqlError;

/// Bytes that one value may have: 2 GiB in a batch of 8 192 rows, where columns end.
const VALUE_BYTES: usize = 256 << 10;

/// The rule. It looks at inputs whose columns can be wide.
#[derive(Debug)]
pub(crate) struct NarrowInputs;

impl PhysicalOptimizerRule for NarrowInputs {
    fn name(&self) -> &'static str {
        "narrow_inputs"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            if !multiplies_rows(node.name()) && node.name() != "BoundedWindowAggExec" {
                return Ok(Transformed::no(node));
            }
            let inputs = node
                .children()
                .into_iter()
                .map(|input| narrow(Arc::clone(input), node.as_ref()))
                .collect();
            Ok(Transformed::yes(replace_children_if_necessary(node, inputs)?))
        })
        .map(|done| done.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The input, looked at if the operator above can give wide values of it again.
fn narrow(input: Arc<dyn ExecutionPlan>, above: &dyn ExecutionPlan) -> Arc<dyn ExecutionPlan> {
    let taken_apart: Vec<usize> = above
        .downcast_ref::<UnnestExec>()
        .map(UnnestExec::list_column_indices)
        .unwrap_or_default()
        .iter()
        .map(|list| list.index_in_input_schema)
        .collect();
    // A geometry by which rows are joined is seldom given, and its column ends before the memory does.
    let is_spatial = above.name() == "SpatialJoinExec";
    let schema = input.schema();
    let looked_at: Vec<usize> = schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(index, field)| {
            let kind = field.data_type();
            !(kind.is_primitive() || taken_apart.contains(index) || is_spatial && *kind == DataType::Binary)
        })
        .map(|(index, _)| index)
        .collect();
    if looked_at.is_empty() {
        return input;
    }
    Arc::new(NarrowInput::new(input, looked_at.into()))
}

/// Passes batches on whose values are narrow enough.
#[derive(Debug)]
struct NarrowInput {
    input: Arc<dyn ExecutionPlan>,
    /// The columns that are looked at.
    columns: Arc<[usize]>,
    properties: Arc<PlanProperties>,
}

impl NarrowInput {
    fn new(input: Arc<dyn ExecutionPlan>, columns: Arc<[usize]>) -> Self {
        let properties = Arc::clone(input.properties());
        Self {
            input,
            columns,
            properties,
        }
    }
}

/// # Errors
/// [`SqlError::ResourcesExhausted`] if a value is too wide to be given for many rows.
fn check(batch: &RecordBatch, columns: &[usize]) -> Result<(), SqlError> {
    let widest = columns
        .iter()
        .filter_map(|index| batch.columns().get(*index))
        .filter(|column| column.get_array_memory_size() > VALUE_BYTES)
        .map(widest_value)
        .max()
        .unwrap_or(0);
    if widest > VALUE_BYTES {
        return Err(SqlError::ResourcesExhausted(format!(
            "a value of {widest} bytes goes into a join, UNNEST or window, which may give it for many rows; allowed are \
             {VALUE_BYTES} bytes, so cut it or leave it out there"
        )));
    }
    Ok(())
}

impl DisplayAs for NarrowInput {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NarrowInput")
    }
}

impl ExecutionPlan for NarrowInput {
    fn name(&self) -> &'static str {
        "NarrowInput"
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
            Some(input) => Arc::new(Self::new(input, Arc::clone(&self.columns))),
            None => self,
        })
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let columns = Arc::clone(&self.columns);
        let checked = self.input.execute(partition, context)?.map(move |batch| {
            let batch = batch?;
            check(&batch, &columns)?;
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), checked)))
    }
}
