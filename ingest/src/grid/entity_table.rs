//! Entities by key, in a table whose copies share what has not changed since.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use super::entity_key::{EntityKey, KeyRef};
use super::entity_shard::{Known, Shard, Slot, is_of};
use crate::words::EventTime;

/// Tables are cut into this many parts, so that a change copies one part of the index and not all of it.
const SHARDS: usize = 512;
/// Bytes that an entity may take on average: with long names there may be fewer than the limit of their number says.
const BYTES_EACH: usize = 1024;

/// Entities that were dropped for their age: those of before, when it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dropped {
    generation: u64,
    before: EventTime,
}

/// A map whose copies share their parts: a snapshot is `SHARDS` reference counts.
///
/// Changes bear a generation, so that a checkpoint needs to hold only those since the one before.
#[derive(Clone, Debug)]
pub struct EntityTable<V> {
    shards: Vec<Arc<Shard<V>>>,
    hasher: DefaultHashBuilder,
    generation: u64,
    len: usize,
    /// Of keys and values, as [`bytes_of`] has them.
    bytes: usize,
    /// Oldest first. Of two the later one is of an earlier time, else the first says nothing.
    dropped: Vec<Dropped>,
}

impl<V> Default for EntityTable<V> {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Arc::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            generation: 1,
            len: 0,
            bytes: 0,
            dropped: Vec::new(),
        }
    }
}

/// About how many bytes an entity takes: its key, its value and its places in the index, without what the value owns.
const fn bytes_of<V>(key: &EntityKey) -> usize {
    key.scope.len() + key.name.len() + size_of::<Known<V>>() + 2 * size_of::<Slot>()
}

/// Which shard holds a key of this hash: by bits that the shard's own table does not look at.
const fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

impl<V: Clone + Default> EntityTable<V> {
    /// The entity of this key, made first when it is new; it is taken for changed.
    pub(crate) fn entry(&mut self, key: KeyRef<'_>) -> &mut V {
        let generation = self.generation;
        let hash = self.hasher.hash_one(key);
        let Self {
            shards, len, bytes, ..
        } = self;
        let shard = Arc::make_mut(&mut shards[shard_of(hash)]);
        shard.changed = generation;
        let known = shard.entry(hash, key, || {
            let key = EntityKey::from(&key);
            *len += 1;
            *bytes += bytes_of::<V>(&key);
            Known {
                key,
                value: V::default(),
                changed: generation,
            }
        });
        known.changed = generation;
        &mut known.value
    }

    /// Puts in an entity from a checkpoint of a generation, in place of an older state of it.
    pub(crate) fn restore(&mut self, key: EntityKey, value: V, generation: u64) {
        let hash = self.hasher.hash_one(KeyRef::from(&key));
        let shard = Arc::make_mut(&mut self.shards[shard_of(hash)]);
        shard.changed = generation;
        let known = Known {
            key,
            value,
            changed: generation,
        };
        let older = shard.slots.find(hash, |slot| {
            is_of(slot, hash, KeyRef::from(&known.key), &shard.pages)
        });
        if let Some(older) = older.and_then(|slot| shard.pages.get_mut(slot.at)) {
            *older = known;
        } else {
            self.len += 1;
            self.bytes += bytes_of::<V>(&known.key);
            shard.push(hash, known);
        }
    }

    /// Makes room for so many more, which spares moving what is there again and again.
    pub(crate) fn reserve(&mut self, more: usize) {
        // Shards differ by their luck.
        let of_a_shard = more / SHARDS + more / SHARDS / 8;
        for shard in &mut self.shards {
            let shard = Arc::make_mut(shard);
            shard.slots.reserve(of_a_shard, |slot| slot.hash);
            shard.pages.reserve(of_a_shard);
        }
    }

    /// Whether there are more than `most`, or they take more bytes than so many may.
    pub(crate) const fn is_over(&self, most: usize) -> bool {
        self.len > most || self.bytes > most.saturating_mul(BYTES_EACH)
    }

