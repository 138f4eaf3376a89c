//! Entities: the newest state of each sensor, report and unit. Newest wins, field by field, by `(time, event hash)`,
//! so that order of arrival does not matter.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use crate::event::{Event, ReportOp};
use crate::time::EventTime;

/// Tables are cut into this many parts, so that a change copies one part and not the table.
const SHARDS: usize = 512;

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

/// An entity in a table. Behind its own pointer, so that a copy of a shard, and a table that grows, move pointers and
/// leave names and values where they are.
#[derive(Debug)]
struct Slot<V> {
    /// Of the key.
    hash: u64,
    known: Arc<Known<V>>,
}

impl<V> Clone for Slot<V> {
    fn clone(&self) -> Self {
        Self {
            hash: self.hash,
            known: Arc::clone(&self.known),
        }
    }
}

impl<V> Slot<V> {
    fn is_of(&self, hash: u64, key: KeyRef<'_>) -> bool {
        self.hash == hash && key.equivalent(&self.known.key)
    }
}

#[derive(Debug)]
struct Shard<V> {
    entries: HashTable<Slot<V>>,
    /// The newest generation of any of them.
    changed: u64,
}

impl<V> Clone for Shard<V> {
    fn clone(&self) -> Self {
        Self {
            entries: self.entries.clone(),
            changed: self.changed,
        }
    }
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self {
            entries: HashTable::new(),
            changed: 0,
        }
    }
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
    /// Oldest first. Of two the later one is of an earlier time, else the first says nothing.
    dropped: Vec<Dropped>,
}

impl<V> Default for EntityTable<V> {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Arc::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            generation: 1,
            dropped: Vec::new(),
        }
    }
}

/// Which shard holds a key of this hash: by bits that the shard's own table does not look at.
const fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

impl<V: Clone + Default> EntityTable<V> {
    /// The entity of this key, made first when it is new; it is taken for changed.
    pub(crate) fn entry(&mut self, key: KeyRef<'_>) -> &mut V {
        let generation = self.generation;
        let (hash, slot) = self.slot(key, generation);
        let made = slot.or_insert_with(|| Slot {
            hash,
            known: Arc::new(Known {
                key: EntityKey::from(&key),
                value: V::default(),
                changed: generation,
            }),
        });
        let made = Arc::make_mut(&mut made.into_mut().known);
        made.changed = generation;
        &mut made.value
    }

    /// Puts in an entity from a checkpoint of a generation, in place of an older state of it.
    pub(crate) fn restore(&mut self, key: EntityKey, value: V, generation: u64) {
        let (hash, slot) = self.slot(KeyRef::from(&key), generation);
        let known = Slot {
            hash,
            known: Arc::new(Known {
                key,
                value,
                changed: generation,
            }),
        };
        match slot {
            Entry::Occupied(mut older) => *older.get_mut() = known,
            Entry::Vacant(place) => drop(place.insert(known)),
        }
    }

    /// Makes room for so many more, which spares moving what is there again and again.
    pub(crate) fn reserve(&mut self, more: usize) {
        // Shards differ by their luck.
        let of_a_shard = more / SHARDS + more / SHARDS / 8;
        for shard in &mut self.shards {
            Arc::make_mut(shard).entries.reserve(of_a_shard, |slot| slot.hash);
        }
    }

    /// The hash of a key, and where its entity is or would be, in a shard that is taken for changed.
    fn slot(&mut self, key: KeyRef<'_>, generation: u64) -> (u64, Entry<'_, Slot<V>>) {
        let hash = self.hasher.hash_one(key);
        let shard = Arc::make_mut(&mut self.shards[shard_of(hash)]);
        shard.changed = generation;
        let entry = shard
            .entries
            .entry(hash, |slot| slot.is_of(hash, key), |slot| slot.hash);
        (hash, entry)
    }
}

impl<V> EntityTable<V> {
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
        for shard in &mut self.shards {
            if shard
                .entries
                .iter()
                .any(|slot| time(&slot.known.value) < Some(before))
            {
                Arc::make_mut(shard)
                    .entries
                    .retain(|slot| time(&slot.known.value) >= Some(before));
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
        let entries = shards.flat_map(|shard| shard.entries.iter());
        entries
            .map(|slot| &*slot.known)
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
        self.shards[shard_of(hash)]
            .entries
            .find(hash, |slot| slot.is_of(hash, key))
            .map(|slot| &slot.known.value)
    }

    /// All entities, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&EntityKey, &V)> {
        let all = self.shards.iter().flat_map(|shard| shard.entries.iter());
        all.map(|slot| (&slot.known.key, &slot.known.value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.entries.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.entries.is_empty())
    }
}

/// A value with the time and hash of the event that set it; a newer event replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped<T> {
    /// When the event that set it happened.
    pub time: EventTime,
    hash: u128,
    /// What it set.
    pub value: T,
}

/// Sets `slot` unless a newer event has set it already.
fn set<T>(slot: &mut Option<Stamped<T>>, event: &Event<'_>, value: impl FnOnce() -> T) {
    let stamp = (event.time, event.hash.0);
    if slot.as_ref().is_none_or(|old| (old.time, old.hash) < stamp) {
        *slot = Some(Stamped {
            time: stamp.0,
            hash: stamp.1,
            value: value(),
        });
    }
}

