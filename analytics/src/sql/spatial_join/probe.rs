//! Looks the rows of one partition up in the index.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::{JoinSide, JoinType, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::{Stream, StreamExt as _, stream};
use geo::Geometry;

use super::index::{Index, geometry_of};
use super::predicate::Test;
use crate::geometry::GeometryValues;

/// What is asked and how it is answered, the same for every partition.
pub(super) struct Shape {
    pub(super) schema: SchemaRef,
    /// Where each column of the answer is from.
    pub(super) columns: Vec<ColumnIndex>,
    pub(super) join_type: JoinType,
    /// The geometry of a row that is looked up.
    pub(super) probe: Arc<dyn PhysicalExpr>,
    pub(super) test: Test,
    pub(super) rest: Option<JoinFilter>,
    /// Rows of a batch.
    pub(super) batch_rows: usize,
}

impl Shape {
    fn answers_pairs(&self) -> bool {
        matches!(
            self.join_type,
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full
        )
    }

    /// Which rows of the looked-up side are answered alone: those that were joined (`Some(true)`) or were not.
    fn alone_of_right(&self) -> Option<bool> {
        match self.join_type {
            JoinType::RightSemi => Some(true),
            JoinType::Right | JoinType::Full | JoinType::RightAnti => Some(false),
            _ => None,
        }
    }

    /// The same of the indexed side.
    fn alone_of_left(&self) -> Option<bool> {
        match self.join_type {
            JoinType::LeftSemi => Some(true),
            JoinType::Left | JoinType::Full | JoinType::LeftAnti => Some(false),
            _ => None,
        }
    }

    /// Whether the index must remember which of its rows were joined.
    pub(super) fn asks_for_joined(&self) -> bool {
        self.alone_of_left().is_some()
    }
}

/// What EXPLAIN ANALYZE shows.
pub(super) struct ProbeMetrics {
    output_rows: Count,
    /// Pairs whose boxes meet, which were tested exactly.
    candidates: Count,
}

impl ProbeMetrics {
    pub(super) fn new(set: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            output_rows: MetricBuilder::new(set).output_rows(partition),
            candidates: MetricBuilder::new(set).counter("candidates", partition),
        }
    }
}

/// One partition on its way through the join.
pub(super) struct Probe {
    index: Arc<Index>,
    rows: SendableRecordBatchStream,
    shape: Shape,
    metrics: ProbeMetrics,
    current: Option<Current>,
    ready: VecDeque<RecordBatch>,
    ended: bool,
}

/// A batch that is looked up, and how far that is.
struct Current {
    batch: RecordBatch,
    geometries: GeometryValues,
    row: usize,
    geometry: Option<Geometry>,
    /// Indexed rows that may be joined to the row, and how many of them have been tested.
    candidates: Vec<usize>,
    tested: usize,
    /// Joined rows that wait for being answered: of the index, of the batch.
    pairs: (Vec<usize>, Vec<u32>),
    /// By row of the batch.
    joined: Vec<bool>,
}

impl Probe {
    pub(super) fn new(
        index: Arc<Index>,
        rows: SendableRecordBatchStream,
        shape: Shape,
        metrics: ProbeMetrics,
    ) -> Self {
        Self {
            index,
            rows,
            shape,
            metrics,
            current: None,
            ready: VecDeque::new(),
            ended: false,
        }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<RecordBatch>> + Send {
        stream::try_unfold(self, |mut probe| async move {
            let batch = probe.next().await?;
            Ok(batch.map(|batch| {
                probe.metrics.output_rows.add(batch.num_rows());
                (batch, probe)
            }))
        })
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            if let Some(current) = self.current.take() {
                self.look_up(current).await?;
                continue;
            }
            if self.ended {
                return Ok(None);
            }
            match self.rows.next().await.transpose()? {
                Some(batch) => self.current = Some(Current::new(batch, &self.shape)?),
                None => self.end()?,
            }
        }
    }

    /// Goes on until a batch of pairs is full or the looked-up batch is through.
    async fn look_up(&mut self, mut current: Current) -> Result<()> {
        let (index, test) = (Arc::clone(&self.index), self.shape.test);
        while current.row < current.batch.num_rows() {
            if let Some(geometry) = &current.geometry {
                while let Some(candidate) = current.candidates.get(current.tested).copied() {
                    current.tested += 1;
                    if index.holds(candidate, geometry, test) {
                        current.pairs.0.push(candidate);
                        current.pairs.1.push(current.row as u32);
                    }
                    // A test may be long: a query that nobody waits for any more ends between two.
                    tokio::task::consume_budget().await;
                    if current.pairs.0.len() >= self.shape.batch_rows {
                        self.answer_pairs(&mut current)?;
                        self.current = Some(current);
                        return Ok(());
                    }
                }
                current.row += 1;
            }
            current.geometry = None;
            self.next_geometry(&mut current);
        }
        self.answer_pairs(&mut current)?;
        self.answer_alone(&current)
    }