    /// Where there are more than `most`, or they take more bytes than so many may: drops those that are oldest by `time`,
    /// a tenth more than must go, because looking for them costs as much as there are. Says how many went.
    pub(crate) fn keep_within(&mut self, most: usize, time: impl Fn(&V) -> Option<EventTime>) -> u64 {
        let before = self.len;
        while self.is_over(most) {
            let len = self.len.min(most);
            let keep = len - len.div_ceil(10);
            if keep == 0 {
                // What was told of last stays, whatever it takes.
                break;
            }
            if self.keep_newest(keep, &time) == 0 {
                // None is older than another: what a time would part is told apart by nothing.
                let newest = self.iter().filter_map(|(_, value)| time(value)).max();
                let Some(newest) = newest else { break };
                self.drop_before(newest.plus(1), self.generation, &time);
            }
        }
        (before - self.len) as u64
    }

    /// Drops the entities that are oldest by `time`, until about `keep` are left: those that are as old as the last one
    /// of them stay. Says how many went.
    pub(crate) fn keep_newest(&mut self, keep: usize, time: impl Fn(&V) -> Option<EventTime>) -> usize {
        let before = self.len();
        let Some(oldest) = before.checked_sub(keep).filter(|oldest| *oldest > 0) else {
            return 0;
        };
        let mut times: Vec<_> = self.iter().map(|(_, value)| time(value)).collect();
        let (_, from, _) = times.select_nth_unstable(oldest);
        // Nothing is older than what has no time.
        let Some(from) = *from else { return 0 };
        self.drop_before(from, self.generation, time);
        before - self.len()
    }

    /// Drops the entities from before a time, in a generation.
    pub(crate) fn drop_before(
        &mut self,
        before: EventTime,
        generation: u64,
        time: impl Fn(&V) -> Option<EventTime>,
    ) {
        let is_kept = |value: &V| time(value) >= Some(before);
        for shard in &mut self.shards {
            let dropped = shard.pages.iter().filter(|known| !is_kept(&known.value));
            let (count, bytes) = dropped.fold((0, 0), |(count, bytes), known| {
                (count + 1, bytes + bytes_of::<V>(&known.key))
            });
            if count > 0 {
                *shard = Arc::new(shard.of_those(is_kept));
                self.len -= count;
                self.bytes -= bytes;
            }
        }
        while self.dropped.last().is_some_and(|last| last.before <= before) {
            self.dropped.pop();
        }
        self.dropped.push(Dropped { generation, before });
    }
}

