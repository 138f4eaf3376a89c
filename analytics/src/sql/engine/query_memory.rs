//! The memory of one query: a share of the engine's, with a cap of its own.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// Counts what one query holds, refuses above `cap`, and takes every byte from the pool of all queries too.
///
/// Greedy, not fair: since nothing spills, holding memory back for operators that may ask later would only make a
/// query fail earlier.
#[derive(Debug)]
pub(crate) struct QueryMemory {
    all: Arc<dyn MemoryPool>,
    cap: usize,
    used: AtomicUsize,
    peak: Arc<AtomicUsize>,
}

impl QueryMemory {
    /// `peak` is kept at the most bytes that were held at once.
    pub(crate) fn new(all: Arc<dyn MemoryPool>, cap: usize, peak: Arc<AtomicUsize>) -> Self {
        Self {
            all,
            cap,
            used: AtomicUsize::new(0),
            peak,
        }
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "query_memory(used: {}, cap: {})",
            self.used.load(Ordering::Relaxed),
            self.cap
        )
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &'static str {
        "query_memory"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.all.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.all.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        let before = self.used.fetch_add(additional, Ordering::Relaxed);
        self.peak.fetch_max(before + additional, Ordering::Relaxed);
        self.all.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.all.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let before = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(additional).filter(|sum| *sum <= self.cap)
            })
            .map_err(|used| {
                DataFusionError::ResourcesExhausted(format!(
                    "{} asked for {additional} more bytes, {used} of the query's {} are taken",
                    reservation.consumer().name(),
                    self.cap
                ))
            })?;
        self.all.try_grow(reservation, additional).inspect_err(|_| {
            self.used.fetch_sub(additional, Ordering::Relaxed);
        })?;
        self.peak.fetch_max(before + additional, Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    #[test]
    fn a_query_stays_under_its_cap_and_gives_everything_back() {
        let all: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(150));
        let peak = Arc::new(AtomicUsize::new(0));
        let one: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(Arc::clone(&all), 100, Arc::clone(&peak)));
        let other: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(Arc::clone(&all), 100, Arc::default()));
        let first = MemoryConsumer::new("first").register(&one);
        let second = MemoryConsumer::new("second").register(&other);
        assert!(first.try_grow(90).is_ok());
        assert!(first.try_grow(20).is_err());
        assert!(second.try_grow(70).is_err(), "all queries together");
        assert!(second.try_grow(60).is_ok());
        assert_eq!((one.reserved(), other.reserved(), all.reserved()), (90, 60, 150));
        drop((first, second));
        assert_eq!(peak.load(Ordering::Relaxed), 90);
        assert_eq!((one.reserved(), other.reserved(), all.reserved()), (0, 0, 0));
    }
}
