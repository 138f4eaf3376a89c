//! Runs queries: on threads of their own, each within its time and its memory, until they end, are cancelled, or nobody
//! reads their rows any more.

use std::fmt;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use futures::{Stream, StreamExt as _};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::limits::SqlLimits;
use super::memory_fence::{MemoryFence, ProcessMemory};
use super::named_arguments::NamedTableFunction;
use super::query_memory::QueryMemory;
use super::running::{Running, Ticket};
use super::session::{Registration, Session};
use super::statement;
use crate::sql::bounds::expansion;
use crate::sql::bounds::{QueryGuard, Stop};
use crate::sql::catalogue::{QueriesTable, QueryRecord};
use crate::sql::error::SqlError;
use crate::sql::functions_allowed::check_plan;
use crate::sql::guards;
use crate::sql::guards::time_zones;

/// Stack of a thread that plans: a statement at the limit of its depth fits.
pub(crate) const STACK_BYTES: usize = 32 << 20;
/// Batches that wait for a reader. When it is full the query stands still; it is not read ahead.
const BATCHES_WAITING: usize = 2;
const CONSUMERS_NAMED: NonZeroUsize = match NonZeroUsize::new(3) {
    Some(number) => number,
    None => NonZeroUsize::MIN,
};

/// One query as it is asked.
#[derive(Debug, Clone)]
pub struct SqlRequest {
    /// Exactly one read-only statement.
    pub sql: String,
    /// Values of `$1`, `$2`, …: null, booleans, numbers and texts.
    pub params: Vec<Value>,
    /// The time it may take; the engine's own if `None`, never more than the longest.
    pub timeout: Option<Duration>,
    /// The most rows of the answer; all if `None`.
    pub limit: Option<usize>,
    /// The id to cancel it by; one is made if `None`. At most 128 characters.
    pub query_id: Option<String>,
    /// What `now()` gives.
    pub now: DateTime<Utc>,
}

/// The beginning of an answer. The query goes on while its stream is read and ends when it is dropped.
pub struct SqlAnswer {
    /// The id to cancel it by.
    pub query_id: String,
    /// The columns, with what their fields say about them (cells).
    pub schema: SchemaRef,
    /// The rows. Its errors are [`SqlError`]s in `DataFusion`'s clothes: `SqlError::from` undresses them.
    pub stream: SendableRecordBatchStream,
    /// Set once the stream has ended because of the request's limit although there were more rows.
    pub truncated: Arc<AtomicBool>,
}

impl fmt::Debug for SqlAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlAnswer")
            .field("query_id", &self.query_id)
            .finish_non_exhaustive()
    }
}

/// Runs SQL. Cheap to share behind an `Arc`; dropping it stops every query.
#[derive(Debug)]
pub struct SqlEngine {
    limits: SqlLimits,
    session: Arc<Session>,
    memory: Arc<dyn MemoryPool>,
    running: Arc<Running>,
    fence: Option<MemoryFence>,
    permits: Arc<Semaphore>,
    runtime: Option<Runtime>,
    next_id: AtomicU64,
}

