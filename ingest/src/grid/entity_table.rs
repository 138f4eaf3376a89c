//! Entities by key, in a table whose copies share what has not changed since.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use crate::time::EventTime;

/// Tables are cut into this many parts, so that a change copies one part of the index and not all of it.
const SHARDS: usize = 512;
/// Entities that are copied together when one of them changes. Of a copy of the table they are one reference count: with
/// one each, a table of millions would touch them all, all over the memory, for every snapshot.
const PAGE: usize = 16;
/// Bytes that an entity may take on average: with long names there may be fewer than the limit of their number says.
const BYTES_EACH: usize = 1024;

/// Names one entity: a sensor in its layer, a report of its source, a unit (scope empty).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntityKey {
    /// The layer's id, or the source.
    pub scope: Box<str>,
    /// The entity's own id.
    pub name: Box<str>,
}

/// An [`EntityKey`] that borrows.
#[derive(Clone, Copy, Hash)]
pub(crate) struct KeyRef<'a> {
    pub(crate) scope: &'a str,
    pub(crate) name: &'a str,
}

impl KeyRef<'_> {
    fn equivalent(&self, key: &EntityKey) -> bool {
        self.scope == &*key.scope && self.name == &*key.name
    }
}

impl<'a> From<&'a EntityKey> for KeyRef<'a> {
    fn from(key: &'a EntityKey) -> Self {
        Self {
            scope: &key.scope,
            name: &key.name,
        }
    }
}

impl From<&KeyRef<'_>> for EntityKey {
    fn from(key: &KeyRef<'_>) -> Self {
        Self {
            scope: key.scope.into(),
            name: key.name.into(),
        }
    }
}

#[derive(Clone, Debug)]
struct Known<V> {
    key: EntityKey,
    value: V,
    /// The generation of its last change.
    changed: u64,
}

/// Entities in the order in which they came, in pages.
#[derive(Clone, Debug)]
struct Pages<V>(Vec<Arc<Vec<Known<V>>>>);

impl<V> Pages<V> {
    fn get(&self, at: u32) -> Option<&Known<V>> {
        let at = at as usize;
        self.0.get(at / PAGE)?.get(at % PAGE)
    }

    fn iter(&self) -> impl Iterator<Item = &Known<V>> {
        self.0.iter().flat_map(|page| page.iter())
    }
}

impl<V: Clone> Pages<V> {
    /// Its page is copied first where a copy of the table shares it.
    fn get_mut(&mut self, at: u32) -> Option<&mut Known<V>> {
        let at = at as usize;
        Arc::make_mut(self.0.get_mut(at / PAGE)?).get_mut(at % PAGE)
    }

    /// Puts an entity after the others, of which there are `len`, in a page that has room.
    fn push(&mut self, known: Known<V>, len: usize) {
        if len.is_multiple_of(PAGE) {
            self.0.push(Arc::default());
        }
        if let Some(last) = self.0.last_mut() {
            let last = Arc::make_mut(last);
            // Pages are filled up nearly always; and a copy has room only for what it is a copy of.
            last.reserve_exact(PAGE.saturating_sub(last.len()));
            last.push(known);
        }
    }
}

/// Where an entity is.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Of its key.
    hash: u64,
    /// Among all of its shard.
    at: u32,
}

#[derive(Clone, Debug)]
struct Shard<V> {
    slots: HashTable<Slot>,
    pages: Pages<V>,
    /// The newest generation of any of them.
    changed: u64,
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self {
            slots: HashTable::new(),
            pages: Pages(Vec::new()),
            changed: 0,
        }
    }
}

impl<V> Shard<V> {
    fn get(&self, hash: u64, key: KeyRef<'_>) -> Option<&Known<V>> {
        let slot = self
            .slots
            .find(hash, |slot| is_of(slot, hash, key, &self.pages))?;
        self.pages.get(slot.at)
    }
}

impl<V: Clone> Shard<V> {
    /// The entity of a key and its hash; where there is none `new` is put in.
    fn entry(&mut self, hash: u64, key: KeyRef<'_>, new: impl FnOnce() -> Known<V>) -> &mut Known<V> {
        let Self { slots, pages, .. } = self;
        let len = slots.len();
        let slot = match slots.entry(hash, |slot| is_of(slot, hash, key, pages), |slot| slot.hash) {
            Entry::Occupied(slot) => *slot.get(),
            Entry::Vacant(place) => {
                let slot = Slot { hash, at: len as u32 };
                place.insert(slot);
                pages.push(new(), len);
                slot
            }
        };
        #[expect(
            clippy::expect_used,
            reason = "slots are put in beside their entity and dropped with it"
        )]
        pages.get_mut(slot.at).expect("a slot's entity is in its shard")
    }

    /// Puts in an entity whose key is not there.
    fn push(&mut self, hash: u64, known: Known<V>) {
        let len = self.slots.len();
        self.pages.push(known, len);
        let slot = Slot { hash, at: len as u32 };
        self.slots.insert_unique(hash, slot, |slot| slot.hash);
    }

    /// Those of its entities that are to be kept.
    fn of_those(&self, is_kept: impl Fn(&V) -> bool) -> Self {
        let mut kept = Self {
            changed: self.changed,
            ..Self::default()
        };
        // Pages do not know hashes, and slots are in no order.
        let mut hashes = vec![0; self.slots.len()];
        for slot in &self.slots {
            if let Some(hash) = hashes.get_mut(slot.at as usize) {
                *hash = slot.hash;
            }
        }
        let known = self.pages.iter().zip(hashes);
        for (known, hash) in known.filter(|(known, _)| is_kept(&known.value)) {
            kept.push(hash, known.clone());
        }
        kept
    }
}

fn is_of<V>(slot: &Slot, hash: u64, key: KeyRef<'_>, pages: &Pages<V>) -> bool {
    slot.hash == hash && pages.get(slot.at).is_some_and(|known| key.equivalent(&known.key))
}

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
            shard.pages.0.reserve(of_a_shard.div_ceil(PAGE));
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
    pub fn get(&self, scope: &str, name: &str) -> Option<&V> {
        let key = KeyRef { scope, name };
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
        assert!(table.get("//city", "899").is_none() && table.get("//city", "900").is_some());
        // Those that never were updated are the oldest.
        table.entry(KeyRef {
            scope: "//city",
            name: "new",
        });
        assert_eq!(table.keep_newest(100, |report| report.updated), 1);
        assert!(table.get("//city", "new").is_none());
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
                prop_assert_eq!(table.get("", name), map.get(name));
                prop_assert_eq!(table.get("another", name), None);
            }
            copies.push((table, map));
            for (table, map) in copies {
                prop_assert_eq!(told(&table), map);
            }
        }
    }
}
