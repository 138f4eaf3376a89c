//! Runs one call of `hotspots`: sums the window and scores its cells on a blocking thread, which gives up soon after
//! nobody reads the answer any more.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::{RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt as _;
use riskgrid_ingest::ValueScale;
use riskgrid_ingest::grid::GridSnapshot;

use super::hotspots::SCHEMA;
use super::hotspots_question::{HotspotQuestion, refused};
use crate::statistics::{HotspotTable, hotspots_until};

/// Rows of one batch of the answer.
const BATCH_ROWS: usize = 8192;
/// Bytes that one observed cell takes while the answer is made: its sum, its place in the study area, its row.
const BYTES_OF_A_CELL: usize = 256;

/// The plan's leaf.
#[derive(Debug)]
pub(super) struct HotspotsScan {
    snapshot: Arc<GridSnapshot>,
    question: Arc<HotspotQuestion>,
    projection: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl HotspotsScan {
    pub(super) fn new(
        snapshot: Arc<GridSnapshot>,
        question: HotspotQuestion,
        projection: Option<&Vec<usize>>,
    ) -> Result<Self> {
        let projection = projection
            .cloned()
            .unwrap_or_else(|| (0..SCHEMA.fields().len()).collect());
        let schema = Arc::new(SCHEMA.project(&projection)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Self {
            snapshot,
            question: Arc::new(question),
            projection,
            properties: Arc::new(properties),
        })
    }
}

impl DisplayAs for HotspotsScan {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HotspotsScan: {}", self.question)
    }
}

impl ExecutionPlan for HotspotsScan {
    fn name(&self) -> &'static str {
        "HotspotsScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("hotspots has one partition, asked for number {partition}");
        }
        let schema = Arc::clone(self.properties.eq_properties.schema());
        // One batch waits for its reader; the thread stands still meanwhile.
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&schema), 1);
        let batches = builder.tx();
        let (snapshot, question) = (Arc::clone(&self.snapshot), Arc::clone(&self.question));
        let projection = self.projection.clone();
        let memory = MemoryConsumer::new("hotspots").register(context.memory_pool());
        let stop = Arc::new(AtomicBool::new(false));
        let held = StopWhenDropped(Arc::clone(&stop));
        builder.spawn_blocking(move || {
            let (cells, values) = question.observed(&snapshot);
            if cells.is_empty() {
                return Ok(());
            }
            memory.try_grow(cells.len().saturating_mul(BYTES_OF_A_CELL))?;
            let table = hotspots_until(&cells, &values, 1.0, &question.options, &stop).map_err(refused)?;
            let whole = batch_of(&table, question.scale)?.project(&projection)?;
            for start in (0..whole.num_rows()).step_by(BATCH_ROWS) {
                let length = BATCH_ROWS.min(whole.num_rows() - start);
                if batches.blocking_send(Ok(whole.slice(start, length))).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let stream = builder.build().inspect(move |_| {
            let _ = &held;
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}

/// Lives in the stream: a query that is dropped stops its thread.
struct StopWhenDropped(Arc<AtomicBool>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The answer as columns; its values come in whole units and leave in the metric's own.
fn batch_of(table: &HotspotTable, scale: ValueScale) -> Result<RecordBatch> {
    let rows = table.cell.len();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from(table.cell.clone())),
        Arc::new(Float64Array::from_iter_values(
            table.value.iter().map(|units| scale.value(*units)),
        )),
        Arc::new(Float64Array::from(table.z.clone())),
        Arc::new(Float64Array::from(table.p.clone())),
        Arc::new(Float64Array::from(table.q.clone())),
        Arc::new(StringArray::from_iter_values(
            table.class.iter().map(|class| class.as_str()),
        )),
        Arc::new(UInt32Array::from(table.neighbours.clone())),
        Arc::new(UInt64Array::from(vec![table.n as u64; rows])),
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            table.method.as_str(),
            rows,
        ))),
        Arc::new(UInt64Array::from(table.runs_needed.clone())),
    ];
    let schema: SchemaRef = Arc::clone(&SCHEMA);
    Ok(RecordBatch::try_new(schema, columns)?)
}
