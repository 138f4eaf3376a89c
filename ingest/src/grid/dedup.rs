//! The hashes of accepted events, within the horizon and a byte budget.
//!
//! They lie with the minute of their event. While a minute is new they are in a table; once events of it are late they are
//! one sorted column, half as large, in which those few are looked up.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashSet;

use crate::words::{EventHash, EventTime, MINUTE};

/// Hashes lie together, and are dropped, by spans of this many microseconds of event time.
const CHUNK: i64 = MINUTE;
/// A chunk that ended so long before the newest event is sorted.
const SORTED_AFTER: i64 = 2 * MINUTE;
/// New hashes of a sorted chunk are sorted in when they are more than one for so many.
const SORT_IN: usize = 8;
/// Bytes of a sorted hash.
const SORTED_BYTES: usize = 16;
/// Bytes of a hash in a table, whose load is between 7/16 and 7/8.
const TABLE_BYTES: usize = 32;

/// The hashes of one chunk.
#[derive(Debug, Default)]
struct Chunk {
    sorted: Arc<Vec<u128>>,
    /// Those that are not sorted in yet.
    table: HashSet<u128>,
    /// Those of the present generation.
    unsaved: Vec<u128>,
    /// The generation of the newest.
    changed: u64,
}

impl Chunk {
    fn len(&self) -> usize {
        self.sorted.len() + self.table.len()
    }

    fn bytes(&self) -> usize {
        self.sorted.len() * SORTED_BYTES + self.table.len() * TABLE_BYTES
    }

    fn contains(&self, hash: u128) -> bool {
        self.table.contains(&hash) || self.sorted.binary_search(&hash).is_ok()
    }

    /// All of them, sorted.
    fn all(&self) -> Arc<Vec<u128>> {
        if self.table.is_empty() {
            return Arc::clone(&self.sorted);
        }
        let mut all = Vec::with_capacity(self.len());
        all.extend_from_slice(&self.sorted);
        all.extend(&self.table);
        all.sort_unstable();
        Arc::new(all)
    }

    fn sort_in(&mut self) {
        self.sorted = self.all();
        self.table = HashSet::new();
    }
}

/// Remembers the accepted events of one partition.
#[derive(Debug)]
pub(crate) struct Dedup {
    chunks: BTreeMap<EventTime, Chunk>,
    bytes: usize,
    budget_bytes: usize,
    /// Events before this are too late because hashes from there are gone.
    floor: Option<EventTime>,
    generation: u64,
}

impl Dedup {
    pub(crate) fn new(budget_bytes: usize) -> Self {
        Self {
            chunks: BTreeMap::new(),
            bytes: 0,
            budget_bytes,
            floor: None,
            generation: 1,
        }
    }

    /// Whether the event is new; remembers it if so.
    pub(crate) fn insert(&mut self, time: EventTime, hash: EventHash) -> bool {
        let chunk = self.chunks.entry(time.floor(CHUNK)).or_default();
        // New chunks have nothing sorted.
        if !chunk.sorted.is_empty() && chunk.contains(hash.0) || !chunk.table.insert(hash.0) {
            return false;
        }
        chunk.unsaved.push(hash.0);
        chunk.changed = self.generation;
        self.bytes += TABLE_BYTES;
        true
    }

    /// Puts back hashes of a chunk from a checkpoint of a generation.
    pub(crate) fn restore(&mut self, start: EventTime, mut hashes: Vec<u128>, generation: u64) {
        let chunk = self.chunks.entry(start.floor(CHUNK)).or_default();
        self.bytes -= chunk.bytes();
        hashes.extend_from_slice(&chunk.sorted);
        if !hashes.is_sorted_by(|a, b| a < b) {
            hashes.sort_unstable();
            hashes.dedup();
        }
        hashes.shrink_to_fit();
        chunk.sorted = Arc::new(hashes);
        chunk.changed = generation;
        self.bytes += chunk.bytes();
    }

    /// Sorts the chunks that ended well before the newest event.
    pub(crate) fn settle(&mut self, newest: EventTime) {
        for (_, chunk) in self.chunks.range_mut(..=newest.plus(-CHUNK - SORTED_AFTER)) {
            if chunk.table.len() * SORT_IN > chunk.sorted.len() {
                self.bytes -= chunk.bytes();
                chunk.sort_in();
                self.bytes += chunk.bytes();
            }
        }
    }

    /// Whether the hashes take more than they may.
    pub(crate) const fn is_over_budget(&self) -> bool {
        self.bytes > self.budget_bytes
    }

