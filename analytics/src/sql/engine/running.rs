//! The queries that run now: what they are, how they end; and the last ones that did.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::{DateTime, Utc};
use datafusion::execution::memory_pool::MemoryPool;
use futures::task::AtomicWaker;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::asker::Asker;
use crate::sql::bounds::Stop;
use crate::sql::catalogue::{QueryRecord, QueryState};
use crate::sql::error::SqlError;
use crate::sql::query_phase::QueryPhase;

/// Queries that are remembered after their end.
const REMEMBERED: usize = 1_000;
/// Characters of a statement that are kept.
const STATEMENT_CHARACTERS: usize = 1_000;

/// A query from its start until its stream ends or is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) query_id: String,
    pub(crate) sql: String,
    pub(crate) started: DateTime<Utc>,
    pub(crate) since: Instant,
    pub(crate) memory: Arc<dyn MemoryPool>,
    /// The most bytes that it has held.
    peak: Arc<AtomicUsize>,
    /// Rows that have been read from it.
    rows: AtomicU64,
    who: Arc<str>,
    turn: Arc<str>,
    via: &'static str,
    /// Bytes that have been written of its answer.
    bytes: Arc<AtomicU64>,
    /// Rows that its scans were to read.
    cells: AtomicU64,
    /// When each phase after the first began.
    phases: [OnceLock<Instant>; 2],
    /// How it ended, if its rows were read to the end.
    ended: OnceLock<Result<(), SqlError>>,
    /// Why it was stopped before its end; the first reason stays.
    stopped: OnceLock<SqlError>,
    task: OnceLock<AbortHandle>,
    /// Set when the query is stopped, or has no reader any more.
    pub(crate) stop: Stop,
    /// Whoever reads the rows; woken when the query is stopped, even if its task cannot yield yet.
    reader: AtomicWaker,
    /// What the process had when it started, without the memory of queries.
    level: Option<usize>,
    list: Weak<Running>,
}

impl Ticket {
    /// Stops the query's task at its next yield and keeps the reason.
    pub(crate) fn stop(&self, reason: SqlError) {
        let _ = self.stopped.set(reason);
        self.stop.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.get() {
            task.abort();
        }
        self.reader.wake();
    }

    /// Ready with the reason once the query is stopped.
    pub(crate) fn poll_stopped(&self, context: &mut Context<'_>) -> Poll<SqlError> {
        self.reader.register(context.waker());
        match self.stopped.get() {
            Some(reason) => Poll::Ready(reason.clone()),
            None => Poll::Pending,
        }
    }

    /// See [`MemoryFence::level`](super::memory_fence::MemoryFence::level).
    pub(crate) fn level(&self) -> Option<usize> {
        self.level
    }

    pub(crate) fn stopped(&self) -> Option<&SqlError> {
        self.stopped.get()
    }

    /// Rows have been read.
    pub(crate) fn add_rows(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// It has come so far.
    pub(crate) fn is_in(&self, phase: QueryPhase) {
        let [planning, running] = &self.phases;
        let _ = match phase {
            QueryPhase::Queued => return,
            QueryPhase::Planning => planning.set(Instant::now()),
            QueryPhase::Running => running.set(Instant::now()),
        };
    }

    /// How far it has come.
    pub(crate) fn phase(&self) -> QueryPhase {
        match &self.phases {
            [_, running] if running.get().is_some() => QueryPhase::Running,
            [planning, _] if planning.get().is_some() => QueryPhase::Planning,
            _ => QueryPhase::Queued,
        }
    }

    /// Where the bytes of its answer are counted.
    pub(crate) fn bytes_written(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes)
    }

    /// Its scans are to read so many rows.
    pub(crate) fn reads(&self, rows: u64) {
        self.cells.store(rows, Ordering::Relaxed);
    }

    /// How long it waited, was planned and ran.
    fn times(&self) -> [Duration; 3] {
        let now = Instant::now();
        let [planning, running] = &self.phases;
        let running = running.get().copied();
        let planning = planning.get().copied();
        let planned = running.unwrap_or(now);
        let waited = planning.unwrap_or(now);
        [
            waited.duration_since(self.since),
            planning.map_or(Duration::ZERO, |since| planned.duration_since(since)),
            running.map_or(Duration::ZERO, |since| now.duration_since(since)),
        ]
    }

    /// Its rows have come to their end.
    pub(crate) fn ends(&self) {
        let _ = self.ended.set(Ok(()));
    }

    /// It has come to an error, which is given back as its caller may see it. Where it is the engine's fault its cause
    /// goes to the log.
    pub(crate) fn fails(&self, error: SqlError) -> SqlError {
        let error = error.of_query(&self.query_id);
        let is_first = self.ended.set(Err(error.clone())).is_ok();
        if let (true, SqlError::Internal { cause, .. }) = (is_first, &error) {
            tracing::error!(query_id = %self.query_id, cause, sql = self.sql, "a statement failed inside the engine");
            if let Some(list) = self.list.upgrade() {
                list.internal_errors.fetch_add(1, Ordering::Relaxed);
            }
        }
        error
    }

