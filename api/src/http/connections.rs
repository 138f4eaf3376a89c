//! Which connections are open, and which of them gives way when there is no room for another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::counters::HttpCounters;

/// How long one that gives way may take to be gone.
const LEAVING: Duration = Duration::from_millis(200);
/// In the place of a time: this side is at work.
const AT_WORK: u64 = u64::MAX;

/// The open connections.
pub(crate) struct Connections {
    room: Arc<Semaphore>,
    slots: Mutex<HashMap<u64, Arc<Slot>>>,
    next: AtomicU64,
    began: Instant,
    counters: HttpCounters,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Since when this side waits for a request, or for the rest of one; microseconds of the server's time.
    waiting_since: AtomicU64,
    leave: Notify,
    began: Instant,
}

impl Slot {
    /// A whole request is here: it is not cut off for another connection.
    pub(crate) fn at_work(&self) {
        self.waiting_since.store(AT_WORK, Ordering::Relaxed);
    }

    /// The answer is given: the other side's turn.
    pub(crate) fn waits(&self) {
        self.waiting_since.store(micros(self.began), Ordering::Relaxed);
    }

    /// Returns when it must give way.
    pub(crate) async fn must_leave(&self) {
        self.leave.notified().await;
    }
}

fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(AT_WORK - 1)
}

/// Room for a connection, until it is dropped.
pub(crate) struct Admitted {
    connections: Arc<Connections>,
    id: u64,
    pub(crate) slot: Arc<Slot>,
    _room: OwnedSemaphorePermit,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.connections.slots().remove(&self.id);
        self.connections.counters.connections.dec();
    }
}

impl Connections {
    /// At most `most` at a time.
    pub(crate) fn new(most: usize, counters: HttpCounters) -> Arc<Self> {
        let most = most.min(Semaphore::MAX_PERMITS);
        counters
            .most_connections
            .set(i64::try_from(most).unwrap_or(i64::MAX));
        Arc::new(Self {
            room: Arc::new(Semaphore::new(most)),
            slots: Mutex::default(),
            next: AtomicU64::new(0),
            began: Instant::now(),
            counters,
        })
    }

    pub(crate) fn counters(&self) -> &HttpCounters {
        &self.counters
    }

    /// Room for one more: when all is taken, that of the one which has waited longest for its client. None: all are at work.
    pub(crate) async fn admit(self: &Arc<Self>) -> Option<Admitted> {
        let room = match Arc::clone(&self.room).try_acquire_owned() {
            Ok(room) => room,
            Err(_) if self.one_leaves() => {
                self.counters.close("for_a_newer_one");
                let room = Arc::clone(&self.room).acquire_owned();
                tokio::time::timeout(LEAVING, room).await.ok()?.ok()?
            }
            Err(_) => return None,
        };
        let slot = Arc::new(Slot {
            waiting_since: AtomicU64::new(micros(self.began)),
            leave: Notify::new(),
            began: self.began,
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.slots().insert(id, Arc::clone(&slot));
        self.counters.connections.inc();
        Some(Admitted {
            connections: Arc::clone(self),
            id,
            slot,
            _room: room,
        })
    }

    fn one_leaves(&self) -> bool {
        let slots = self.slots();
        let since = |slot: &Arc<Slot>| slot.waiting_since.load(Ordering::Relaxed);
        let longest = slots
            .values()
            .filter(|slot| since(slot) != AT_WORK)
            .min_by_key(|slot| since(slot));
        let Some(slot) = longest else {
            return false;
        };
        // Not a second time, while it goes.
        slot.at_work();
        slot.leave.notify_one();
        true
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<u64, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_one_that_has_waited_longest_gives_way_and_none_that_is_at_work() {
        let connections = Connections::new(2, HttpCounters::new().unwrap());
        let (first, second) = (
            connections.admit().await.unwrap(),
            connections.admit().await.unwrap(),
        );
        first.slot.at_work();
        second.slot.at_work();
        assert!(connections.admit().await.is_none());
        tokio::time::sleep(Duration::from_millis(5)).await;
        second.slot.waits();
        tokio::time::sleep(Duration::from_millis(5)).await;
        first.slot.waits();
        let leaving = tokio::spawn(async move {
            second.slot.must_leave().await;
            drop(second);
        });
        assert!(connections.admit().await.is_some());
        leaving.await.unwrap();
        assert_eq!(connections.counters().connections.get(), 1);
        drop(first);
        assert_eq!(connections.counters().connections.get(), 0);
    }
}