    /// Forgets what is older than `oldest`, and, while the budget is overspent, the oldest that there is, as long as it
    /// ended before `clock`: what happens now is never too late. Returns the new floor when the budget forced one.
    pub(crate) fn shrink(&mut self, oldest: EventTime, clock: EventTime) -> Option<EventTime> {
        let mut forced = None;
        while let Some((start, chunk)) = self.chunks.first_key_value() {
            let end = start.plus(CHUNK);
            let over_budget = self.is_over_budget() && end <= clock;
            if end > oldest && !over_budget {
                break;
            }
            if end > oldest {
                forced = Some(end);
            }
            // A longer horizon later on must not let in again what is forgotten now.
            self.floor = self.floor.max(Some(end));
            self.bytes -= chunk.bytes();
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
        self.bytes
    }

    /// Changes from now on bear this generation.
    pub(crate) fn begin_generation(&mut self, generation: u64) {
        self.generation = generation;
        for chunk in self.chunks.values_mut() {
            chunk.unsaved = Vec::new();
        }
    }

    /// The hashes since a generation, sorted, by the start of their chunk; of a chunk that has some, older ones too
    /// perhaps.
    pub(crate) fn changed_since(&self, generation: u64) -> Vec<(EventTime, Arc<Vec<u128>>)> {
        let is_last = generation.checked_add(1) == Some(self.generation);
        let changed = self.chunks.iter().filter(|(_, chunk)| chunk.changed > generation);
        changed
            .map(|(start, chunk)| {
                let hashes = if is_last {
                    let mut unsaved = chunk.unsaved.clone();
                    unsaved.sort_unstable();
                    Arc::new(unsaved)
                } else {
                    chunk.all()
                };
                (*start, hashes)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_spent_budget_shortens_the_horizon_and_says_so() {
        let mut dedup = Dedup::new(10 * TABLE_BYTES);
        for index in 0..20 {
            assert!(dedup.insert(EventTime::from_micros(index * CHUNK), EventHash(index as u128)));
        }
        assert!(!dedup.insert(EventTime::from_micros(3 * CHUNK), EventHash(3)));
        let clock = EventTime::from_micros(19 * CHUNK);
        let forced = dedup.shrink(EventTime::from_micros(0), clock);
        assert_eq!(forced, Some(EventTime::from_micros(10 * CHUNK)));
        assert_eq!(dedup.floor(), forced);
        assert!(dedup.bytes() <= 10 * TABLE_BYTES);
        assert!(!dedup.insert(EventTime::from_micros(15 * CHUNK), EventHash(15)));
        assert_eq!(dedup.shrink(EventTime::from_micros(16 * CHUNK), clock), None);
    }

    #[test]
    fn what_was_forgotten_stays_too_late_when_the_horizon_grows() {
        let mut dedup = Dedup::new(1 << 20);
        assert!(dedup.insert(EventTime::from_micros(0), EventHash(1)));
        assert!(dedup.insert(EventTime::from_micros(5 * CHUNK), EventHash(2)));
        let clock = EventTime::from_micros(5 * CHUNK);
        assert_eq!(dedup.shrink(EventTime::from_micros(3 * CHUNK), clock), None);
        assert_eq!(dedup.floor(), Some(EventTime::from_micros(CHUNK)));
        assert_eq!(dedup.shrink(EventTime::from_micros(2 * CHUNK), clock), None);
        assert_eq!(dedup.floor(), Some(EventTime::from_micros(CHUNK)));
    }

    /// One step of a life: an event in a chunk, sorting, or a checkpoint, which may be of more than the last generation.
    fn steps() -> impl Strategy<Value = Vec<(u8, i64, u128)>> {
        prop::collection::vec((0_u8..20, 0_i64..6, 0_u128..40), 1..200)
    }

    proptest! {
        /// A plain set of (chunk, hash) says the same, before and after a restart from checkpoints.
        #[test]
        fn sorted_or_not_saved_or_not_a_hash_is_known_once(steps in steps()) {
            let (mut dedup, mut known) = (Dedup::new(1 << 20), std::collections::BTreeSet::new());
            let (mut saved, mut generation) = (Vec::new(), 1);
            for (what, chunk, hash) in steps {
                let time = EventTime::from_micros(chunk * CHUNK + 7);
                match what {
                    0 => dedup.settle(time),
                    1 | 2 => {
                        // The second kind merges the last file into this one.
                        let files = if what == 1 { saved.len() } else { saved.len().saturating_sub(1) };
                        saved.truncate(files);
                        let since = saved.last().map_or(0, |(generation, _)| *generation);
                        saved.push((generation, dedup.changed_since(since)));
                        generation += 1;
                        dedup.begin_generation(generation);
                    }
                    _ => prop_assert_eq!(dedup.insert(time, EventHash(hash)), known.insert((chunk, hash))),
                }
            }
            let since = saved.last().map_or(0, |(generation, _)| *generation);
            saved.push((generation, dedup.changed_since(since)));
            let mut restored = Dedup::new(1 << 20);
            for (generation, chunks) in saved {
                for (start, hashes) in chunks {
                    restored.restore(start, hashes.to_vec(), generation);
                }
            }
            for chunk in 0..6 {
                for hash in 0..40 {
                    let is_new = !known.contains(&(chunk, hash));
                    prop_assert_eq!(restored.insert(EventTime::from_micros(chunk * CHUNK), EventHash(hash)), is_new);
                }
            }
            let bytes: usize = restored.chunks.values().map(Chunk::bytes).sum();
            prop_assert_eq!(bytes, restored.bytes());
        }
    }
}
