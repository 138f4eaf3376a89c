//! How often credentials of one client were wrong within a minute. Good ones never ask here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use moka::sync::Cache;

use super::client_network::ClientNetwork;

/// Wrong credentials of one client that are looked at within a minute.
const ALLOWED: u32 = 10;
const MINUTE: Duration = Duration::from_mins(1);
/// Clients that are counted at a time.
const CLIENTS: u64 = 100_000;

/// The counts.
pub(super) struct Failures {
    clients: Cache<ClientNetwork, Arc<Minute>>,
}

struct Minute {
    began: Instant,
    count: AtomicU32,
}

impl Failures {
    pub(super) fn new() -> Self {
        Self {
            clients: Cache::builder()
                .max_capacity(CLIENTS)
                .time_to_live(MINUTE)
                .build(),
        }
    }

    /// Counts a wrong credential.
    ///
    /// # Errors
    /// There were too many: how many seconds until they are looked at again.
    pub(super) fn add(&self, client: ClientNetwork) -> Result<(), u32> {
        let minute = self.clients.get_with(client, || {
            Arc::new(Minute {
                began: Instant::now(),
                count: AtomicU32::new(0),
            })
        });
        // It stays at the limit, so that it cannot wrap.
        let before = minute
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < ALLOWED).then_some(count + 1)
            });
        before.map(drop).map_err(|_| {
            let left = MINUTE.saturating_sub(minute.began.elapsed());
            u32::try_from(left.as_secs())
                .unwrap_or(u32::MAX)
                .saturating_add(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_wrong_credential_of_a_minute_is_refused_and_that_of_another_client_is_not() {
        let failures = Failures::new();
        let of = |text: &str| ClientNetwork::of(Some(text.parse().unwrap()));
        for host in 0..10 {
            assert_eq!(failures.add(of(&format!("2001:db8::{host}"))), Ok(()));
        }
        let seconds = failures.add(of("2001:db8::aaaa")).unwrap_err();
        assert!((1..=61).contains(&seconds), "{seconds}");
        assert_eq!(failures.add(of("2001:db8:1::1")), Ok(()));
    }
}