    /// Goes on to the next row that has a geometry.
    fn next_geometry(&self, current: &mut Current) {
        while current.row < current.batch.num_rows() {
            if let Some(geometry) = geometry_of(&current.geometries, current.row) {
                self.index
                    .candidates(&geometry, self.shape.test, &mut current.candidates);
                self.metrics.candidates.add(current.candidates.len());
                current.tested = 0;
                current.geometry = Some(geometry);
                return;
            }
            current.row += 1;
        }
    }

    /// Takes the pairs that wait, drops those that the rest of the condition refuses, and answers the others.
    fn answer_pairs(&mut self, current: &mut Current) -> Result<()> {
        let (mut left, mut right) = std::mem::take(&mut current.pairs);
        if left.is_empty() {
            return Ok(());
        }
        if let Some(rest) = &self.shape.rest {
            let admitted = self.admitted(rest, &left, &right, &current.batch)?;
            let mut admits = admitted.iter();
            left.retain(|_| admits.next().flatten().unwrap_or(false));
            let mut admits = admitted.iter();
            right.retain(|_| admits.next().flatten().unwrap_or(false));
        }
        for row in &right {
            if let Some(joined) = current.joined.get_mut(*row as usize) {
                *joined = true;
            }
        }
        for row in &left {
            self.index.set_joined(*row);
        }
        if self.shape.answers_pairs() && !left.is_empty() {
            let left: Vec<Option<usize>> = left.into_iter().map(Some).collect();
            let batch = self.batch(&left, Some((&current.batch, &UInt32Array::from(right))))?;
            self.ready.push_back(batch);
        }
        Ok(())
    }

    fn admitted(
        &self,
        rest: &JoinFilter,
        left: &[usize],
        right: &[u32],
        batch: &RecordBatch,
    ) -> Result<BooleanArray> {
        let left: Vec<Option<usize>> = left.iter().copied().map(Some).collect();
        let right = UInt32Array::from(right.to_vec());
        let columns = rest.column_indices().iter().map(|column| match column.side {
            JoinSide::Left => self.index.column(column.index, &left),
            JoinSide::Right | JoinSide::None => Ok(take(batch.column(column.index), &right, None)?),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(left.len()));
        let pairs = RecordBatch::try_new_with_options(Arc::clone(rest.schema()), columns, &options)?;
        let admitted = rest.expression().evaluate(&pairs)?.into_array(left.len())?;
        Ok(as_boolean_array(&admitted)?.clone())
    }

    /// Answers the rows of a batch that has been looked up which stand without a partner.
    fn answer_alone(&mut self, current: &Current) -> Result<()> {
        let Some(which) = self.shape.alone_of_right() else {
            return Ok(());
        };
        let rows = current.joined.iter().enumerate();
        let rows: Vec<u32> = rows
            .filter(|(_, joined)| **joined == which)
            .map(|(row, _)| row as u32)
            .collect();
        if !rows.is_empty() {
            let nobody = vec![None; rows.len()];
            let batch = self.batch(&nobody, Some((&current.batch, &UInt32Array::from(rows))))?;
            self.ready.push_back(batch);
        }
        Ok(())
    }

    /// The last partition to end answers the indexed rows that stand without a partner.
    fn end(&mut self) -> Result<()> {
        self.ended = true;
        let last = self.index.lookers.fetch_sub(1, Ordering::AcqRel) == 1;
        if let (true, Some(which)) = (last, self.shape.alone_of_left()) {
            let rows = self.index.rows_that_were(which);
            for rows in rows.chunks(self.shape.batch_rows.max(1)) {
                let rows: Vec<Option<usize>> = rows.iter().copied().map(Some).collect();
                let batch = self.batch(&rows, None)?;
                self.ready.push_back(batch);
            }
        }
        Ok(())
    }

    /// A batch of the answer from rows of the index and of a batch, NULL in the columns of a side that has none.
    fn batch(
        &self,
        left: &[Option<usize>],
        right: Option<(&RecordBatch, &UInt32Array)>,
    ) -> Result<RecordBatch> {
        let column = |(place, field): (&ColumnIndex, &FieldRef)| -> Result<ArrayRef> {
            match (place.side, right) {
                (JoinSide::Left, _) => self.index.column(place.index, left),
                (_, Some((batch, rows))) => Ok(take(batch.column(place.index), rows, None)?),
                (_, None) => Ok(new_null_array(field.data_type(), left.len())),
            }
        };
        let columns = self
            .shape
            .columns
            .iter()
            .zip(self.shape.schema.fields())
            .map(column)
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(left.len()));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.shape.schema),
            columns,
            &options,
        )?)
    }
}

impl Current {
    fn new(batch: RecordBatch, shape: &Shape) -> Result<Self> {
        let geometries = shape.probe.evaluate(&batch)?.into_array(batch.num_rows())?;
        Ok(Self {
            geometries: GeometryValues::new(&geometries)?,
            row: 0,
            geometry: None,
            candidates: Vec::new(),
            tested: 0,
            pairs: (Vec::new(), Vec::new()),
            joined: vec![false; batch.num_rows()],
            batch,
        })
    }
}
