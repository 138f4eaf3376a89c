//! Who was refused, for the audit: a row a minute and client, however often it tries.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client_network::ClientNetwork;

/// A client has one row in so long.
const ROW_EVERY: Duration = Duration::from_mins(1);
/// Clients that are told apart at a time; the others share a row.
const CLIENTS: usize = 10_000;
/// Rows that are written at once.
const ROWS_AT_ONCE: usize = 100;

/// What was refused and is not in the audit yet.
#[derive(Default)]
pub(super) struct Refusals {
    clients: Mutex<HashMap<Option<ClientNetwork>, Tally>>,
}

#[derive(Default)]
struct Tally {
    told_at: Option<Instant>,
    kinds: BTreeMap<&'static str, i64>,
    last: Option<Last>,
}

/// The newest of several refusals.
struct Last {
    who: String,
    route: &'static str,
}

/// A row of the audit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The client; none: several that there was no room to tell apart.
    pub(super) client: Option<ClientNetwork>,
    /// How many requests.
    pub(super) count: i64,
    /// How many of each kind, and the newest.
    pub(super) detail: Value,
}

impl Refusals {
    /// Counts one.
    pub(super) fn add(&self, client: ClientNetwork, kind: &'static str, who: &str, route: &'static str) {
        let mut clients = self.clients();
        let known = clients.contains_key(&Some(client)) || clients.len() < CLIENTS;
        let tally = clients.entry(known.then_some(client)).or_default();
        *tally.kinds.entry(kind).or_default() += 1;
        tally.last = Some(Last {
            who: who.to_owned(),
            route,
        });
    }

    /// The rows that are due at `now`, or all that are left at the end.
    pub(super) fn due(&self, now: Instant, is_the_end: bool) -> Vec<Refused> {
        let mut rows = Vec::new();
        self.clients().retain(|client, tally| {
            let is_due = tally
                .told_at
                .is_none_or(|told| now.saturating_duration_since(told) >= ROW_EVERY);
            if !is_the_end && (!is_due || rows.len() >= ROWS_AT_ONCE) {
                return true;
            }
            let kinds = std::mem::take(&mut tally.kinds);
            if kinds.is_empty() {
                return false;
            }
            tally.told_at = Some(now);
            let last = tally.last.take();
            rows.push(Refused {
                client: *client,
                count: kinds.values().sum(),
                detail: json!({
                    "kinds": kinds,
                    "last": last.map(|last| json!({"who": last.who, "route": last.route})),
                }),
            });
            true
        });
        rows
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Option<ClientNetwork>, Tally>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> ClientNetwork {
        ClientNetwork::of(Some(std::net::Ipv4Addr::from(number).into()))
    }

    #[test]
    fn a_client_has_a_row_at_once_and_then_one_a_minute() {
        let (refusals, begin) = (Refusals::default(), Instant::now());
        refusals.add(client(1), "unauthenticated", "anonymous", "/v1/sql");
        assert_eq!(
            refusals.due(begin, false),
            [Refused {
                client: Some(client(1)),
                count: 1,
                detail: json!({"kinds": {"unauthenticated": 1}, "last": {"who": "anonymous", "route": "/v1/sql"}}),
            }]
        );
        for _ in 0..10_000 {
            refusals.add(client(1), "too-many-failures", "anonymous", "/v1/layers");
        }
        refusals.add(client(1), "forbidden", "key:a", "/v1/keys");
        assert_eq!(refusals.due(begin + Duration::from_secs(59), false), []);
        let rows = refusals.due(begin + Duration::from_mins(1), false);
        assert_eq!((rows.len(), rows[0].count), (1, 10_001));
        assert_eq!(rows[0].detail["last"]["who"], "key:a");
        // Nothing came since: it is forgotten.
        assert_eq!(refusals.due(begin + Duration::from_mins(3), false), []);
        assert!(refusals.clients().is_empty());
    }

    #[test]
    fn what_is_left_is_told_at_the_end() {
        let (refusals, begin) = (Refusals::default(), Instant::now());
        refusals.add(client(1), "forbidden", "key:a", "/v1/keys");
        refusals.due(begin, false);
        refusals.add(client(1), "forbidden", "key:a", "/v1/keys");
        assert_eq!(refusals.due(begin, true).len(), 1);
    }

    #[test]
    fn a_crowd_of_clients_shares_a_row() {
        let (refusals, begin) = (Refusals::default(), Instant::now());
        for number in 0..12_000 {
            refusals.add(client(number), "unauthenticated", "anonymous", "/v1/sql");
        }
        assert_eq!(refusals.due(begin, false).len(), ROWS_AT_ONCE);
        let rows = refusals.due(begin, true);
        let shared = rows.iter().find(|row| row.client.is_none());
        let counted: i64 = rows.iter().map(|row| row.count).sum();
        // The hundred that were told before are not told again.
        assert!(counted >= 11_900 - shared.map_or(0, |row| row.count), "{counted}");
    }
}
