//! The leaf of every plan over a snapshot. Its rows are made while they are read, piece by piece.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue, SplitPoint, Statistics, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr, RangePartitioning,
};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
};

/// Rows of a batch that operators above work on: neither thousands of tiny ones, nor one that holds all.
const BATCH_ROWS: usize = 8192;

/// Rows as they are read.
pub(crate) type RowBatches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// What a scan reads, in order.
pub(crate) trait Pieces: fmt::Debug + Send + Sync {
    /// How many pieces.
    fn number(&self) -> usize;

    /// The most rows that a piece may have.
    fn rows(&self, piece: usize) -> usize;

    /// The rows of a piece, in the columns of the scan.
    fn read(&self, piece: usize) -> Result<RowBatches>;

    /// Bytes that reading a piece takes beside what the snapshot holds.
    fn bytes(&self, piece: usize) -> usize;
}

/// What is known of a scan before it runs.
#[derive(Debug)]
pub(crate) struct Known {
    /// The table, as EXPLAIN names it.
    pub(crate) table: &'static str,
    /// What was ruled out, as EXPLAIN shows it.
    pub(crate) pruned: String,
    /// Orders and constants of the columns.
    pub(crate) properties: EquivalenceProperties,
    /// Rows, and what is known of columns.
    pub(crate) statistics: Statistics,
    /// A column of which no two pieces share a value, and from which value on each piece is, ascending.
    pub(crate) apart: Option<(Arc<dyn PhysicalExpr>, Vec<ScalarValue>)>,
}

impl Known {
    /// What tells operators above that they need not bring rows of a value together.
    fn partitioning(&self, partitions: &[Range<usize>]) -> Partitioning {
        let by_range = || {
            let (column, starts) = self.apart.as_ref().filter(|_| partitions.len() > 1)?;
            let order = LexOrdering::new([PhysicalSortExpr::new_default(Arc::clone(column))])?;
            let first =
                |pieces: &Range<usize>| Some(SplitPoint::new(vec![starts.get(pieces.start)?.clone()]));
            let splits: Option<Vec<SplitPoint>> = partitions.iter().skip(1).map(first).collect();
            RangePartitioning::try_new(order, splits?).ok()
        };
        by_range().map_or(
            Partitioning::UnknownPartitioning(partitions.len()),
            Partitioning::Range,
        )
    }
}

/// The plan's leaf.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotScan {
    known: Arc<Known>,
    pieces: Arc<dyn Pieces>,
    /// The pieces of each partition, so that each is in the order of the whole.
    partitions: Arc<[Range<usize>]>,
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SnapshotScan {
    /// A scan in at most `partitions` parts of about equal size.
    pub(crate) fn new(
        known: Known,
        pieces: Arc<dyn Pieces>,
        partitions: usize,
        fetch: Option<usize>,
    ) -> Self {
        let rows: Vec<usize> = (0..pieces.number()).map(|piece| pieces.rows(piece)).collect();
        let partitions: Arc<[Range<usize>]> = runs(&rows, partitions).into();
        let properties = PlanProperties::new(
            known.properties.clone(),
            known.partitioning(&partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Self {
            known: Arc::new(known),
            pieces,
            partitions,
            fetch,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

/// Cuts pieces of so many rows each into at most `most` runs of about equal size, none of which is small.
pub(crate) fn runs(rows: &[usize], most: usize) -> Vec<Range<usize>> {
    let all: usize = rows.iter().sum();
    let most = most.min(all / BATCH_ROWS).max(1);
    let mut runs: Vec<Range<usize>> = Vec::new();
    let (mut before, mut run) = (0, 0);
    for (piece, rows) in rows.iter().enumerate() {
        // A piece is in the run in which its middle lies.
        let own = (before + rows / 2) * most / all.max(1);
        before += rows;
        match runs.last_mut() {
            Some(last) if own == run => last.end = piece + 1,
            _ => runs.push(piece..piece + 1),
        }
        run = own;
    }
    if runs.is_empty() {
        runs.push(0..0);
    }
    runs
}

impl DisplayAs for SnapshotScan {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SnapshotScan: {}", self.known.table)?;
        if !self.known.pruned.is_empty() {
            write!(formatter, ", {}", self.known.pruned)?;
        }
        if let Some(fetch) = self.fetch {
            write!(formatter, ", fetch={fetch}")?;
        }
        if let Some(order) = self.properties.output_ordering() {
            write!(formatter, ", order=[{order}]")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for SnapshotScan {
    fn name(&self) -> &'static str {
        "SnapshotScan"
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
        let Some(pieces) = self.partitions.get(partition) else {
            return internal_err!(
                "a scan in {} parts was asked for part {partition}",
                self.partitions.len()
            );
        };
        let schema = Arc::clone(self.known.properties.schema());
        let batches = Batches {
            pieces: Arc::clone(&self.pieces),
            left: pieces.clone(),
            reading: Box::new(std::iter::empty()),
            coalescer: BatchCoalescer::new(Arc::clone(&schema), BATCH_ROWS)
                .with_biggest_coalesce_batch_size(Some(BATCH_ROWS / 2)),
            rows_left: self.fetch.unwrap_or(usize::MAX),
            memory: MemoryConsumer::new(self.known.table).register(context.memory_pool()),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        let stream = RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches));
        Ok(Box::pin(cooperative(stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let statistics = match args.partition() {
            Some(_) if self.partitions.len() > 1 => Statistics::new_unknown(self.known.properties.schema()),
            _ => self.known.statistics.clone(),
        };
        Ok(Arc::new(match self.fetch {
            Some(_) => statistics.with_fetch(self.fetch, 0, self.partitions.len())?,
            None => statistics,
        }))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self {
            fetch: limit,
            ..self.clone()
        }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }
}

/// The batches of one partition: small pieces are put together, large ones cut.
struct Batches {
    pieces: Arc<dyn Pieces>,
    left: Range<usize>,
    /// What is left of the piece being read.
    reading: RowBatches,
    coalescer: BatchCoalescer,
    rows_left: usize,
    memory: MemoryReservation,
    metrics: BaselineMetrics,
}

impl Batches {
    fn read(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.coalescer.next_completed_batch() {
                return Ok(Some(batch));
            }
            if let Some(batch) = self.reading.next() {
                let batch = batch?;
                for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
                    let length = BATCH_ROWS.min(batch.num_rows() - start);
                    self.coalescer.push_batch(batch.slice(start, length))?;
                }
                continue;
            }
            let Some(piece) = self.left.next() else {
                self.memory.free();
                self.coalescer.finish_buffered_batch()?;
                return Ok(self.coalescer.next_completed_batch());
            };
            self.memory.try_resize(self.pieces.bytes(piece))?;
            self.reading = self.pieces.read(piece)?;
        }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows_left == 0 {
            return None;
        }
        let elapsed = self.metrics.elapsed_compute().clone();
        let timer = elapsed.timer();
        let read = self.read();
        timer.done();
        match read {
            Ok(None) => None,
            Ok(Some(batch)) => {
                let rows = batch.num_rows().min(self.rows_left);
                self.rows_left -= rows;
                self.metrics.record_output(rows);
                Some(Ok(batch.slice(0, rows)))
            }
            Err(error) => {
                self.rows_left = 0;
                Some(Err(error))
            }
        }
    }
}

/// What is known of rows whose number is `rows`, and of no column.
pub(crate) fn statistics_of(schema: &SchemaRef, rows: Precision<usize>) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    statistics.num_rows = rows;
    statistics
}
