//! Runs one call of a statistic: sums the window and scores its cells on a blocking thread, which gives up soon after
//! nobody reads the answer any more.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::arrow::array::RecordBatch;
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
use riskgrid_ingest::grid::GridSnapshot;

use super::cells_question::CellsQuestion;
use super::statistic::{CellStatistic, Definition, Observed};
use crate::statistics::Domain;

/// Rows of one batch of the answer.
const BATCH_ROWS: usize = 8192;
/// Bytes that one cell takes, an observed one or one of a named area, while the answer is made: its sum, its place in the study area, its row.
const BYTES_OF_A_CELL: usize = 256;

/// The plan's leaf.
#[derive(Debug)]
pub(super) struct StatisticScan {
    definition: &'static Definition,
    snapshot: Arc<GridSnapshot>,
    question: Arc<CellsQuestion>,
    statistic: Arc<dyn CellStatistic>,
    threads: NonZeroUsize,
    projection: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl StatisticScan {
    pub(super) fn new(
        definition: &'static Definition,
        snapshot: Arc<GridSnapshot>,
        question: CellsQuestion,
        statistic: Arc<dyn CellStatistic>,
        threads: NonZeroUsize,
        projection: Option<&Vec<usize>>,
    ) -> Result<Self> {
        let whole = (definition.schema)();
        let projection = projection
            .cloned()
            .unwrap_or_else(|| (0..whole.fields().len()).collect());
        let schema = Arc::new(whole.project(&projection)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Self {
            definition,
            snapshot,
            question: Arc::new(question),
            statistic,
            threads,
            projection,
            properties: Arc::new(properties),
        })
    }
}

impl DisplayAs for StatisticScan {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "StatisticScan: {}, {}, {}",
            self.definition.name, self.question, self.statistic
        )
    }
}

impl ExecutionPlan for StatisticScan {
    fn name(&self) -> &'static str {
        "StatisticScan"
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
            return internal_err!("a statistic has one partition, asked for number {partition}");
        }
        let schema = Arc::clone(self.properties.eq_properties.schema());
        // One batch waits for its reader; the thread stands still meanwhile.
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&schema), 1);
        let batches = builder.tx();
        let (snapshot, question) = (Arc::clone(&self.snapshot), Arc::clone(&self.question));
        let (statistic, definition) = (Arc::clone(&self.statistic), self.definition);
        let (projection, threads) = (self.projection.clone(), self.threads);
        let memory = MemoryConsumer::new(self.definition.name).register(context.memory_pool());
        let stop = Arc::new(AtomicBool::new(false));
        let held = StopWhenDropped(Arc::clone(&stop));
        builder.spawn_blocking(move || {
            let (cells, values) = question.observed(&snapshot, threads);
            if cells.is_empty() && !question.has_cells_without_events() {
                return Ok(());
            }
            let of_area = match &question.domain {
                Domain::Cells(area) => area.len(),
                Domain::Neighbours | Domain::Observed => 0,
            };
            memory.try_grow(cells.len().max(of_area).saturating_mul(BYTES_OF_A_CELL))?;
            let observed = Observed {
                cells: &cells,
                values: &values,
                question: &question,
                threads,
            };
            let columns = statistic
                .columns(&observed, &stop)
                .map_err(|error| definition.refused(error))?;
            let whole = RecordBatch::try_new((definition.schema)(), columns)?.project(&projection)?;
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