    /// What the table `queries` says of it while it is there.
    fn record(&self) -> QueryRecord {
        let [waited, planned, ran] = self.times();
        QueryRecord {
            query_id: self.query_id.clone(),
            sql: self.sql.clone(),
            who: Arc::clone(&self.who),
            turn: Arc::clone(&self.turn),
            via: self.via,
            state: match self.phase() {
                QueryPhase::Queued => QueryState::Waiting,
                QueryPhase::Planning | QueryPhase::Running => QueryState::Running,
            },
            waited,
            planned,
            ran,
            bytes: self.bytes.load(Ordering::Relaxed),
            cells: self.cells.load(Ordering::Relaxed),
            started: self.started,
            elapsed: self.since.elapsed(),
            rows: self.rows.load(Ordering::Relaxed),
            memory_bytes: self.memory.reserved(),
            peak_memory_bytes: self.peak.load(Ordering::Relaxed),
            error: None,
        }
    }

    /// What it says afterwards.
    fn last_record(&self) -> QueryRecord {
        let how = self
            .ended
            .get()
            .cloned()
            .or_else(|| self.stopped.get().cloned().map(Err));
        let (state, error) = match how {
            Some(Ok(())) => (QueryState::Finished, None),
            Some(Err(SqlError::Cancelled)) => (QueryState::Cancelled, None),
            Some(Err(error)) => (QueryState::Failed, Some(error.to_string())),
            None => (QueryState::Abandoned, None),
        };
        QueryRecord {
            state,
            error,
            memory_bytes: 0,
            ..self.record()
        }
    }

    /// Names the task that runs the query; one that was stopped meanwhile is stopped at once.
    pub(crate) fn runs_as(&self, task: AbortHandle) {
        if self.stopped.get().is_some() {
            task.abort();
        }
        let _ = self.task.set(task);
        if let (Some(_), Some(task)) = (self.stopped.get(), self.task.get()) {
            task.abort();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.get() {
            task.abort();
        }
        if let Some(list) = self.list.upgrade() {
            let mut tickets = list.tickets();
            // The id may have been taken again between the end of this ticket and now.
            if tickets
                .get(&self.query_id)
                .is_some_and(|other| other.strong_count() == 0)
            {
                tickets.remove(&self.query_id);
            }
            drop(tickets);
            list.remember(self.last_record());
        }
    }
}

/// All queries that run, by id. Bounded by the engine's permits and by the connections that wait for one.
#[derive(Debug, Default)]
pub(crate) struct Running {
    tickets: Mutex<HashMap<String, Weak<Ticket>>>,
    /// Those that have ended, oldest first.
    ended: Mutex<VecDeque<QueryRecord>>,
    /// How many failed by a fault of the engine.
    internal_errors: AtomicU64,
}

impl Running {
    fn tickets(&self) -> MutexGuard<'_, HashMap<String, Weak<Ticket>>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, record: QueryRecord) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() >= REMEMBERED {
            ended.pop_front();
        }
        ended.push_back(record);
    }

    /// # Errors
    /// [`SqlError::BadRequest`] if a query of this id runs.
    pub(crate) fn start(
        self: &Arc<Self>,
        query_id: String,
        (sql, asker): (&str, &Asker),
        started: DateTime<Utc>,
        memory: Arc<dyn MemoryPool>,
        peak: Arc<AtomicUsize>,
        level: Option<usize>,
    ) -> Result<Arc<Ticket>, SqlError> {
        let ticket = Arc::new(Ticket {
            query_id: query_id.clone(),
            sql: sql.chars().take(STATEMENT_CHARACTERS).collect(),
            started,
            since: Instant::now(),
            memory,
            peak,
            rows: AtomicU64::new(0),
            who: Arc::clone(&asker.who),
            turn: Arc::clone(&asker.turn),
            via: asker.via,
            bytes: Arc::default(),
            cells: AtomicU64::new(0),
            phases: Default::default(),
            ended: OnceLock::new(),
            stopped: OnceLock::new(),
            task: OnceLock::new(),
            stop: Stop::default(),
            reader: AtomicWaker::new(),
            level,
            list: Arc::downgrade(self),
        });
        let mut tickets = self.tickets();
        if tickets
            .get(&query_id)
            .is_some_and(|other| other.strong_count() > 0)
        {
            // The ticket that ends here takes the lock too.
            drop(tickets);
            let refusal = SqlError::IdInUse(query_id);
            return Err(ticket.fails(refusal));
        }
        tickets.insert(query_id, Arc::downgrade(&ticket));
        Ok(ticket)
    }

    pub(crate) fn internal_errors(&self) -> u64 {
        self.internal_errors.load(Ordering::Relaxed)
    }

    pub(crate) fn cancel(&self, query_id: &str, asker: &Asker) -> bool {
        let ticket = self.tickets().get(query_id).and_then(Weak::upgrade);
        match ticket.filter(|ticket| asker.may_see(&ticket.turn)) {
            Some(ticket) => {
                ticket.stop(SqlError::Cancelled);
                true
            }
            None => false,
        }
    }

    /// Those that run or wait.
    pub(crate) fn live(&self) -> Vec<Arc<Ticket>> {
        self.tickets().values().filter_map(Weak::upgrade).collect()
    }

    /// The queries that run or wait, oldest first.
    pub(crate) fn list(&self) -> Vec<QueryRecord> {
        let mut queries: Vec<QueryRecord> = self.live().iter().map(|ticket| ticket.record()).collect();
        queries.sort_by(|a, b| (a.started, &a.query_id).cmp(&(b.started, &b.query_id)));
        queries
    }

    /// The last queries that have ended, newest first.
    pub(crate) fn ended(&self) -> Vec<QueryRecord> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.iter().rev().cloned().collect()
    }
}
