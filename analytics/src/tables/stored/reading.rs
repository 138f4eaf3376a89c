//! Rows of a store as they are read, once for all scans of a query that ask for the same.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::OnceCell;

use super::columns::Column;
use super::conditions::Condition;

/// What a scan asks of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Asked {
    /// Conditions of which all must hold.
    pub conditions: Vec<Condition>,
    /// How many rows are wanted at most; all if `None`.
    pub most: Option<usize>,
}

/// Rows as a store gives them, page by page.
pub type Pages<R> = BoxStream<'static, Result<Vec<R>, Box<dyn Error + Send + Sync>>>;

/// Pages one after the other: `read` gives the rows behind a place, at first behind none, and the place behind which the next
/// page begins, where there may be one.
pub fn pages<R, P, F>(read: impl Fn(Option<P>) -> F + Send + 'static) -> Pages<R>
where
    R: Send + 'static,
    P: Send + 'static,
    F: Future<Output = Result<(Vec<R>, Option<P>), Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let pages = futures::stream::try_unfold(Some(None), move |next: Option<Option<P>>| {
        let reading = next.map(&read);
        async move {
            let Some(reading) = reading else {
                return Ok(None);
            };
            let (rows, next) = reading.await?;
            Ok(Some((rows, next.map(Some))))
        }
    });
    pages.boxed()
}

/// Reads the rows of a store.
pub(super) type Read<R> = Box<dyn Fn(&Asked) -> Pages<R> + Send + Sync>;

/// A store's rows, and what was read of them for the query so far, or is being read.
pub(super) struct Source<R> {
    name: &'static str,
    schema: SchemaRef,
    columns: Vec<Column<R>>,
    read: Read<R>,
    readings: Mutex<HashMap<Asked, Arc<OnceCell<Reading>>>>,
}

/// The rows, and the memory that they take of the query.
struct Reading {
    batches: Vec<RecordBatch>,
    _memory: MemoryReservation,
}

impl<R> Source<R> {
    pub(super) fn new(name: &'static str, schema: SchemaRef, columns: Vec<Column<R>>, read: Read<R>) -> Self {
        Self {
            name,
            schema,
            columns,
            read,
            readings: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn readings(&self) -> Vec<usize> {
        let readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = |reading: &Reading| reading.batches.iter().map(RecordBatch::num_rows).sum();
        readings
            .values()
            .map(|reading| reading.get().map_or(0, rows))
            .collect()
    }

    /// The rows; read once for all who ask for the same.
    async fn shared(&self, asked: &Asked, memory: MemoryReservation) -> Result<Vec<RecordBatch>> {
        let reading = {
            let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(readings.entry(asked.clone()).or_default())
        };
        let reading = reading.get_or_try_init(|| self.read_all(asked, memory)).await?;
        Ok(reading.batches.clone())
    }

    async fn read_all(&self, asked: &Asked, memory: MemoryReservation) -> Result<Reading> {
        let mut batches = Vec::new();
        let mut pages = (self.read)(asked);
        while let Some(page) = pages.next().await {
            let rows = page.map_err(DataFusionError::External)?;
            let arrays = self.columns.iter().map(|column| column.array(&rows)).collect();
            let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)?;
            memory.try_grow(batch.get_array_memory_size())?;
            batches.push(batch);
        }
        Ok(Reading {
            batches,
            _memory: memory,
        })
    }
}

/// One scan.
pub(super) struct StoredScan<R> {
    source: Arc<Source<R>>,
    asked: Asked,
}

impl<R> StoredScan<R> {
    pub(super) fn new(source: Arc<Source<R>>, asked: Asked) -> Self {
        Self { source, asked }
    }
}

impl<R> fmt::Debug for StoredScan<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredScan {} {:?}", self.source.name, self.asked)
    }
}

impl<R: Send + Sync + 'static> PartitionStream for StoredScan<R> {
    fn schema(&self) -> &SchemaRef {
        &self.source.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (source, asked) = (Arc::clone(&self.source), self.asked.clone());
        let memory = MemoryConsumer::new(source.name).register(context.memory_pool());
        let schema = Arc::clone(&source.schema);
        let batches = futures::stream::once(async move { source.shared(&asked, memory).await })
            .map_ok(|batches| futures::stream::iter(batches.into_iter().map(Ok)))
            .try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}