impl Drop for SqlEngine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl SqlEngine {
    /// Starts the threads for queries, whose sessions have these functions and rules.
    ///
    /// # Errors
    /// [`SqlError::Internal`] if they cannot be started.
    pub(crate) fn with(registration: Registration, limits: SqlLimits) -> Result<Self, SqlError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("riskgrid-sql")
            .worker_threads(limits.threads.get())
            .thread_stack_size(STACK_BYTES)
            .enable_time()
            .build()
            .map_err(|error| SqlError::internal(format!("cannot start query threads: {error}")))?;
        Ok(Self {
            session: Arc::new(Session::new(limits.threads.get(), registration)?),
            memory: Arc::new(GreedyMemoryPool::new(limits.memory_bytes)),
            running: Arc::default(),
            fence: None,
            permits: Arc::new(Semaphore::new(limits.max_concurrent.get())),
            runtime: Some(runtime),
            next_id: AtomicU64::new(1),
            limits,
        })
    }

    /// The same engine, which also ends its largest query when the process grows, while queries run, by more than the
    /// memory of all queries and `margin` bytes: what a memory pool does not see.
    ///
    /// # Errors
    /// [`SqlError::Internal`] if the thread that watches cannot be started.
    pub fn fenced(mut self, margin: usize, measure: ProcessMemory) -> Result<Self, SqlError> {
        let allowed = self.limits.memory_bytes.saturating_add(margin);
        let fence = MemoryFence::around(&self.running, allowed, measure).map_err(|error| {
            SqlError::internal(format!("cannot start the thread that watches memory: {error}"))
        })?;
        self.fence = Some(fence);
        Ok(self)
    }

    /// Queries that were ended because the process grew too much.
    pub fn ended_for_memory(&self) -> u64 {
        self.fence.as_ref().map_or(0, MemoryFence::ended)
    }

    /// Plans the statement over `tables` and `table_functions` and starts it. Must be called on a tokio runtime with
    /// timers; its time counts from this call.
    ///
    /// # Errors
    /// Any [`SqlError`]; those that come while rows are made come out of the stream.
    pub async fn query(
        &self,
        request: SqlRequest,
        tables: Arc<dyn SchemaProvider>,
        table_functions: Arc<[NamedTableFunction]>,
    ) -> Result<SqlAnswer, SqlError> {
        let Some(runtime) = &self.runtime else {
            return Err(SqlError::Cancelled);
        };
        let timeout = request
            .timeout
            .unwrap_or(self.limits.timeout)
            .min(self.limits.longest_timeout);
        let deadline = Instant::now() + timeout;
        let timed_out = SqlError::TimedOut {
            milliseconds: timeout.as_millis() as u64,
        };

        let peak = Arc::default();
        let memory: Arc<dyn MemoryPool> = Arc::new(TrackConsumersPool::new(
            QueryMemory::new(
                Arc::clone(&self.memory),
                self.limits.query_memory_bytes,
                Arc::clone(&peak),
            ),
            CONSUMERS_NAMED,
        ));
        let query_id = self.id_for(&request)?;
        let level = self
            .fence
            .as_ref()
            .and_then(|fence| fence.level(self.memory.reserved()));
        let ticket = self.running.start(
            query_id,
            &request.sql,
            request.now,
            Arc::clone(&memory),
            peak,
            level,
        )?;
        if let Some(fence) = &self.fence {
            fence.wakes();
        }

        let permit = tokio::select! {
            permit = Arc::clone(&self.permits).acquire_owned() => permit.map_err(|_| SqlError::Cancelled)?,
            reason = poll_fn(|context| ticket.poll_stopped(context)) => return Err(reason),
            () = tokio::time::sleep_until(deadline) => {
                let refusal = SqlError::ResourcesExhausted(format!(
                    "{} queries are running, as many as may; try again later",
                    self.limits.max_concurrent
                ));
                return Err(ticket.fails(refusal));
            }
        };
        ticket.starts();

        let (started, start) = oneshot::channel();
        let (batches, received) = mpsc::channel(BATCHES_WAITING);
        let query = Query {
            request,
            statement_bytes: self.limits.statement_bytes,
            session: Arc::clone(&self.session),
            memory,
            stop: Arc::clone(&ticket.stop),
            tables,
            table_functions,
        };
        let limit = query.request.limit;
        let task = runtime.spawn(async move {
            let _permit = permit;
            query.run(started, batches).await
        });
        ticket.runs_as(task.abort_handle());
        let watchdog = {
            let ticket = Arc::downgrade(&ticket);
            // On the caller's runtime: the query's own threads may all be busy.
            AbortOnDrop(tokio::spawn(async move {
                tokio::time::sleep_until(deadline).await;
                if let Some(ticket) = ticket.upgrade() {
                    ticket.stop(timed_out);
                }
            }))
        };

        let mut rows = Rows {
            schema: SchemaRef::new(datafusion::arrow::datatypes::Schema::empty()),
            received,
            task,
            ticket,
            _watchdog: watchdog,
            left: limit,
            truncated: Arc::default(),
            ended: false,
        };
        let reason = poll_fn(|context| rows.ticket.poll_stopped(context));
        tokio::select! {
            biased;
            reason = reason => return Err(reason),
            schema = start => if let Ok(schema) = schema {
                rows.schema = schema;
            } else {
                let error = match (&mut rows.task).await {
                    Ok(Err(error)) => error,
                    Ok(Ok(())) | Err(_) => rows.reason(),
                };
                return Err(rows.ticket.fails(error));
            },
        }
        Ok(SqlAnswer {
            query_id: rows.ticket.query_id.clone(),
            schema: Arc::clone(&rows.schema),
            truncated: Arc::clone(&rows.truncated),
            stream: Box::pin(rows),
        })
    }

    /// Stops the query of this id; its stream ends with [`SqlError::Cancelled`]. False if no such query runs.
    pub fn cancel(&self, query_id: &str) -> bool {
        self.running.cancel(query_id)
    }

    /// The queries that run now or wait for others to end, oldest first.
    pub fn running(&self) -> Vec<QueryRecord> {
        self.running.list()
    }

    /// The table `queries`: those that run or wait, and the last 1 000 that have ended.
    pub fn queries_table(&self) -> Arc<dyn TableProvider> {
        let running = Arc::clone(&self.running);
        Arc::new(QueriesTable::new(move || {
            let mut queries = running.list();
            queries.extend(running.ended());
            queries
        }))
    }

    /// Tasks on the query threads: 0 when no query runs.
    pub fn tasks(&self) -> usize {
        self.runtime
            .as_ref()
            .map_or(0, |runtime| runtime.metrics().num_alive_tasks())
    }

    /// Statements that failed by a fault of the engine since it was made.
    pub fn internal_errors(&self) -> u64 {
        self.running.internal_errors()
    }

    /// The bytes of memory that all queries hold.
    pub fn memory_bytes(&self) -> usize {
        self.memory.reserved()
    }

    fn id_for(&self, request: &SqlRequest) -> Result<String, SqlError> {
        match &request.query_id {
            Some(id) if id.is_empty() || id.len() > 128 || id.chars().any(char::is_control) => {
                Err(SqlError::bad_request(
                    "query_id must have 1 to 128 characters, none of them a control character",
                ))
            }
            Some(id) => Ok(id.clone()),
            None => {
                let number = self.next_id.fetch_add(1, Ordering::Relaxed);
                Ok(format!("q{:x}-{number:x}", request.now.timestamp_micros()))
            }
        }
    }
}

