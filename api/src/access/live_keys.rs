//! The keys of this installation in memory: what a request is checked against.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;

use super::key::{Key, is_same_hash};
use super::new_key::Protocol;
use super::rates::Meter;
use super::store::StoredGrant;

/// `last_used` is no more exact than this, in microseconds.
pub(super) const LAST_USED_STEP: i64 = 5 * 60 * 1_000_000;

/// A key and what is known of its use.
#[derive(Debug)]
pub struct LiveKey {
    /// As it is stored.
    pub row: StoredGrant,
    last_used: AtomicI64,
    /// Most events a second that it brings.
    pub events: Option<Meter>,
    /// Most bytes, likewise.
    pub bytes: Option<Meter>,
}

/// Why a key does not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotLetIn {
    /// There is none such, or it is wrong, expired or revoked: nobody is told which.
    Unknown,
    /// It may not be used from there.
    Address,
    /// It may not be used this way.
    Protocol,
}

impl LiveKey {
    fn new(row: StoredGrant) -> Self {
        Self {
            last_used: AtomicI64::new(row.last_used_at.unwrap_or(0)),
            events: row.grant.events_per_second.map(Meter::new),
            bytes: row.grant.bytes_per_second.map(Meter::new),
            row,
        }
    }

    /// Whether it lets in at `now`.
    pub fn is_good(&self, now: i64) -> bool {
        self.row.revoked_at.is_none() && self.row.expires_at.is_none_or(|end| now < end)
    }

    /// When it let in last, about.
    pub(super) fn last_used(&self) -> Option<i64> {
        Some(self.last_used.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    fn note_use(&self, now: i64) {
        if now - self.last_used.load(Ordering::Relaxed) >= LAST_USED_STEP {
            self.last_used.store(now, Ordering::Relaxed);
        }
    }
}

/// All keys that were ever made.
pub(super) struct LiveKeys {
    keys: ArcSwap<HashMap<String, Arc<LiveKey>>>,
}

impl LiveKeys {
    pub(super) fn new(rows: Vec<StoredGrant>) -> Self {
        let keys = rows
            .into_iter()
            .map(|row| (row.id.clone(), Arc::new(LiveKey::new(row))));
        Self {
            keys: ArcSwap::from_pointee(keys.collect()),
        }
    }

    /// Whether there never was one.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.load().is_empty()
    }

    /// The key of an id, also one that has ended.
    pub(super) fn get(&self, id: &str) -> Option<Arc<LiveKey>> {
        self.keys.load().get(id).cloned()
    }

    /// All, the newest first.
    pub(super) fn all(&self) -> Vec<Arc<LiveKey>> {
        let mut keys: Vec<_> = self.keys.load().values().cloned().collect();
        keys.sort_by(|one, other| {
            let place = |key: &LiveKey| (key.row.created_at, key.row.id.clone());
            place(other).cmp(&place(one))
        });
        keys
    }

    /// Takes up those of `rows`, which are all that are stored, that are new or end otherwise; whether there are any.
    pub(super) fn follow(&self, rows: &[StoredGrant]) -> bool {
        let is_news = |row: &&StoredGrant| {
            self.get(&row.id).is_none_or(|key| {
                (key.row.expires_at, key.row.revoked_at) != (row.expires_at, row.revoked_at)
            })
        };
        let news: Vec<StoredGrant> = rows.iter().filter(is_news).cloned().collect();
        if !news.is_empty() {
            self.put(&news);
        }
        !news.is_empty()
    }

    /// Puts rows in the place of those of the same id, or beside the others.
    pub(super) fn put(&self, rows: &[StoredGrant]) {
        self.keys.rcu(|keys| {
            let mut keys = HashMap::clone(keys);
            for row in rows {
                // Meters and times of use go on.
                let used = keys.get(&row.id).and_then(|key| key.last_used());
                let key = LiveKey::new(row.clone());
                if let Some(used) = used {
                    key.last_used.store(used, Ordering::Relaxed);
                }
                keys.insert(row.id.clone(), Arc::new(key));
            }
            keys
        });
    }

    /// The key that a text is, if it lets in.
    pub(super) fn check(
        &self,
        key: &Key,
        protocol: Protocol,
        client: Option<IpAddr>,
        now: i64,
    ) -> Result<Arc<LiveKey>, NotLetIn> {
        let hash = key.hash();
        let known = self.get(key.id());
        let is_right = known
            .as_ref()
            .is_some_and(|known| is_same_hash(&known.row.hash, &hash));
        let known = known
            .filter(|known| is_right && known.is_good(now))
            .ok_or(NotLetIn::Unknown)?;
        let grant = &known.row.grant;
        if !grant.protocols.is_empty() && !grant.protocols.contains(&protocol) {
            return Err(NotLetIn::Protocol);
        }
        let is_from_there = |client: IpAddr| {
            let client = client.to_canonical();
            grant.addresses.iter().any(|network| network.contains(&client))
        };
        if !grant.addresses.is_empty() && !client.is_some_and(is_from_there) {
            return Err(NotLetIn::Address);
        }
        known.note_use(now);
        Ok(known)
    }
}
