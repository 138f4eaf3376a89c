//! Runs one call of a statistic: sums the window and scores its cells on a blocking thread, which gives up soon after
//! nobody reads the answer any more.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use riskgrid_ingest::grid::GridSnapshot;

use super::cells_question::CellsQuestion;
use super::statistic::{AnsweredCall, CellStatistic, Definition};
use crate::sql::SqlError;
use crate::statistics::{Domain, StatisticsError};

/// Rows of one batch of the answer.
const BATCH_ROWS: usize = 8192;

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
        let ascending = schema.column_with_name("cell").map(|(index, field)| {
            [PhysicalSortExpr::new_default(Arc::new(Column::new(
                field.name(),
                index,
            )))]
        });
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, ascending),
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

/// The neighbours that a statistic compares, as often as it permutes them, of one cell, or of each of a named area. `None` for
/// the leaf of another kind of plan.
pub(crate) fn pairs_of_statistic(leaf: &dyn ExecutionPlan) -> Option<u64> {
    let scan = (leaf as &dyn std::any::Any).downcast_ref::<StatisticScan>()?;
    let k = u64::from(scan.question.k);
    let cells = match &scan.question.domain {
        Domain::Cells(cells) => cells.len() as u64,
        Domain::Neighbours | Domain::Observed => 1,
    };
    let neighbours = 3 * k * (k + 1);
    Some(
        cells
            .saturating_mul(neighbours)
            .saturating_mul(scan.statistic.permutations().into()),
    )
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
        let (snapshot, question) = (Arc::clone(&self.snapshot), Arc::clone(&self.question));
        let (statistic, definition) = (Arc::clone(&self.statistic), self.definition);
        let (projection, threads) = (self.projection.clone(), self.threads);
        let memory = MemoryConsumer::new(self.definition.name).register(context.memory_pool());
        let stop = Arc::new(AtomicBool::new(false));
        let held = StopWhenDropped(Arc::clone(&stop));
        let answer = SpawnedTask::spawn_blocking(move || {
            let memory = Mutex::new(memory);
            let held = || memory.lock().unwrap_or_else(PoisonError::into_inner);
            let reserve = |bytes| {
                held().try_grow(bytes).map_err(|error| StatisticsError::Memory {
                    reason: SqlError::from(error).to_string(),
                })
            };
            let call = AnsweredCall {
                question: &question,
                snapshot: &snapshot,
                threads,
                stop: &stop,
                reserve: &reserve,
            };
            let columns = statistic
                .columns(&call)
                .map_err(|error| definition.refused(error))?;
            let Some(columns) = columns else {
                return Ok(None);
            };
            let memory = memory.into_inner().unwrap_or_else(PoisonError::into_inner);
            let whole = RecordBatch::try_new((definition.schema)(), columns)?.project(&projection)?;
            Ok::<_, DataFusionError>(Some((whole, memory)))
        });
        let batches = async move {
            let _held = held;
            let answer = answer
                .await
                .map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??;
            Ok::<_, DataFusionError>(stream::iter(answer.into_iter().flat_map(batches_of)))
        };
        let stream = RecordBatchStreamAdapter::new(schema, stream::once(batches).try_flatten().boxed());
        Ok(Box::pin(cooperative(stream)))
    }
}

/// The rows in batches, which hold what memory was asked for until the last of them was taken.
fn batches_of(
    (whole, memory): (RecordBatch, MemoryReservation),
) -> impl Iterator<Item = Result<RecordBatch>> {
    (0..whole.num_rows()).step_by(BATCH_ROWS).map(move |start| {
        let _held = &memory;
        Ok(whole.slice(start, BATCH_ROWS.min(whole.num_rows() - start)))
    })
}

/// Lives in the stream: a query that is dropped stops its thread.
struct StopWhenDropped(Arc<AtomicBool>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
