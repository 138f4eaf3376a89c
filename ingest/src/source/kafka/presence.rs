//! Whether a broker answers, and what is said of it: its absence once, its return once.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::threads::lock;

/// How long the first answer may take before its absence is said.
const FIRST_ANSWER: Duration = Duration::from_secs(5);
/// Whether a broker answers.
#[derive(Debug)]
pub(super) struct Presence(Mutex<State>);

#[derive(Clone, Copy, Debug)]
enum State {
    /// None has answered yet since then.
    Awaited(Instant),
    Here,
    AwaySince(Instant),
}

impl Presence {
    /// Before the first answer.
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(State::Awaited(now)))
    }

    pub(super) fn is_here(&self) -> bool {
        matches!(*lock(&self.0), State::Here)
    }

    /// Since when no broker has answered.
    pub(super) fn away_since(&self) -> Option<Instant> {
        match *lock(&self.0) {
            State::Here => None,
            State::Awaited(since) | State::AwaySince(since) => Some(since),
        }
    }

    /// No broker answers.
    pub(super) fn is_gone(&self, now: Instant, reason: &str) {
        let mut state = lock(&self.0);
        match *state {
            State::AwaySince(_) => return,
            State::Awaited(since) if now.saturating_duration_since(since) < FIRST_ANSWER => return,
            State::Awaited(since) => *state = State::AwaySince(since),
            State::Here => *state = State::AwaySince(now),
        }
        tracing::warn!(
            reason,
            "Kafka does not answer; reading goes on by itself when it is back"
        );
    }

    /// One answers.
    pub(super) fn is_back(&self, now: Instant) {
        let mut state = lock(&self.0);
        match *state {
            State::Here => return,
            State::Awaited(_) => {}
            State::AwaySince(since) => {
                let seconds = now.saturating_duration_since(since).as_secs_f64();
                tracing::info!(away = format!("{seconds:.1} s"), "Kafka answers again");
            }
        }
        *state = State::Here;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_was_never_there_has_a_moment_before_it_is_missed() {
        let began = Instant::now();
        let presence = Presence::new(began);
        presence.is_gone(began + Duration::from_millis(100), "not yet");
        assert!(matches!(*lock(&presence.0), State::Awaited(_)));
        presence.is_gone(began + FIRST_ANSWER, "refused");
        assert_eq!(presence.away_since(), Some(began));
        presence.is_back(began + FIRST_ANSWER);
        assert!(presence.is_here());
    }

    #[test]
    fn an_absence_lasts_from_its_first_word_to_the_first_answer() {
        let began = Instant::now();
        let second = Duration::from_secs(1);
        let presence = Presence::new(began);
        presence.is_back(began);
        for later in 1..30 {
            presence.is_gone(began + later * second, "refused");
            assert_eq!(presence.away_since(), Some(began + second));
        }
        presence.is_back(began + 30 * second);
        assert!(presence.is_here() && presence.away_since().is_none());
    }
}
