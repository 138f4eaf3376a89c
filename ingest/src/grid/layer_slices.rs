//! The slices of one layer in one partition: open buckets, sealed buckets, and the hours and days rolled up from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::aggregate::CellAggregate;
use super::calendar::{Calendar, Span, Step};
use super::cell_map::CellMap;
use super::slice::Slice;
use crate::words::{EventTime, LayerKind};

/// A slice with the span that it covers.
#[derive(Clone, Debug)]
pub struct TimedSlice {
    /// What it covers.
    pub span: Span,
    /// 0 when it was sealed (or still open), one more with each late revision.
    pub revision: u32,
    /// Its cells.
    pub slice: Slice,
}

/// Slices by the start of their span; shared with readers, copied by the writer when it changes one.
pub type SliceMap = Arc<BTreeMap<EventTime, Arc<TimedSlice>>>;

/// From when on each step is kept; everything before is expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cutoffs(pub [EventTime; 3]);

impl Default for Cutoffs {
    fn default() -> Self {
        Self([EventTime::from_micros(i64::MIN); 3])
    }
}

/// What readers see of one layer in one partition.
#[derive(Clone, Debug)]
pub struct LayerView {
    /// Sealed slices by step.
    pub steps: [SliceMap; 3],
    /// Buckets that may still get events, as of the snapshot.
    pub open: SliceMap,
}

/// A bucket that may still get events.
#[derive(Debug)]
struct OpenBucket {
    cells: CellMap,
    /// Changed since readers last saw it.
    is_dirty: bool,
}

/// What a bucket takes beside its cells, for the writer and for readers: the heads of a table and of columns, and entries
/// in maps.
const BUCKET_BYTES: usize = 1536;

/// Adds to what a cell has, and says by how much the cells have grown.
fn added_bytes(cells: &mut CellMap, cell: u64, aggregate: &CellAggregate) -> usize {
    let before = cells.bytes();
    cells.add(cell, aggregate);
    cells.bytes() - before
}

/// The writer's side.
#[derive(Debug)]
pub(crate) struct LayerSlices {
    pub(crate) kind: LayerKind,
    open: BTreeMap<EventTime, OpenBucket>,
    steps: [SliceMap; 3],
    /// Late events of sealed slices, until they are folded in.
    patches: BTreeMap<(usize, EventTime), CellMap>,
    published_open: SliceMap,
    /// Bytes of the sealed slices.
    bytes: usize,
    /// Bytes of the open buckets.
    open_bytes: usize,
    /// Bytes of late events that are not folded in.
    patch_bytes: usize,
    /// Changes from now on bear this generation.
    generation: u64,
    /// The generation in which each sealed slice was made or last changed.
    changed: BTreeMap<(usize, EventTime), u64>,
}

impl LayerSlices {
    pub(crate) fn new(kind: LayerKind, generation: u64) -> Self {
        Self {
            kind,
            open: BTreeMap::new(),
            steps: Default::default(),
            patches: BTreeMap::new(),
            published_open: SliceMap::default(),
            bytes: 0,
            open_bytes: 0,
            patch_bytes: 0,
            generation,
            changed: BTreeMap::new(),
        }
    }

    /// Adds one event's aggregate to an open bucket.
    pub(crate) fn add(&mut self, start: EventTime, cell: u64, aggregate: &CellAggregate) {
        let open = self.open.entry(start).or_insert_with(|| {
            self.open_bytes += BUCKET_BYTES;
            OpenBucket {
                cells: CellMap::new(self.kind),
                is_dirty: true,
            }
        });
        open.is_dirty = true;
        self.open_bytes += added_bytes(&mut open.cells, cell, aggregate);
    }

    /// Adds a late event's aggregate to the slices of every step that have been sealed without it. `sealed_to` is where
    /// the partition has sealed up to.
    pub(crate) fn add_late(
        &mut self,
        calendar: &Calendar,
        sealed_to: EventTime,
        cutoffs: &Cutoffs,
        time: EventTime,
        cell: u64,
        aggregate: &CellAggregate,
    ) {
        for step in Step::ALL {
            let span = calendar.span(step, time);
            if span.end <= sealed_to && span.start >= cutoffs.0[step.index()] {
                let patch = self.patches.entry((step.index(), span.start)).or_insert_with(|| {
                    self.patch_bytes += BUCKET_BYTES;
                    CellMap::new(self.kind)
                });
                self.patch_bytes += added_bytes(patch, cell, aggregate);
            }
        }
    }

    /// Folds late events into the slices that they belong to.
    pub(crate) fn settle(&mut self, calendar: &Calendar) {
        self.patch_bytes = 0;
        for ((step, start), patch) in std::mem::take(&mut self.patches) {
            let patch = patch.to_slice();
            let revised = match self.steps[step].get(&start) {
                Some(old) => TimedSlice {
                    span: old.span,
                    revision: old.revision + 1,
                    slice: Slice::merge(self.kind, [&old.slice, &patch]),
                },
                None => TimedSlice {
                    span: calendar.span(Step::ALL[step], start),
                    revision: 1,
                    slice: patch,
                },
            };
            self.insert(step, revised);
        }
    }

