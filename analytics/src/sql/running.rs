//! The queries that run now: what they are, how they end.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::{DateTime, Utc};
use datafusion::execution::memory_pool::MemoryPool;
use futures::task::AtomicWaker;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::SqlError;
use super::stoppable::Stop;

/// One query that runs, for the table `queries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningQuery {
    /// The id by which it can be cancelled.
    pub query_id: String,
    /// The statement as it was sent, cut at 1 000 characters.
    pub sql: String,
    /// The `now` of its request.
    pub started: DateTime<Utc>,
    /// How long it has run.
    pub elapsed: Duration,
    /// The bytes of memory that it holds.
    pub memory_bytes: usize,
}

/// A query from its start until its stream ends or is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) query_id: String,
    pub(crate) sql: String,
    pub(crate) started: DateTime<Utc>,
    pub(crate) since: Instant,
    pub(crate) memory: Arc<dyn MemoryPool>,
    /// Why it was stopped before its end; the first reason stays.
    stopped: OnceLock<SqlError>,
    task: OnceLock<AbortHandle>,
    /// Set when the query is stopped, or has no reader any more.
    pub(crate) stop: Stop,
    /// Whoever reads the rows; woken when the query is stopped, even if its task cannot yield yet.
    reader: AtomicWaker,
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

    pub(crate) fn stopped(&self) -> Option<&SqlError> {
        self.stopped.get()
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
        }
    }
}

/// All queries that run, by id. Bounded by the engine's permits and by the connections that wait for one.
#[derive(Debug, Default)]
pub(crate) struct Running {
    tickets: Mutex<HashMap<String, Weak<Ticket>>>,
}

impl Running {
    fn tickets(&self) -> MutexGuard<'_, HashMap<String, Weak<Ticket>>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Errors
    /// [`SqlError::BadRequest`] if a query of this id runs.
    pub(crate) fn start(
        self: &Arc<Self>,
        query_id: String,
        sql: &str,
        started: DateTime<Utc>,
        memory: Arc<dyn MemoryPool>,
    ) -> Result<Arc<Ticket>, SqlError> {
        let ticket = Arc::new(Ticket {
            query_id: query_id.clone(),
            sql: sql.chars().take(1_000).collect(),
            started,
            since: Instant::now(),
            memory,
            stopped: OnceLock::new(),
            task: OnceLock::new(),
            stop: Stop::default(),
            reader: AtomicWaker::new(),
            list: Arc::downgrade(self),
        });
        let mut tickets = self.tickets();
        if tickets
            .get(&query_id)
            .is_some_and(|other| other.strong_count() > 0)
        {
            // The ticket that ends here takes the lock too.
            drop(tickets);
            return Err(SqlError::BadRequest(format!(
                "a query with the id {query_id} is running; use another id or none"
            )));
        }
        tickets.insert(query_id, Arc::downgrade(&ticket));
        Ok(ticket)
    }

    pub(crate) fn cancel(&self, query_id: &str) -> bool {
        let ticket = self.tickets().get(query_id).and_then(Weak::upgrade);
        match ticket {
            Some(ticket) => {
                ticket.stop(SqlError::Cancelled);
                true
            }
            None => false,
        }
    }

    pub(crate) fn list(&self) -> Vec<RunningQuery> {
        let tickets: Vec<Arc<Ticket>> = self.tickets().values().filter_map(Weak::upgrade).collect();
        let mut queries: Vec<RunningQuery> = tickets
            .iter()
            .map(|ticket| RunningQuery {
                query_id: ticket.query_id.clone(),
                sql: ticket.sql.clone(),
                started: ticket.started,
                elapsed: ticket.since.elapsed(),
                memory_bytes: ticket.memory.reserved(),
            })
            .collect();
        queries.sort_by(|a, b| (a.started, &a.query_id).cmp(&(b.started, &b.query_id)));
        queries
    }
}
