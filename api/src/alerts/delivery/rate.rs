//! How fast a receiver may be told: so many messages a minute, and a few at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Messages that may follow each other at once.
const BURST: u32 = 5;
const MINUTE: Duration = Duration::from_mins(1);

/// When each endpoint may be told next. Kept in memory: after a restart a burst may follow a burst.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// The time at which the message after those that were let through would be due if they came evenly.
    due: HashMap<String, Instant>,
}

impl Rates {
    /// Lets one message through; or says how long it has to wait.
    pub(super) fn admit(&mut self, endpoint: &str, a_minute: u32, now: Instant) -> Result<(), Duration> {
        let every = MINUTE / a_minute.max(1);
        let due = self.due.get(endpoint).copied().unwrap_or(now).max(now);
        let wait = due.saturating_duration_since(now + every * (BURST - 1));
        if !wait.is_zero() {
            return Err(wait);
        }
        self.due.insert(endpoint.to_owned(), due + every);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn five_follow_at_once_and_then_as_many_a_minute_as_are_allowed() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let admitted = (0..20).filter(|_| rates.admit("ops", 20, start).is_ok()).count();
        assert_eq!(admitted, 5);
        assert_eq!(rates.admit("ops", 20, at(1)), Err(Duration::from_secs(2)));
        assert_eq!(rates.admit("ops", 20, at(3)), Ok(()));
        assert_eq!(rates.admit("others", 20, at(3)), Ok(()));
        let in_a_minute = (3..63).filter(|second| rates.admit("ops", 20, at(*second)).is_ok());
        assert!((19..=20).contains(&in_a_minute.count()));
    }
}
