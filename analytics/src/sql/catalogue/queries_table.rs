//! The table `queries`: what runs, what waits, and what has ended lately, as far as it is one's own.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::scan_at_once::scan_at_once;
use crate::sql::cell_type::commented;

/// One query, running or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryRecord {
    /// The id by which it can be cancelled.
    pub query_id: String,
    /// The statement as it was sent, cut at 1 000 characters.
    pub sql: String,
    /// Who asked it.
    pub who: Arc<str>,
    /// Whose turn it took, and whose it is: of somebody unknown their address. No column.
    pub turn: Arc<str>,
    /// By which protocol.
    pub via: &'static str,
    /// Whether it runs, or how it ended.
    pub state: QueryState,
    /// The `now` of its request.
    pub started: DateTime<Utc>,
    /// How long it has been there, or was.
    pub elapsed: Duration,
    /// How long it waited for its turn.
    pub waited: Duration,
    /// How long it was planned.
    pub planned: Duration,
    /// How long its rows have been made and read.
    pub ran: Duration,
    /// Rows that have been read from it.
    pub rows: u64,
    /// Bytes that have been written of its answer.
    pub bytes: u64,
    /// Rows that its scans were to read, as planned.
    pub cells: u64,
    /// The bytes of memory that it holds.
    pub memory_bytes: usize,
    /// The most bytes of memory that it has held.
    pub peak_memory_bytes: usize,
    /// Why it failed.
    pub error: Option<String>,
}

/// The state of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryState {
    /// As many others run as may.
    Waiting,
    /// It is planned, or makes rows.
    Running,
    /// All of its rows were read.
    Finished,
    /// It ended with an error; running out of time is one.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Whoever asked it went away before its end.
    Abandoned,
}

impl QueryState {
    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Abandoned => "abandoned",
        }
    }
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let field = |name: &str, kind: DataType, comment: &str| commented(Field::new(name, kind, false), comment);
    Arc::new(Schema::new(vec![
        field("query_id", DataType::Utf8, "the id by which it can be cancelled"),
        field("sql", DataType::Utf8, "the statement, cut at 1 000 characters"),
        field(
            "state",
            DataType::Utf8,
            "waiting, running, finished, failed, cancelled, or abandoned by who asked it",
        ),
        field("started", time, "when it was asked"),
        field(
            "elapsed_ms",
            DataType::UInt64,
            "how long it has taken, in milliseconds",
        ),
        field("rows", DataType::UInt64, "rows that have been read from it"),
        field("memory_bytes", DataType::UInt64, "memory that it holds now"),
        field(
            "peak_memory_bytes",
            DataType::UInt64,
            "the most memory that it has held",
        ),
        commented(
            Field::new("error", DataType::Utf8, true),
            "why it failed, as its client was told",
        ),
        field("who", DataType::Utf8, "who asked it"),
        field("via", DataType::Utf8, "by which protocol"),
        field("waited_ms", DataType::UInt64, "how long it waited for its turn"),
        field("planned_ms", DataType::UInt64, "how long it was planned"),
        field("ran_ms", DataType::UInt64, "how long its rows were made and read"),
        field(
            "bytes",
            DataType::UInt64,
            "bytes that have been written of its answer",
        ),
        field(
            "cells",
            DataType::UInt64,
            "rows that its scans were to read, as planned",
        ),
    ]))
});

/// The provider; what it shows is of the time when a scan is planned.
pub(crate) struct QueriesTable {
    list: Box<dyn Fn() -> Vec<QueryRecord> + Send + Sync>,
}

impl QueriesTable {
    /// `list` gives the queries that run or wait, and the last ones that have ended.
    pub(crate) fn new(list: impl Fn() -> Vec<QueryRecord> + Send + Sync + 'static) -> Self {
        Self { list: Box::new(list) }
    }
}

impl fmt::Debug for QueriesTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueriesTable").finish_non_exhaustive()
    }
}

impl QueriesTable {
    fn scan_now(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let batch = batch(&(self.list)())?;
        let source = MemorySourceConfig::try_new(&[vec![batch]], self.schema(), projection.cloned())?;
        Ok(DataSourceExec::from_data_source(source))
    }
}

impl TableProvider for QueriesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    scan_at_once!();
}

fn batch(queries: &[QueryRecord]) -> Result<RecordBatch> {
    let text = |of: fn(&QueryRecord) -> &str| Arc::new(StringArray::from_iter_values(queries.iter().map(of)));
    let number =
        |of: fn(&QueryRecord) -> u64| Arc::new(UInt64Array::from_iter_values(queries.iter().map(of)));
    let started = queries.iter().map(|query| query.started.timestamp_micros());
    let error: StringArray = queries.iter().map(|query| query.error.as_deref()).collect();
    Ok(RecordBatch::try_new(
        Arc::clone(&SCHEMA),
        vec![
            text(|query| &query.query_id),
            text(|query| &query.sql),
            text(|query| query.state.as_str()),
            Arc::new(TimestampMicrosecondArray::from_iter_values(started).with_timezone("UTC")),
            number(|query| query.elapsed.as_millis() as u64),
            number(|query| query.rows),
            number(|query| query.memory_bytes as u64),
            number(|query| query.peak_memory_bytes as u64),
            Arc::new(error),
            text(|query| &query.who),
            text(|query| query.via),
            number(|query| query.waited.as_millis() as u64),
            number(|query| query.planned.as_millis() as u64),
            number(|query| query.ran.as_millis() as u64),
            number(|query| query.bytes),
            number(|query| query.cells),
        ],
    )?)
}
