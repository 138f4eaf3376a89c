//! A part of a table of entities: an index over pages of them, of which a copy shares what does not change.

use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::entity_key::{EntityKey, KeyRef};

/// Entities that are copied together when one of them changes. Of a copy of the table they are one reference count: with
/// one each, a table of millions would touch them all, all over the memory, for every snapshot.
const PAGE: usize = 16;
#[derive(Clone, Debug)]
pub(super) struct Known<V> {
    pub(super) key: EntityKey,
    pub(super) value: V,
    /// The generation of its last change.
    pub(super) changed: u64,
}

/// Entities in the order in which they came, in pages.
#[derive(Clone, Debug)]
pub(super) struct Pages<V>(Vec<Arc<Vec<Known<V>>>>);

impl<V> Pages<V> {
    pub(super) fn get(&self, at: u32) -> Option<&Known<V>> {
        let at = at as usize;
        self.0.get(at / PAGE)?.get(at % PAGE)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Known<V>> {
        self.0.iter().flat_map(|page| page.iter())
    }
}

impl<V: Clone> Pages<V> {
    /// Its page is copied first where a copy of the table shares it.
    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut Known<V>> {
        let at = at as usize;
        Arc::make_mut(self.0.get_mut(at / PAGE)?).get_mut(at % PAGE)
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        self.0.reserve(more.div_ceil(PAGE));
    }

    /// Puts an entity after the others, of which there are `len`, in a page that has room.
    pub(super) fn push(&mut self, known: Known<V>, len: usize) {
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
pub(super) struct Slot {
    /// Of its key.
    pub(super) hash: u64,
    /// Among all of its shard.
    pub(super) at: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Shard<V> {
    pub(super) slots: HashTable<Slot>,
    pub(super) pages: Pages<V>,
    /// The newest generation of any of them.
    pub(super) changed: u64,
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
    pub(super) fn get(&self, hash: u64, key: KeyRef<'_>) -> Option<&Known<V>> {
        let slot = self
            .slots
            .find(hash, |slot| is_of(slot, hash, key, &self.pages))?;
        self.pages.get(slot.at)
    }
}

impl<V: Clone> Shard<V> {
    /// The entity of a key and its hash; where there is none `new` is put in.
    pub(super) fn entry(
        &mut self,
        hash: u64,
        key: KeyRef<'_>,
        new: impl FnOnce() -> Known<V>,
    ) -> &mut Known<V> {
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
    pub(super) fn push(&mut self, hash: u64, known: Known<V>) {
        let len = self.slots.len();
        self.pages.push(known, len);
        let slot = Slot { hash, at: len as u32 };
        self.slots.insert_unique(hash, slot, |slot| slot.hash);
    }

    /// Those of its entities that are to be kept.
    pub(super) fn of_those(&self, is_kept: impl Fn(&V) -> bool) -> Self {
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

pub(super) fn is_of<V>(slot: &Slot, hash: u64, key: KeyRef<'_>, pages: &Pages<V>) -> bool {
    slot.hash == hash && pages.get(slot.at).is_some_and(|known| key.equivalent(&known.key))
}
