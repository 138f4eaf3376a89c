//! How often an identity may ask (GCRA), how many streams it may hold open, and how much a key may bring.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;
use riskgrid_analytics::permission::Role;

use super::route_table::Pace;

/// Identities whose rates are known at a time.
const IDENTITIES: u64 = 100_000;
/// By then any of them has all its requests again.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(2);

/// What one role may ask for.
struct Allowance {
    sql: (u32, u32),
    rest: (u32, u32),
    streams: u32,
}

/// Requests a second and at once, and open streams, of one identity of a role.
const fn allowance(role: Role) -> Allowance {
    match role {
        Role::Public => Allowance { sql: (2, 10), rest: (100, 400), streams: 2 },
        Role::Analyst => Allowance { sql: (20, 100), rest: (200, 800), streams: 10 },
        Role::Operator | Role::Admin => Allowance { sql: (50, 200), rest: (200, 800), streams: 20 },
    }
}

/// The rates of all identities.
pub(super) struct Rates {
    identities: Cache<(String, Pace), Arc<DefaultDirectRateLimiter>>,
    streams: Arc<Mutex<HashMap<String, u32>>>,
    clock: DefaultClock,
}

impl Rates {
    pub(super) fn new() -> Self {
        Self {
            identities: Cache::builder()
                .max_capacity(IDENTITIES)
                .time_to_idle(FORGOTTEN_AFTER)
                .build(),
            streams: Arc::default(),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request of whom the name stands for.
    ///
    /// # Errors
    /// It comes too soon: after how many seconds it would not.
    pub(super) fn ask(&self, name: &str, role: Role, pace: Pace) -> Result<(), u32> {
        let allowance = allowance(role);
        let (per_second, at_once) = match pace {
            Pace::Free => return Ok(()),
            Pace::Sql => allowance.sql,
            Pace::Rest => allowance.rest,
        };
        let limiter = self.identities.get_with((name.to_owned(), pace), || {
            let whole = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::per_second(whole(per_second)).allow_burst(whole(at_once));
            Arc::new(RateLimiter::direct(quota))
        });
        limiter.check().map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
        })
    }

    /// Room for one more stream of whom the name stands for, until it is dropped; none when it holds as many as it may.
    pub(super) fn stream(&self, name: &str, role: Role) -> Option<OpenStream> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let open = streams.entry(name.to_owned()).or_default();
        if *open >= allowance(role).streams {
            return None;
        }
        *open += 1;
        Some(OpenStream {
            streams: Arc::clone(&self.streams),
            name: name.to_owned(),
        })
    }
}

/// A stream that counts.
pub(super) struct OpenStream {
    streams: Arc<Mutex<HashMap<String, u32>>>,
    name: String,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = streams.get_mut(&self.name) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                streams.remove(&self.name);
            }
        }
    }
}

/// How much of one thing may be brought a second. A request of any size is let in when the ones before are paid for, so
/// that none is too large for ever.
#[derive(Debug)]
pub struct Meter {
    per_second: u64,
    /// Until when what was let in is paid for.
    paid_until: Mutex<Option<Instant>>,
}

/// So much may come at once before any of it is waited for.
const AT_ONCE: Duration = Duration::from_secs(1);

impl Meter {
    /// One of so much a second.
    pub fn new(per_second: u64) -> Self {
        Self {
            per_second: per_second.max(1),
            paid_until: Mutex::default(),
        }
    }

    /// Takes an amount at `now`.
    ///
    /// # Errors
    /// The amounts before are not paid for: how many seconds that takes. Nothing is counted.
    pub fn take(&self, amount: u64, now: Instant) -> Result<(), u32> {
        let mut until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let paid = until.map_or(now, |until| until.max(now));
        let owed = paid.saturating_duration_since(now);
        if owed > AT_ONCE {
            let wait = owed.saturating_sub(AT_ONCE).as_secs();
            return Err(u32::try_from(wait).unwrap_or(u32::MAX).saturating_add(1));
        }
        let cost = Duration::from_nanos(
            u64::try_from(u128::from(amount) * 1_000_000_000 / u128::from(self.per_second)).unwrap_or(u64::MAX),
        );
        *until = Some(paid.checked_add(cost).unwrap_or(paid));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_identity_may_ask_so_often_at_once_and_another_is_not_held_up_by_it() {
        let rates = Rates::new();
        let asked = (0..400).filter(|_| rates.ask("key:a", Role::Analyst, Pace::Sql).is_ok());
        // A few more may be given back while this runs.
        let count = asked.count();
        assert!((100..400).contains(&count), "{count}");
        assert_eq!(rates.ask("key:a", Role::Analyst, Pace::Sql), Err(1));
        assert_eq!(rates.ask("key:a", Role::Analyst, Pace::Rest), Ok(()));
        assert_eq!(rates.ask("key:b", Role::Analyst, Pace::Sql), Ok(()));
        assert_eq!(rates.ask("key:a", Role::Analyst, Pace::Free), Ok(()));
    }

    #[test]
    fn streams_are_counted_while_they_are_open() {
        let rates = Rates::new();
        let first = rates.stream("anonymous 192.0.2.1", Role::Public).unwrap();
        let _second = rates.stream("anonymous 192.0.2.1", Role::Public).unwrap();
        assert!(rates.stream("anonymous 192.0.2.1", Role::Public).is_none());
        assert!(rates.stream("anonymous 192.0.2.2", Role::Public).is_some());
        drop(first);
        assert!(rates.stream("anonymous 192.0.2.1", Role::Public).is_some());
    }

    proptest! {
        #[test]
        fn over_a_long_time_no_more_is_let_in_than_is_paid_for(
            per_second in 1_u64..1_000, steps in proptest::collection::vec((0_u64..5_000, 0_u64..3_000), 1..60)
        ) {
            let (meter, begin) = (Meter::new(per_second), Instant::now());
            let (mut now, mut taken, mut largest) = (begin, 0, 0);
            for (amount, millis) in steps {
                now += Duration::from_millis(millis);
                if meter.take(amount, now).is_ok() {
                    taken += amount;
                    largest = amount.max(largest);
                }
            }
            let seconds = (now - begin).as_secs_f64() + 1.0;
            prop_assert!(taken as f64 <= seconds * per_second as f64 + largest as f64 + 1.0, "{taken}");
        }
    }
}
