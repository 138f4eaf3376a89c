//! The wall clock as it would be had nobody set it: what deliveries wait by. When they are due is stored by the wall clock,
//! since it must hold after a restart.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::worker::Clock;

/// By so much the wall clock may differ from the time that has passed before it counts as set, µs.
const SET: i64 = 1_000_000;

pub(super) struct SteadyClock {
    wall: Clock,
    /// A moment, and what the wall clock said then.
    known: Mutex<(Instant, i64)>,
}

impl SteadyClock {
    pub(super) fn new(wall: Clock) -> Self {
        let known = Mutex::new((Instant::now(), wall()));
        Self { wall, known }
    }

    fn known(&self) -> MutexGuard<'_, (Instant, i64)> {
        // Nothing panics while it is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// µs since 1970 UTC, and what has passed since it was last set to the wall clock.
    pub(super) fn now(&self) -> i64 {
        let (moment, said) = *self.known();
        said.saturating_add(i64::try_from(moment.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// By how much the wall clock was set since, µs; none when it only runs a little faster or slower.
    pub(super) fn was_set_by(&self) -> Option<i64> {
        let set_by = (self.wall)().saturating_sub(self.now());
        (set_by.abs() >= SET).then_some(set_by)
    }

    /// Takes the wall clock as it is now.
    pub(super) fn follow(&self, set_by: i64) {
        let mut known = self.known();
        known.1 = known.1.saturating_add(set_by);
    }
}