impl<V> EntityTable<V> {
    /// Changes from now on bear this generation.
    pub(crate) fn begin_generation(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// The entities that changed after a generation.
    pub(crate) fn changed_since(&self, generation: u64) -> impl Iterator<Item = (&EntityKey, &V)> {
        let shards = self.shards.iter().filter(move |shard| shard.changed > generation);
        shards
            .flat_map(|shard| shard.pages.iter())
            .filter(move |known| known.changed > generation)
            .map(|known| (&known.key, &known.value))
    }

    /// Entities from before this time that had not changed since that generation were dropped after it.
    pub(crate) fn dropped_since(&self, generation: u64) -> Option<EventTime> {
        let dropped = self
            .dropped
            .iter()
            .find(|dropped| dropped.generation > generation);
        dropped.map(|dropped| dropped.before)
    }

    /// The entity of `scope` and `name`.
    pub fn get(&self, key: KeyRef<'_>) -> Option<&V> {
        let hash = self.hasher.hash_one(key);
        let known = self.shards[shard_of(hash)].get(hash, key)?;
        Some(&known.value)
    }

    /// All entities, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&EntityKey, &V)> {
        let all = self.shards.iter().flat_map(|shard| shard.pages.iter());
        all.map(|known| (&known.key, &known.value))
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    use crate::grid::Report;

    fn named<'k>(scope: &'k str, name: &'k str) -> KeyRef<'k> {
        KeyRef { scope, name }
    }

    #[test]
    fn the_newest_are_kept_and_snapshots_keep_what_they_had() {
        let mut table: EntityTable<Report> = EntityTable::default();
        for number in 0..1000 {
            let name = number.to_string();
            let report = table.entry(KeyRef {
                scope: "//city",
                name: &name,
            });
            // Each time twice.
            report.updated = Some(EventTime::from_micros(number / 2));
        }
        let snapshot = table.clone();
        assert_eq!(table.keep_newest(1000, |report| report.updated), 0);
        // The hundred-first is as old as the hundredth.
        assert_eq!(table.keep_newest(99, |report| report.updated), 900);
        assert_eq!((table.len(), snapshot.len()), (100, 1000));
        assert!(table.get(named("//city", "899")).is_none() && table.get(named("//city", "900")).is_some());
        // Those that never were updated are the oldest.
        table.entry(KeyRef {
            scope: "//city",
            name: "new",
        });
        assert_eq!(table.keep_newest(100, |report| report.updated), 1);
        assert!(table.get(named("//city", "new")).is_none());
    }
    /// What is done to a table: an entity changed, a copy taken, the old ones dropped, a new generation.
    fn steps() -> impl Strategy<Value = Vec<(u8, u16)>> {
        prop::collection::vec((0..40_u8, 0..400_u16), 1..600)
    }

    fn told(table: &EntityTable<i64>) -> BTreeMap<String, i64> {
        table
            .iter()
            .map(|(key, value)| (key.name.to_string(), *value))
            .collect()
    }

    proptest! {
        #[test]
        fn a_table_holds_what_a_map_does_and_copies_do_not_change(steps in steps()) {
            let mut table: EntityTable<i64> = EntityTable::default();
            // Of few shards, so that pages fill.
            let is_in_few = |name: &String| shard_of(table.hasher.hash_one(KeyRef { scope: "", name })) < 3;
            let names: Vec<String> = (0..).map(|number: u32| number.to_string()).filter(is_in_few).take(300).collect();
            let name_of = |number: u16| names[usize::from(number) % names.len()].clone();
            let (mut map, mut copies, mut generation) = (BTreeMap::new(), Vec::new(), 1);
            let mut changed = BTreeMap::new();
            for (time, (what, number)) in (0_i64..).zip(steps) {
                match what {
                    0 => copies.push((table.clone(), map.clone())),
                    1 => {
                        let before = time - i64::from(number);
                        let as_time = |value: &i64| Some(EventTime::from_micros(*value));
                        table.drop_before(EventTime::from_micros(before), generation, as_time);
                        map.retain(|_, value: &mut i64| *value >= before);
                        changed.retain(|_, value: &mut i64| *value >= before);
                    }
                    2 => {
                        generation += 1;
                        table.begin_generation(generation);
                        changed.clear();
                    }
                    3 => {
                        table.restore(EntityKey { scope: "".into(), name: name_of(number).into() }, time, generation);
                        map.insert(name_of(number), time);
                        changed.insert(name_of(number), time);
                    }
                    _ => {
                        *table.entry(KeyRef { scope: "", name: &name_of(number) }) = time;
                        map.insert(name_of(number), time);
                        changed.insert(name_of(number), time);
                    }
                }
                prop_assert_eq!(table.len(), map.len());
            }
            let since: BTreeMap<_, _> = table
                .changed_since(generation - 1)
                .map(|(key, value)| (key.name.to_string(), *value))
                .collect();
            prop_assert_eq!(since, changed);
            for name in &names {
                prop_assert_eq!(table.get(named("", name)), map.get(name));
                prop_assert_eq!(table.get(named("another", name)), None);
            }
            copies.push((table, map));
            for (table, map) in copies {
                prop_assert_eq!(told(&table), map);
            }
        }
    }
}
