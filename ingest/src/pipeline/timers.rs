//! Timers of partitions to which nothing comes: they run out all the same.

use std::time::{Duration, Instant};

use super::worker::Worker;

/// How late a timer may be looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);

/// When timers were looked at.
#[derive(Default)]
pub(super) struct Timers {
    looked: Option<Instant>,
}

impl Timers {
    /// Lets timers run out by the wall clock where a source has nothing more, unless something waits to be applied that may
    /// decide otherwise.
    pub(super) fn run(&mut self, worker: &mut Worker) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        let waiting = worker.shared.waiting.get(worker.number);
        if waiting.is_some_and(|waiting| waiting.batches() > 0) {
            return;
        }
        let now = (worker.shared.clock)();
        for (id, owned) in &worker.partitions {
            if let Some(domain) = &owned.by_wall_clock {
                worker.observer.advance(id, domain, now);
            }
        }
    }
}