/// Keeps the newer of two.
fn set_merged<T: Clone>(slot: &mut Option<Stamped<T>>, other: Option<&Stamped<T>>) {
    if let Some(other) = other
        && slot
            .as_ref()
            .is_none_or(|old| (old.time, old.hash) < (other.time, other.hash))
    {
        *slot = Some(other.clone());
    }
}

/// A place of an entity: degrees, and its base-resolution cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Degrees east.
    pub lon: f64,
    /// Degrees north.
    pub lat: f64,
    /// H3 index.
    pub cell: u64,
}

impl Place {
    fn of(event: &Event<'_>) -> Option<Self> {
        event.position.map(|position| Self {
            lon: position.lon,
            lat: position.lat,
            cell: position.cell.into(),
        })
    }
}

/// The newest reading of one sensor on one layer; the key's scope is the layer's id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sensor {
    /// Place and value (in whole units of the layer's resolution), which come together.
    pub reading: Option<Stamped<(Place, i64)>>,
}

impl Sensor {
    /// Applies an observation. Whether it is now the newest.
    pub(crate) fn apply(&mut self, event: &Event<'_>) -> bool {
        let (Some(place), Some(value)) = (Place::of(event), event.value) else {
            return false;
        };
        let before = self.reading;
        set(&mut self.reading, event, || (place, value));
        self.reading != before
    }

    /// Takes over what `other`, of another partition, knows better.
    pub fn merge(&mut self, other: &Self) {
        set_merged(&mut self.reading, other.reading.as_ref());
    }
}

/// One report; the key's scope is its source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Id of the layer of its category.
    pub layer: Option<Stamped<String>>,
    /// 0 unknown to 4 critical.
    pub severity: Option<Stamped<u8>>,
    /// Where.
    pub place: Option<Stamped<Place>>,
    /// Time of its first opening.
    pub opened: Option<EventTime>,
    /// The newest event of any kind.
    pub updated: Option<EventTime>,
    /// Whether the newest opening or closing closed it.
    pub closed: Option<Stamped<bool>>,
    /// How it turned out.
    pub outcome: Option<Stamped<String>>,
}

impl Report {
    pub(crate) fn apply(&mut self, event: &Event<'_>, layer: Option<&str>) {
        if let Some(layer) = layer {
            set(&mut self.layer, event, || layer.to_owned());
        }
        if event.severity > 0 {
            set(&mut self.severity, event, || event.severity);
        }
        if let Some(place) = Place::of(event) {
            set(&mut self.place, event, || place);
        }
        if event.op == ReportOp::Open {
            self.opened = Some(self.opened.map_or(event.time, |opened| opened.min(event.time)));
        }
        self.updated = self.updated.max(Some(event.time));
        if event.op != ReportOp::Update {
            set(&mut self.closed, event, || event.op == ReportOp::Close);
        }
        if let Some(outcome) = event.outcome.as_deref().filter(|_| event.op == ReportOp::Close) {
            let known = ["confirmed", "false", "duplicate"];
            set(&mut self.outcome, event, || {
                if known.contains(&outcome) {
                    outcome.to_owned()
                } else {
                    "unknown".to_owned()
                }
            });
        }
    }

    /// `open` or `closed`; `unknown` when neither its opening nor its closing was seen.
    pub fn status(&self) -> &'static str {
        match &self.closed {
            Some(stamped) if stamped.value => "closed",
            Some(_) => "open",
            None => "unknown",
        }
    }

    /// When it was closed, if it is.
    pub fn closed_at(&self) -> Option<EventTime> {
        self.closed
            .as_ref()
            .filter(|stamped| stamped.value)
            .map(|stamped| stamped.time)
    }

    /// Takes over what `other`, of another partition, knows better.
    pub fn merge(&mut self, other: &Self) {
        set_merged(&mut self.layer, other.layer.as_ref());
        set_merged(&mut self.severity, other.severity.as_ref());
        set_merged(&mut self.place, other.place.as_ref());
        set_merged(&mut self.closed, other.closed.as_ref());
        set_merged(&mut self.outcome, other.outcome.as_ref());
        self.updated = self.updated.max(other.updated);
        self.opened = match (self.opened, other.opened) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
    }
}

/// A response unit; the key's scope is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResponseUnit {
    /// Where it is.
    pub place: Option<Stamped<Place>>,
    /// What it is doing.
    pub status: Option<Stamped<String>>,
    /// What it can do.
    pub skills: Option<Stamped<Vec<String>>>,
}

impl ResponseUnit {
    pub(crate) fn apply(&mut self, event: &Event<'_>) {
        if let Some(place) = Place::of(event) {
            set(&mut self.place, event, || place);
        }
        if let Some(status) = event.status.as_deref() {
            set(&mut self.status, event, || status.to_owned());
        }
        if !event.skills.is_empty() {
            set(&mut self.skills, event, || {
                event
                    .skills
                    .iter()
                    .map(|skill| skill.clone().into_owned())
                    .collect()
            });
        }
    }

    /// Takes over what `other`, of another partition, knows better.
    pub fn merge(&mut self, other: &Self) {
        set_merged(&mut self.place, other.place.as_ref());
        set_merged(&mut self.status, other.status.as_ref());
        set_merged(&mut self.skills, other.skills.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
