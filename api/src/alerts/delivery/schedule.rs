//! When to try again. A table of our own, not a crate for retries: the waits are the contract's, they outlive the process in the
//! outbox, and their jitter follows from the message.

use std::time::Duration;

use twox_hash::XxHash3_64;

/// The waits between the attempts of one delivery. After the last one it is dead.
#[derive(Clone, Debug)]
pub struct RetrySchedule {
    /// First wait first.
    waits: Vec<Duration>,
}

/// A receiver cannot ask for a longer pause than this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Parts of a wait that it is spread over.
const LEAST_SPREAD: f64 = 0.8;
const LONGEST_SPREAD: f64 = 1.2;

impl Default for RetrySchedule {
    /// From five seconds to a day, 12 attempts in three days and three and a half hours.
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3_600;
        let seconds = [
            5,
            30,
            2 * MINUTE,
            5 * MINUTE,
            30 * MINUTE,
            2 * HOUR,
            5 * HOUR,
            10 * HOUR,
            14 * HOUR,
            20 * HOUR,
            24 * HOUR,
        ];
        Self {
            waits: seconds.into_iter().map(Duration::from_secs).collect(),
        }
    }
}

impl RetrySchedule {
    /// These waits.
    pub fn new(waits: Vec<Duration>) -> Self {
        Self { waits }
    }

    /// No wait is longer.
    pub fn longest(&self) -> Duration {
        let longest = self.waits.iter().max().copied().unwrap_or_default();
        longest.mul_f64(LONGEST_SPREAD).max(LONGEST_RETRY_AFTER)
    }

    /// How long to wait after attempt `attempts` (from 1) failed; `None` when it was the last.
    ///
    /// Spread by up to a fifth either way, by a hash of delivery and attempt, so that those that failed together do
    /// not come back together. What the receiver asked for by `Retry-After` is honoured, up to a day.
    pub fn wait_after(
        &self,
        delivery: &str,
        attempts: u32,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        let wait = self.waits.get((attempts as usize).checked_sub(1)?)?;
        let hash = XxHash3_64::oneshot_with_seed(u64::from(attempts), delivery.as_bytes());
        let spread =
            LEAST_SPREAD + (LONGEST_SPREAD - LEAST_SPREAD) * ((hash >> 11) as f64 / (1u64 << 53) as f64);
        let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        Some(wait.mul_f64(spread).max(asked))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn it_grows_from_five_seconds_over_three_days_and_ends_as_the_contract_says() {
        let schedule = RetrySchedule::default();
        let all: Duration = schedule.waits.iter().sum();
        assert_eq!(
            (schedule.waits.len() + 1, all.as_secs()),
            (12, 75 * 3_600 + 37 * 60 + 35)
        );
        let first = "msg_0c4a50d22b07046a9949b6c4818a37eb";
        let wait = |attempts| schedule.wait_after(first, attempts, None);
        assert_eq!(format!("{:.6}", wait(1).unwrap().as_secs_f64()), "5.917651");
        assert!(wait(11).is_some() && wait(12).is_none());
    }

    #[test]
    fn deliveries_that_failed_together_come_back_apart_and_within_a_fifth() {
        let schedule = RetrySchedule::new(vec![Duration::from_secs(100)]);
        let waits: Vec<f64> = (0..100)
            .map(|n| {
                schedule
                    .wait_after(&format!("msg{n}"), 1, None)
                    .unwrap()
                    .as_secs_f64()
            })
            .collect();
        assert!(waits.iter().all(|wait| (80.0..=120.0).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < 90.0) && waits.iter().any(|wait| *wait > 110.0));
    }

    #[test]
    fn the_receiver_may_ask_for_a_longer_pause_up_to_a_day() {
        let schedule = RetrySchedule::new(vec![Duration::from_secs(1)]);
        let asked = |seconds| {
            schedule
                .wait_after("msg", 1, Some(Duration::from_secs(seconds)))
                .unwrap()
        };
        assert_eq!(asked(600), Duration::from_mins(10));
        assert_eq!(asked(10_000_000), LONGEST_RETRY_AFTER);
        assert!(asked(0) >= Duration::from_millis(800));
    }
}