struct Query {
    request: SqlRequest,
    statement_bytes: usize,
    session: Arc<Session>,
    memory: Arc<dyn MemoryPool>,
    stop: Stop,
    tables: Arc<dyn SchemaProvider>,
    table_functions: Arc<[NamedTableFunction]>,
}

impl Query {
    /// Sends the schema once the plan runs, then its batches, until the receiver is gone.
    async fn run(
        self,
        started: oneshot::Sender<SchemaRef>,
        batches: mpsc::Sender<Result<RecordBatch, SqlError>>,
    ) -> Result<(), SqlError> {
        let mut stream = self.start().await?;
        if started.send(stream.schema()).is_err() {
            return Ok(());
        }
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(SqlError::from);
            let failed = batch.is_err();
            if batches.send(batch).await.is_err() || failed {
                break;
            }
        }
        Ok(())
    }

    async fn start(self) -> Result<SendableRecordBatchStream, SqlError> {
        let statement = statement::parse(&self.request.sql, &self.request.params, self.statement_bytes)?;
        let limit = self.request.limit.filter(|_| statement::is_query(&statement));
        let mut state = self.session.of_query(
            self.tables,
            &self.table_functions,
            self.request.now,
            QueryGuard::new(Arc::clone(&self.stop), &self.memory),
        )?;
        let mut plan = state.statement_to_plan(statement).await?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)?;
        expansion::check_expressions(&plan)?;
        time_zones::check(&plan)?;
        guards::check(&plan, state.config_mut().options_mut())?;
        if is_one_table(&plan)? {
            state.config_mut().options_mut().optimizer.max_passes = 1;
        }
        if let Some(limit) = limit {
            plan = limited(plan, limit)?;
        }
        let plan = check_plan(state.optimize(&plan)?)?;
        let planner = Arc::clone(state.query_planner());
        let plan = planner.create_physical_plan(&plan, &state).await?;
        Ok(execute_stream(
            plan,
            self.session.task_context(&state, self.memory),
        )?)
    }
}

