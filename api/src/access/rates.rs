//! How often an identity may ask (GCRA), how many streams it may hold open, and how much a key may bring.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use riskgrid_analytics::permission::Role;

use super::key_limits::KeyRates;
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

impl Allowance {
    /// It, or less where a key says less; as much at once as in that many seconds.
    fn within(self, own: KeyRates) -> Self {
        let least = |(per_second, at_once): (u32, u32), own: Option<u32>| match own {
            Some(own) if own < per_second => (own, (at_once / per_second).saturating_mul(own).max(1)),
            _ => (per_second, at_once),
        };
        Self {
            sql: least(self.sql, own.sql_per_second),
            rest: least(self.rest, own.requests_per_second),
            streams: self.streams.min(own.streams.unwrap_or(u32::MAX)),
        }
    }
}

/// Requests a second and at once, and open streams, of one identity of a role.
const fn allowance(role: Role) -> Allowance {
    match role {
        Role::Public => Allowance {
            sql: (2, 10),
            rest: (100, 400),
            streams: 2,
        },
        Role::Analyst => Allowance {
            sql: (20, 100),
            rest: (200, 800),
            streams: 10,
        },
        Role::Operator | Role::Admin => Allowance {
            sql: (50, 200),
            rest: (200, 800),
            streams: 20,
        },
    }
}

/// The rates of all identities.
pub(super) struct Rates {
    identities: Cache<(String, Pace), Arc<Meter>>,
    streams: Arc<Mutex<HashMap<String, u32>>>,
}

impl Rates {
    pub(super) fn new() -> Self {
        Self {
            identities: Cache::builder()
                .max_capacity(IDENTITIES)
                .time_to_idle(FORGOTTEN_AFTER)
                .build(),
            streams: Arc::default(),
        }
    }

    /// Counts a request of whom the name stands for.
    ///
    /// # Errors
    /// It comes too soon: after how many seconds it would not.
    pub(super) fn ask(
        &self,
        name: &str,
        (role, own): (Role, KeyRates),
        pace: Pace,
        now: Instant,
    ) -> Result<(), u32> {
        let allowance = allowance(role).within(own);
        let (per_second, at_once) = match pace {
            Pace::Free => return Ok(()),
            Pace::Sql => allowance.sql,
            Pace::Rest => allowance.rest,
        };
        let meter = self.identities.get_with((name.to_owned(), pace), || {
            Arc::new(Meter::of_requests(per_second, at_once))
        });
        meter.take(1, now)
    }

