//! The hashes of accepted events, within the horizon and a byte budget.

use std::collections::BTreeMap;

use hashbrown::HashSet;

use crate::event::EventHash;
use crate::time::{EventTime, MINUTE};

/// Hashes are dropped in spans of this many microseconds of event time.
const CHUNK: i64 = 10 * MINUTE;
/// Bytes of one hash in a table at its usual load.
const BYTES_PER_HASH: usize = 24;

/// Remembers the accepted events of one partition.
#[derive(Debug)]
pub(crate) struct Dedup {
    chunks: BTreeMap<EventTime, HashSet<u128>>,
    len: usize,
    budget_bytes: usize,
    /// Events before this are too late because hashes from there are gone.
    floor: Option<EventTime>,
    /// Hashes since the last checkpoint.
    unsaved: Vec<(EventTime, EventHash)>,
}

impl Dedup {
    pub(crate) fn new(budget_bytes: usize) -> Self {
        Self {
            chunks: BTreeMap::new(),
            len: 0,
            budget_bytes,
            floor: None,
            unsaved: Vec::new(),
        }
    }

    /// Whether the event is new; remembers it if so.
    pub(crate) fn insert(&mut self, time: EventTime, hash: EventHash) -> bool {
        let new = self.restore(time, hash);
        if new {
            self.unsaved.push((time.floor(CHUNK), hash));
        }
        new
    }

    /// As [`insert`](Self::insert), from a checkpoint.
    pub(crate) fn restore(&mut self, time: EventTime, hash: EventHash) -> bool {
        let new = self.chunks.entry(time.floor(CHUNK)).or_default().insert(hash.0);
        self.len += usize::from(new);
        new
    }

    /// Forgets what is older than `oldest`, and, while the budget is overspent, the oldest that there is.
    /// Returns the new floor when the budget forced one.
    pub(crate) fn shrink(&mut self, oldest: EventTime) -> Option<EventTime> {
        let mut forced = None;
        while let Some((start, hashes)) = self.chunks.first_key_value() {
            let end = start.plus(CHUNK);
            let over_budget = self.len * BYTES_PER_HASH > self.budget_bytes && self.chunks.len() > 1;
            if end > oldest && !over_budget {
                break;
            }
            if end > oldest {
                forced = Some(end);
            }
            // A longer horizon later on must not let in again what is forgotten now.
            self.floor = self.floor.max(Some(end));
            self.len -= hashes.len();
            self.chunks.pop_first();
        }
        forced
    }

    /// The oldest event time whose duplicates can still be told, once hashes were forgotten.
    pub(crate) const fn floor(&self) -> Option<EventTime> {
        self.floor
    }

    pub(crate) fn set_floor(&mut self, floor: Option<EventTime>) {
        self.floor = floor;
    }

    /// About how many bytes the hashes take.
    pub(crate) const fn bytes(&self) -> usize {
        self.len * BYTES_PER_HASH
    }

    pub(crate) fn to_save(&self, all: bool) -> Vec<(EventTime, EventHash)> {
        if !all {
            return self.unsaved.clone();
        }
        let pairs = self
            .chunks
            .iter()
            .flat_map(|(start, hashes)| hashes.iter().map(|hash| (*start, EventHash(*hash))));
        pairs.collect()
    }

    pub(crate) fn mark_saved(&mut self) {
        self.unsaved.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_budget_shortens_the_horizon_and_says_so() {
        let mut dedup = Dedup::new(10 * BYTES_PER_HASH);
        for index in 0..20 {
            assert!(dedup.insert(EventTime::from_micros(index * CHUNK), EventHash(index as u128)));
        }
        assert!(!dedup.insert(EventTime::from_micros(3 * CHUNK), EventHash(3)));
        let forced = dedup.shrink(EventTime::from_micros(0));
        assert_eq!(forced, Some(EventTime::from_micros(10 * CHUNK)));
        assert_eq!(dedup.floor(), forced);
        assert!(dedup.bytes() <= 10 * BYTES_PER_HASH);
        assert!(!dedup.insert(EventTime::from_micros(15 * CHUNK), EventHash(15)));
        assert_eq!(dedup.shrink(EventTime::from_micros(16 * CHUNK)), None);
    }
    #[test]
    fn what_was_forgotten_stays_too_late_when_the_horizon_grows() {
        let mut dedup = Dedup::new(1 << 20);
        assert!(dedup.insert(EventTime::from_micros(0), EventHash(1)));
        assert!(dedup.insert(EventTime::from_micros(5 * CHUNK), EventHash(2)));
        assert_eq!(dedup.shrink(EventTime::from_micros(3 * CHUNK)), None);
        assert_eq!(dedup.floor(), Some(EventTime::from_micros(CHUNK)));
        assert_eq!(dedup.shrink(EventTime::from_micros(2 * CHUNK)), None);
        assert_eq!(dedup.floor(), Some(EventTime::from_micros(CHUNK)));
    }
}