    /// Seals what ended between `from` and `to`, rolls up the hours and days that closed, and expires what is older
    /// than the cutoffs.
    pub(crate) fn advance(&mut self, calendar: &Calendar, from: EventTime, to: EventTime, cutoffs: &Cutoffs) {
        self.settle(calendar);
        while let Some(entry) = self.open.first_entry() {
            let span = calendar.span(Step::Bucket, *entry.key());
            if span.end > to {
                break;
            }
            let cells = entry.remove().cells;
            self.open_bytes -= BUCKET_BYTES + cells.bytes();
            let slice = cells.to_slice();
            if self.published_open.contains_key(&span.start) {
                Arc::make_mut(&mut self.published_open).remove(&span.start);
            }
            self.insert(
                Step::Bucket.index(),
                TimedSlice {
                    span,
                    revision: 0,
                    slice,
                },
            );
        }
        for (coarse, fine) in [(Step::Hour, Step::Bucket), (Step::Day, Step::Hour)] {
            self.roll_up(calendar, coarse, fine, from, to);
        }
        self.expire(cutoffs);
    }

    /// Makes the `coarse` slices whose span ended after `from` and by `to`, out of `fine` ones.
    fn roll_up(&mut self, calendar: &Calendar, coarse: Step, fine: Step, from: EventTime, to: EventTime) {
        // Before the first seal there is no past to look at, and the sentinel is no time that a calendar knows.
        let first = if from.micros() == i64::MIN {
            from
        } else {
            calendar.span(coarse, from).start
        };
        let mut groups: BTreeMap<EventTime, (Span, Vec<Arc<TimedSlice>>)> = BTreeMap::new();
        for (start, slice) in self.steps[fine.index()].range(first..) {
            let span = calendar.span(coarse, *start);
            if span.end > from && span.end <= to {
                groups
                    .entry(span.start)
                    .or_insert_with(|| (span, Vec::new()))
                    .1
                    .push(Arc::clone(slice));
            }
        }
        for (span, parts) in groups.into_values() {
            let slice = Slice::merge(self.kind, parts.iter().map(|part| &part.slice));
            self.insert(
                coarse.index(),
                TimedSlice {
                    span,
                    revision: 0,
                    slice,
                },
            );
        }
    }

    fn insert(&mut self, step: usize, slice: TimedSlice) {
        self.put(step, slice, self.generation);
    }

    fn put(&mut self, step: usize, slice: TimedSlice, generation: u64) {
        self.changed.insert((step, slice.span.start), generation);
        self.bytes += slice.slice.bytes();
        let slices = Arc::make_mut(&mut self.steps[step]);
        if let Some(before) = slices.insert(slice.span.start, Arc::new(slice)) {
            self.bytes -= before.slice.bytes();
        }
    }

    /// Bytes of all: sealed slices, open buckets, late events.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes + self.open_bytes + self.patch_bytes
    }

    /// The start of the oldest slice of a step, open buckets included.
    pub(crate) fn oldest(&self, step: Step) -> Option<EventTime> {
        let sealed = self.steps[step.index()].keys().next();
        let open = self.open.keys().next().filter(|_| step == Step::Bucket);
        sealed.into_iter().chain(open).min().copied()
    }

    /// The readers' view; late events are folded in first.
    pub(crate) fn view(&mut self, calendar: &Calendar) -> LayerView {
        self.settle(calendar);
        for (start, open) in self.open.iter_mut().filter(|(_, open)| open.is_dirty) {
            open.is_dirty = false;
            let published = TimedSlice {
                span: calendar.span(Step::Bucket, *start),
                revision: 0,
                slice: open.cells.to_slice(),
            };
            Arc::make_mut(&mut self.published_open).insert(*start, Arc::new(published));
        }
        LayerView {
            steps: self.steps.clone(),
            open: Arc::clone(&self.published_open),
        }
    }

    /// Changes from now on bear this generation.
    pub(crate) fn begin_generation(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// The sealed slices that were made or changed after a generation, each with its step.
    pub(crate) fn changed_since(&self, generation: u64) -> impl Iterator<Item = (usize, &Arc<TimedSlice>)> {
        self.changed
            .iter()
            .filter(move |(_, changed)| **changed > generation)
            .filter_map(|((step, start), _)| Some((*step, self.steps.get(*step)?.get(start)?)))
    }

    pub(crate) fn open_to_save(&self) -> impl Iterator<Item = (EventTime, Slice)> + '_ {
        self.open
            .iter()
            .map(|(start, open)| (*start, open.cells.to_slice()))
    }

    /// Puts back a slice from a checkpoint of a generation, in place of an older state of it.
    pub(crate) fn restore(&mut self, step: usize, slice: TimedSlice, generation: u64) {
        if step < self.steps.len() {
            self.put(step, slice, generation);
        }
    }

    pub(crate) fn restore_open(&mut self, start: EventTime, slice: &Slice) {
        let open = OpenBucket {
            cells: CellMap::of(slice),
            is_dirty: true,
        };
        self.open_bytes += BUCKET_BYTES + open.cells.bytes();
        if let Some(before) = self.open.insert(start, open) {
            self.open_bytes -= BUCKET_BYTES + before.cells.bytes();
        }
    }

    /// Drops what is from before the cutoffs, and says how many slices of each step those were.
    pub(crate) fn expire(&mut self, cutoffs: &Cutoffs) -> [u64; 3] {
        let mut dropped = [0; 3];
        for ((step, cutoff), dropped) in self.steps.iter_mut().zip(cutoffs.0).zip(&mut dropped) {
            if step.first_key_value().is_none_or(|(start, _)| *start >= cutoff) {
                continue;
            }
            let slices = Arc::make_mut(step);
            let kept = slices.split_off(&cutoff);
            for slice in std::mem::replace(slices, kept).into_values() {
                self.bytes -= slice.slice.bytes();
                *dropped += 1;
            }
        }
        if dropped != [0; 3] {
            self.changed.retain(|(step, start), _| *start >= cutoffs.0[*step]);
        }
        dropped
    }
}