    /// Room for one more stream of whom the name stands for, until it is dropped; none when it holds as many as it may.
    pub(super) fn stream(&self, name: &str, (role, own): (Role, KeyRates)) -> Option<OpenStream> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let open = streams.entry(name.to_owned()).or_default();
        if *open >= allowance(role).within(own).streams {
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

/// How much of one thing may come a second, by the generic cell rate algorithm: each amount is paid for by the time that it
/// takes at that rate, some of it in advance. An amount of any size is let in when those before are paid for, so that none is
/// too large for ever.
#[derive(Debug)]
pub struct Meter {
    per_second: u64,
    /// How far ahead of the clock what was let in may be paid for.
    in_advance: Duration,
    /// Until when it is paid for.
    paid_until: Mutex<Option<Instant>>,
}

impl Meter {
    /// So much a second, of which a second's worth may come at once.
    pub fn new(per_second: u64) -> Self {
        Self {
            per_second: per_second.max(1),
            in_advance: Duration::from_secs(1),
            paid_until: Mutex::default(),
        }
    }

    /// So many requests a second, and so many at once.
    fn of_requests(per_second: u32, at_once: u32) -> Self {
        let meter = Self::new(per_second.into());
        Self {
            in_advance: meter.cost_of(at_once.saturating_sub(1).into()),
            ..meter
        }
    }

    fn cost_of(&self, amount: u64) -> Duration {
        let nanos = u128::from(amount) * 1_000_000_000 / u128::from(self.per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Takes an amount at `now`.
    ///
    /// # Errors
    /// The amounts before are not paid for: how many seconds that takes. Nothing is counted.
    pub fn take(&self, amount: u64, now: Instant) -> Result<(), u32> {
        let mut until = self.paid_until();
        self.wait(*until, now)?;
        *until = Some(self.paid_with(*until, amount, now));
        Ok(())
    }

    /// Whether something may come at `now`.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn ask(&self, now: Instant) -> Result<(), u32> {
        self.wait(*self.paid_until(), now)
    }

    /// Counts what is let in.
    pub fn count(&self, amount: u64, now: Instant) {
        let mut until = self.paid_until();
        *until = Some(self.paid_with(*until, amount, now));
    }

    fn paid_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.paid_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, until: Option<Instant>, now: Instant) -> Result<(), u32> {
        let owed = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        if owed <= self.in_advance {
            return Ok(());
        }
        let wait = owed.saturating_sub(self.in_advance).as_secs();
        Err(u32::try_from(wait).unwrap_or(u32::MAX).saturating_add(1))
    }

    fn paid_with(&self, until: Option<Instant>, amount: u64, now: Instant) -> Instant {
        let paid = until.map_or(now, |until| until.max(now));
        paid.checked_add(self.cost_of(amount)).unwrap_or(paid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_identity_may_ask_so_often_at_once_and_another_is_not_held_up_by_it() {
        let (rates, now) = (Rates::new(), Instant::now());
        let of_role = (Role::Analyst, KeyRates::default());
        let ask = |name: &str, pace, now| rates.ask(name, of_role, pace, now);
        assert_eq!(
            (0..400).filter(|_| ask("key:a", Pace::Sql, now).is_ok()).count(),
            100
        );
        assert_eq!(ask("key:a", Pace::Sql, now), Err(1));
        for (name, pace) in [("key:a", Pace::Rest), ("key:b", Pace::Sql), ("key:a", Pace::Free)] {
            assert_eq!(ask(name, pace, now), Ok(()), "{name} {pace:?}");
        }
        let second = now + Duration::from_secs(1);
        assert_eq!(
            (0..400)
                .filter(|_| ask("key:a", Pace::Sql, second).is_ok())
                .count(),
            20
        );
    }

    #[test]
    fn a_key_may_ask_less_often_than_its_role_and_never_more_often() {
        let (rates, now) = (Rates::new(), Instant::now());
        let at_once = |name: &str, sql_per_second| {
            let own = KeyRates {
                sql_per_second: Some(sql_per_second),
                ..KeyRates::default()
            };
            let ask = |_: &i32| rates.ask(name, (Role::Analyst, own), Pace::Sql, now).is_ok();
            (0..400).filter(ask).count()
        };
        assert_eq!((at_once("key:a", 2), at_once("key:b", 1_000)), (10, 100));
        let own = KeyRates {
            streams: Some(1),
            ..KeyRates::default()
        };
        let _first = rates.stream("key:a", (Role::Analyst, own)).unwrap();
        assert!(rates.stream("key:a", (Role::Analyst, own)).is_none());
    }

    #[test]
    fn streams_are_counted_while_they_are_open() {
        let rates = Rates::new();
        let first = rates
            .stream("anonymous 192.0.2.1", (Role::Public, KeyRates::default()))
            .unwrap();
        let _second = rates
            .stream("anonymous 192.0.2.1", (Role::Public, KeyRates::default()))
            .unwrap();
        assert!(
            rates
                .stream("anonymous 192.0.2.1", (Role::Public, KeyRates::default()))
                .is_none()
        );
        assert!(
            rates
                .stream("anonymous 192.0.2.2", (Role::Public, KeyRates::default()))
                .is_some()
        );
        drop(first);
        assert!(
            rates
                .stream("anonymous 192.0.2.1", (Role::Public, KeyRates::default()))
                .is_some()
        );
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
