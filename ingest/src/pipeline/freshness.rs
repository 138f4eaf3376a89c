//! How old what readers see is: told by time that no clock setting changes, so that a publisher or a worker that stands
//! still is seen.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much later than it should a snapshot may come, or show a change: more than any load explains.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same, in intervals of publishing.
const INTERVALS: u32 = 40;

/// What a worker was given, and what of it readers see.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    /// When the last batch was handed over.
    last: Option<Instant>,
    /// Since when something that was handed over is not shown.
    unseen: Option<Instant>,
}

#[derive(Debug)]
struct State {
    /// When the newest snapshot was made.
    published: Instant,
    /// When the next one should be.
    due: Instant,
    workers: Vec<Given>,
}

/// Kept by the sources that hand over and by the one who publishes.
#[derive(Debug)]
pub(super) struct Freshness {
    state: Mutex<State>,
    patience: Duration,
}

/// What a worker showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) worker: usize,
    /// When it did.
    pub(super) at: Instant,
    /// Batches waited that it does not show.
    pub(super) has_more: bool,
}

impl Freshness {
    pub(super) fn new(workers: usize, publish_every: Duration, now: Instant) -> Self {
        Self {
            state: Mutex::new(State {
                published: now,
                due: now,
                workers: vec![Given::default(); workers],
            }),
            patience: PATIENCE.max(publish_every * INTERVALS),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch was handed over to a worker.
    pub(super) fn handed_over(&self, worker: usize, now: Instant) {
        if let Some(given) = self.state().workers.get_mut(worker) {
            given.last = Some(now);
            given.unseen.get_or_insert(now);
        }
    }

    /// A snapshot was made of what some workers showed; the next one should come at `due`.
    pub(super) fn published(&self, shown: &[Shown], now: Instant, due: Instant) {
        let mut state = self.state();
        state.published = now;
        state.due = due;
        for shown in shown {
            if let Some(given) = state.workers.get_mut(shown.worker) {
                let is_behind = shown.has_more || given.last.is_some_and(|last| last > shown.at);
                // As if it had come just then: what is really oldest among those that wait is not known.
                given.unseen = is_behind.then_some(shown.at);
            }
        }
    }

    /// Since the newest snapshot was made, or since the oldest change that it does not show was handed over: what is longer.
    pub(super) fn age(&self, now: Instant) -> Duration {
        let state = self.state();
        let unseen = state.workers.iter().filter_map(|given| given.unseen);
        let oldest = unseen.chain([state.published]).min();
        oldest.map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest))
    }

    /// How late it is, when that is more than any load explains.
    pub(super) fn is_late_by(&self, now: Instant) -> Option<Duration> {
        let state = self.state();
        // What is handed over waits rightly from one snapshot to the next.
        let between = state.due.saturating_duration_since(state.published);
        let unseen = state.workers.iter().filter_map(|given| given.unseen).min();
        let waits = unseen.map_or(Duration::ZERO, |unseen| now.saturating_duration_since(unseen));
        let late = waits
            .saturating_sub(between)
            .max(now.saturating_duration_since(state.due));
        (late > self.patience).then_some(late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(250);

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_handed_over_is_as_old_as_it_waits_until_it_is_shown() {
        let start = Instant::now();
        let freshness = Freshness::new(2, EVERY, start);
        freshness.handed_over(0, after(start, 1));
        freshness.handed_over(1, after(start, 2));
        let shown = |worker, at, has_more| Shown {
            worker,
            at: after(start, at),
            has_more,
        };
        freshness.published(&[shown(0, 3, false)], after(start, 3), after(start, 4));
        // The other one stands still.
        assert_eq!(freshness.age(after(start, 30)), Duration::from_secs(28));
        freshness.published(&[shown(0, 30, false)], after(start, 30), after(start, 31));
        assert_eq!(
            freshness.is_late_by(after(start, 31)),
            Some(Duration::from_secs(28))
        );
        // It shows something, and has more.
        freshness.published(&[shown(1, 31, true)], after(start, 32), after(start, 33));
        assert_eq!(freshness.age(after(start, 34)), Duration::from_secs(3));
        assert_eq!(freshness.is_late_by(after(start, 34)), None);
        freshness.published(&[shown(1, 35, false)], after(start, 35), after(start, 36));
        assert_eq!(freshness.age(after(start, 35)), Duration::ZERO);
    }

    #[test]
    fn a_publisher_that_stands_still_is_late_and_one_that_must_wait_is_not() {
        let start = Instant::now();
        let freshness = Freshness::new(1, EVERY, start);
        freshness.handed_over(0, start);
        // A large grid: the next snapshot comes in a minute.
        freshness.published(&[], start, after(start, 60));
        assert_eq!(freshness.is_late_by(after(start, 59)), None);
        assert_eq!(
            freshness.is_late_by(after(start, 71)),
            Some(Duration::from_secs(11))
        );
    }
}
