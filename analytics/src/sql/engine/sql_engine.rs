//! Runs queries: on threads of their own, each within its time and its memory, until they end, are cancelled, or nobody
//! reads their rows any more.

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, TrackConsumersPool};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::asker::Asker;
use super::limits::SqlLimits;
use super::memory_fence::{MemoryFence, ProcessMemory};
use super::named_arguments::NamedTableFunction;
use super::query::Query;
use super::query_memory::QueryMemory;
use super::queue::Queue;
use super::request::{AnswerBytes, SqlAnswer, SqlRequest};
use super::rows::{AbortOnDrop, Rows};
use super::running::Running;
use super::session::{Registration, Session};
use super::turns::Share;
use crate::sql::catalogue::{QueriesTable, QueryRecord};
use crate::sql::error::SqlError;
use crate::sql::query_phase::QueryPhase;

/// Stack of a thread that plans: a statement at the limit of its depth fits.
pub(crate) const STACK_BYTES: usize = 32 << 20;
/// Batches that wait for a reader. When it is full the query stands still; it is not read ahead.
const BATCHES_WAITING: usize = 2;
const CONSUMERS_NAMED: NonZeroUsize = match NonZeroUsize::new(3) {
    Some(number) => number,
    None => NonZeroUsize::MIN,
};

/// Runs SQL. Cheap to share behind an `Arc`; dropping it stops every query.
#[derive(Debug)]
pub struct SqlEngine {
    limits: SqlLimits,
    session: Arc<Session>,
    memory: Arc<dyn MemoryPool>,
    running: Arc<Running>,
    fence: Option<MemoryFence>,
    queue: Arc<Queue>,
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
            // Stored rows may come from a database over the network, whose connections are opened by whoever asks.
            .enable_io()
            .build()
            .map_err(|error| SqlError::internal(format!("cannot start query threads: {error}")))?;
        Ok(Self {
            session: Arc::new(Session::new(
                limits.threads.get(),
                limits.spill.as_ref(),
                registration,
            )?),
            memory: Arc::new(GreedyMemoryPool::new(limits.memory_bytes)),
            running: Arc::default(),
            fence: None,
            queue: Arc::new(Queue::new(Share {
                running: limits.max_concurrent.get(),
                waiting: limits.max_waiting,
            })),
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
        let limits = self.limits.of(request.asker.permission.role());
        let limits = limits.within(&request.asker.limits);
        let timeout = request
            .timeout
            .unwrap_or(limits.timeout)
            .min(limits.longest_timeout);
        let deadline = Instant::now() + timeout;
        let milliseconds = timeout.as_millis() as u64;

        let peak = Arc::default();
        let memory: Arc<dyn MemoryPool> = Arc::new(TrackConsumersPool::new(
            QueryMemory::new(
                Arc::clone(&self.memory),
                limits.query_memory_bytes,
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
            (&request.sql, &request.asker),
            request.now,
            Arc::clone(&memory),
            peak,
            level,
        )?;
        if let Some(fence) = &self.fence {
            fence.wakes();
        }

        let share = Share {
            running: limits.running,
            waiting: limits.waiting,
        };
        let permit = tokio::select! {
            permit = self.queue.turn(&request.asker.turn, share, false) => permit.map_err(|full| {
                ticket.fails(SqlError::QueueFull { retry_after: full.retry_after })
            })?,
            reason = poll_fn(|context| ticket.poll_stopped(context)) => return Err(reason),
            () = tokio::time::sleep_until(deadline) => {
                let phase = QueryPhase::Queued;
                return Err(ticket.fails(SqlError::TimedOut { milliseconds, phase }));
            }
        };
        ticket.is_in(QueryPhase::Planning);

        let (started, start) = oneshot::channel();
        let (batches, received) = mpsc::channel(BATCHES_WAITING);
        let row_limit = [request.limit, limits.rows].into_iter().flatten().min();
        let asked = SqlRequest {
            limit: row_limit,
            ..request
        };
        let query = Query {
            request: asked,
            limits,
            ticket: Arc::downgrade(&ticket),
            statement_bytes: self.limits.statement_bytes,
            session: Arc::clone(&self.session),
            memory,
            stop: Arc::clone(&ticket.stop),
            tables,
            table_functions,
        };
        let task = runtime.spawn(async move {
            let _permit = permit;
            query.run(started, batches).await
        });
        ticket.runs_as(task.abort_handle());
        let watchdog = {
            let ticket = Arc::downgrade(&ticket);
            let session = Arc::clone(&self.session);
            // On the caller's runtime: the query's own threads may all be busy.
            AbortOnDrop(tokio::spawn(async move {
                if limits.spill_bytes > 0 {
                    let _ = tokio::time::timeout_at(deadline, session.keep_sharing_disk()).await;
                } else {
                    tokio::time::sleep_until(deadline).await;
                }
                if let Some(ticket) = ticket.upgrade() {
                    let phase = ticket.phase();
                    ticket.stop(SqlError::TimedOut { milliseconds, phase });
                }
            }))
        };

        let mut rows = Rows {
            schema: SchemaRef::new(Schema::empty()),
            received,
            task,
            ticket,
            _watchdog: watchdog,
            left: row_limit,
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
            limit: row_limit,
            bytes: AnswerBytes {
                limit: limits.answer_bytes,
                written: rows.ticket.bytes_written(),
            },
            stream: Box::pin(rows),
        })
    }

    /// Stops the query of this id; its stream ends with [`SqlError::Cancelled`]. False if no such query of `asker` runs; an
    /// admin's are all.
    pub fn cancel(&self, query_id: &str, asker: &Asker) -> bool {
        self.running.cancel(query_id, asker)
    }

    /// How many queries run, and how many wait for their turn.
    pub fn queue(&self) -> (usize, usize) {
        self.queue.numbers()
    }

    /// The queries that run now or wait for others to end, oldest first.
    pub fn running(&self) -> Vec<QueryRecord> {
        self.running.list()
    }

    /// The table `queries` as `asker` sees it: of theirs those that run or wait, and of the last 1 000 that have ended. An
    /// admin sees everybody's.
    pub fn queries_table(&self, asker: &Asker) -> Arc<dyn TableProvider> {
        let (running, asker) = (Arc::clone(&self.running), asker.clone());
        Arc::new(QueriesTable::new(move || {
            let mut queries = running.list();
            queries.extend(running.ended());
            queries.retain(|query| asker.may_see(&query.turn));
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