/// The plan with a limit; of EXPLAIN that of the explained query, so that it shows and runs what the query would.
fn limited(plan: LogicalPlan, limit: usize) -> Result<LogicalPlan, DataFusionError> {
    let below = |input: Arc<LogicalPlan>| limited(Arc::unwrap_or_clone(input), limit).map(Arc::new);
    match plan {
        LogicalPlan::Explain(mut explain) => {
            explain.plan = below(explain.plan)?;
            Ok(LogicalPlan::Explain(explain))
        }
        LogicalPlan::Analyze(mut analyze) => {
            analyze.input = below(analyze.input)?;
            Ok(LogicalPlan::Analyze(analyze))
        }
        // One more than asked for tells whether there are more.
        query => LogicalPlanBuilder::from(query)
            .limit(0, Some(limit.saturating_add(1)))?
            .build(),
    }
}

/// Whether a plan reads one table, or none, and nests no query: one pass of the rules leaves nothing for the second, which
/// costs as much as the first.
fn is_one_table(plan: &LogicalPlan) -> Result<bool, DataFusionError> {
    let mut is_plain = true;
    plan.apply_with_subqueries(|node| {
        is_plain &= matches!(
            node,
            LogicalPlan::TableScan(_)
                | LogicalPlan::EmptyRelation(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::Projection(_)
                | LogicalPlan::Aggregate(_)
                | LogicalPlan::Sort(_)
                | LogicalPlan::Limit(_)
                | LogicalPlan::Explain(_)
                | LogicalPlan::Analyze(_)
        );
        Ok(if is_plain {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Stop
        })
    })?;
    Ok(is_plain)
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The rows of a query, cut at the limit. Dropping it stops the query.
struct Rows {
    schema: SchemaRef,
    received: mpsc::Receiver<Result<RecordBatch, SqlError>>,
    task: JoinHandle<Result<(), SqlError>>,
    ticket: Arc<Ticket>,
    _watchdog: AbortOnDrop,
    left: Option<usize>,
    truncated: Arc<AtomicBool>,
    ended: bool,
}

impl Rows {
    /// Why a task ended that gave no reason of its own.
    fn reason(&self) -> SqlError {
        self.ticket
            .stopped()
            .cloned()
            .unwrap_or_else(|| SqlError::internal("the task of the query panicked or was lost"))
    }

    fn end(&mut self) -> Poll<Option<Result<RecordBatch, SqlError>>> {
        self.ended = true;
        self.task.abort();
        self.received.close();
        Poll::Ready(None)
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let polled = this.poll_rows(context);
        match &polled {
            Poll::Ready(Some(Ok(batch))) => this.ticket.add_rows(batch.num_rows()),
            Poll::Ready(None) => this.ticket.ends(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled.map_err(|error| this.ticket.fails(error).into_datafusion())
    }
}

impl Rows {
    fn poll_rows(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch, SqlError>>> {
        let this = self;
        if this.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(reason) = this.ticket.poll_stopped(context) {
            let _ = this.end();
            return Poll::Ready(Some(Err(reason)));
        }
        match this.received.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Err(error))) => {
                let _ = this.end();
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(Some(Ok(batch))) => match this.left {
                Some(left) if batch.num_rows() > left => {
                    this.truncated.store(true, Ordering::Relaxed);
                    let end = this.end();
                    if left == 0 {
                        end
                    } else {
                        Poll::Ready(Some(Ok(batch.slice(0, left))))
                    }
                }
                left => {
                    this.left = left.map(|left| left - batch.num_rows());
                    Poll::Ready(Some(Ok(batch)))
                }
            },
            Poll::Ready(None) => {
                // The channel closes at the query's end, or because its task was stopped or panicked.
                match Pin::new(&mut this.task).poll(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(Ok(()))) => {
                        this.ended = true;
                        Poll::Ready(None)
                    }
                    Poll::Ready(Ok(Err(error))) => {
                        this.ended = true;
                        Poll::Ready(Some(Err(error)))
                    }
                    Poll::Ready(Err(_)) => {
                        this.ended = true;
                        Poll::Ready(Some(Err(this.reason())))
                    }
                }
            }
        }
    }
}

impl RecordBatchStream for Rows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
