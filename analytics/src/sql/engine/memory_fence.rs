//! The last fence around the memory of all queries, for what the memory pool does not see.
//!
//! What is measured is the process, so what stood before counts as well: from the level at the start of the oldest query
//! that runs, all may grow by the memory of all queries and a margin. Above that the query ends that holds most, or has
//! run longest. It is sampled on a thread of its own, which sleeps while no query runs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::running::{Running, Ticket};
use crate::sql::error::SqlError;

/// Tells the bytes that the process has, less what is known to be no query's. `None` where that cannot be told.
pub type ProcessMemory = Arc<dyn Fn() -> Option<usize> + Send + Sync>;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// After a query was ended, until the next one may be: its memory has to be given back.
const MERCY: Duration = Duration::from_millis(300);

/// A running watch.
pub(crate) struct MemoryFence {
    measure: ProcessMemory,
    /// The last level that was measured for a query, and when.
    last: Mutex<Option<(Instant, Option<usize>)>>,
    watch: Thread,
    ended: Arc<AtomicU64>,
}

impl fmt::Debug for MemoryFence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MemoryFence").finish_non_exhaustive()
    }
}

impl Drop for MemoryFence {
    fn drop(&mut self) {
        self.watch.unpark();
    }
}

impl MemoryFence {
    /// Watches the queries of `running`, which together may take `allowed` bytes.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn around(
        running: &Arc<Running>,
        allowed: usize,
        measure: ProcessMemory,
    ) -> std::io::Result<Self> {
        let ended = Arc::new(AtomicU64::new(0));
        let watch = Watch {
            running: Arc::downgrade(running),
            allowed,
            measure: Arc::clone(&measure),
            ended: Arc::clone(&ended),
        };
        let thread = thread::Builder::new()
            .name("riskgrid-sql-fence".to_owned())
            .spawn(move || watch.run())?;
        Ok(Self {
            measure,
            last: Mutex::new(None),
            watch: thread.thread().clone(),
            ended,
        })
    }

    /// The level to which a query that starts now is held, when `held` bytes are the pool's already.
    pub(crate) fn level(&self, held: usize) -> Option<usize> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, level)) = *last
            && when.elapsed() < PAUSE
        {
            return level;
        }
        let level = (self.measure)().map(|bytes| bytes.saturating_sub(held));
        *last = Some((Instant::now(), level));
        level
    }

    /// A query has started.
    pub(crate) fn wakes(&self) {
        self.watch.unpark();
    }

    /// Queries that were ended.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }
}

/// On a thread of its own; a query that begins need not wake it, as it looks again by itself.
#[allow(clippy::disallowed_methods, reason = "nothing else runs on this thread")]
fn pause_for(pause: Duration) {
    thread::sleep(pause);
}

struct Watch {
    running: Weak<Running>,
    allowed: usize,
    measure: ProcessMemory,
    ended: Arc<AtomicU64>,
}

impl Watch {
    fn run(&self) {
        loop {
            let Some(running) = self.running.upgrade() else {
                return;
            };
            let queries = running.live();
            drop(running);
            if queries.is_empty() {
                thread::park();
                continue;
            }
            let pause = if self.ends_one(&queries) { MERCY } else { PAUSE };
            drop(queries);
            pause_for(pause);
        }
    }

    fn ends_one(&self, queries: &[Arc<Ticket>]) -> bool {
        let level = queries.iter().filter_map(|query| query.level()).min();
        let (Some(level), Some(now)) = (level, (self.measure)()) else {
            return false;
        };
        let taken = now.saturating_sub(level);
        if taken <= self.allowed {
            return false;
        }
        let largest = queries
            .iter()
            .filter(|query| query.stopped().is_none())
            .max_by_key(|query| (query.memory.reserved(), query.since.elapsed()));
        let Some(largest) = largest else { return false };
        tracing::warn!(
            query_id = largest.query_id,
            taken,
            allowed = self.allowed,
            "queries take more memory than they may, the largest is ended"
        );
        self.ended.fetch_add(1, Ordering::Relaxed);
        largest.stop(SqlError::ResourcesExhausted(format!(
            "queries took {taken} bytes of the process, allowed are {}, and this one held most; narrow it, aggregate \
             earlier or use shorter texts and lists",
            self.allowed
        )));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use chrono::DateTime;
    use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};

    use super::*;
    use crate::sql::Asker;

    fn query(running: &Arc<Running>, id: &str, level: usize) -> (Arc<Ticket>, Arc<dyn MemoryPool>) {
        let memory: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let ticket = running
            .start(
                id.to_owned(),
                ("", &Asker::system()),
                DateTime::UNIX_EPOCH,
                Arc::clone(&memory),
                Arc::default(),
                Some(level),
            )
            .expect("a new id");
        (ticket, memory)
    }

    fn until(condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(30), "it does not come");
            pause_for(Duration::from_millis(5));
        }
    }

    #[test]
    fn the_query_that_holds_most_ends_and_the_others_go_on() {
        let running = Arc::new(Running::default());
        let bytes = Arc::new(AtomicUsize::new(1_000));
        let measured = Arc::clone(&bytes);
        let measure: ProcessMemory = Arc::new(move || Some(measured.load(Ordering::Relaxed)));
        let fence = MemoryFence::around(&running, 500, measure).expect("a thread");
        let (small, _memory) = query(&running, "small", 1_000);
        let (large, memory) = query(&running, "large", 1_400);
        let held = MemoryConsumer::new("x").register(&memory);
        held.grow(300);
        fence.wakes();
        pause_for(PAUSE * 3);
        assert_eq!(fence.ended(), 0);
        bytes.store(1_501, Ordering::Relaxed);
        until(|| large.stopped().is_some());
        bytes.store(1_000, Ordering::Relaxed);
        assert!(matches!(large.stopped(), Some(SqlError::ResourcesExhausted(_))));
        pause_for(MERCY * 2);
        assert!(small.stopped().is_none());
        assert_eq!(fence.ended(), 1);
    }
}
