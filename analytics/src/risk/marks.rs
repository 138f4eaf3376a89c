//! What a surface keeps of a layer between two of them: faded marks, and who told of them lately.
//!
//! Kept from the grid's slices, each of which is taken in once: a surface costs what has changed since the one before. All
//! of it follows from the slices alone, so nothing is saved: after a restart it is made again from the grid, which is
//! quicker than to read it, as every cell of it is a sum of what the grid has to load anyway.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use riskgrid_ingest::grid::{
    GridSnapshot, KindColumns, PartitionId, SliceStart, Span, StartsWithin, TimedSlice,
};
use riskgrid_ingest::{EventTime, LayerIndex, SECOND};

use super::flood_cap::{WINDOW, flood_cap};
use super::intensity::{HORIZON, HalfLife, Landmark, Weighed, mark};

/// A bit of a bitmap, and the newest bucket that has it: 40 bits of its start in seconds, 17 of half its length, 1 that says
/// which bitmap, 6 which bit. It sorts by start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen(u64);

/// Which of the two bitmaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bitmap {
    Sources,
    Channels,
}

impl Seen {
    const STARTS_AT: i64 = 1 << 39;

    fn new(span: Span, bitmap: Bitmap, bit: u32) -> Self {
        let start = (span.start.micros().div_euclid(SECOND) + Self::STARTS_AT).clamp(0, (1 << 40) - 1) as u64;
        let half = (span.seconds() / 2).clamp(0, (1 << 17) - 1) as u64;
        let which = u64::from(bitmap == Bitmap::Channels) << 6 | u64::from(bit & 63);
        Self(start << 24 | half << 7 | which)
    }

    /// Bitmap and bit together.
    const fn which(self) -> u64 {
        self.0 & 127
    }

    const fn is_of_channels(self) -> bool {
        self.0 & 64 != 0
    }

    const fn bit(self) -> u8 {
        (self.0 & 63) as u8
    }

    const fn start(self) -> EventTime {
        EventTime::from_micros(((self.0 >> 24) as i64 - Self::STARTS_AT) * SECOND)
    }

    const fn middle(self) -> EventTime {
        let half = ((self.0 >> 7) & ((1 << 17) - 1)) as i64;
        EventTime::from_micros(self.start().micros() + half * SECOND)
    }
}

/// What is kept of one cell: 48 bytes with its key, and 8 for each bit of its bitmaps, of which there are two a source.
#[derive(Clone, Debug, Default)]
pub struct CellMarks {
    weighed: Weighed,
    /// Events in the window of the flood cap.
    recent: u64,
    seen: Box<[Seen]>,
}

impl CellMarks {
    fn see(&mut self, bitmap: Bitmap, mut bits: u64, span: Span) {
        while bits != 0 {
            let seen = Seen::new(span, bitmap, bits.trailing_zeros());
            bits &= bits - 1;
            if let Some(known) = self.seen.iter_mut().find(|known| known.which() == seen.which()) {
                *known = (*known).max(seen);
            } else {
                let mut all = std::mem::take(&mut self.seen).into_vec();
                all.reserve_exact(1);
                all.push(seen);
                self.seen = all.into_boxed_slice();
            }
        }
    }

    fn seen_since(&self, oldest: EventTime) -> impl Iterator<Item = Seen> + '_ {
        self.seen
            .iter()
            .copied()
            .filter(move |seen| seen.start() >= oldest)
    }

    /// The bitmap of its sources in the window.
    fn sources(&self, oldest: EventTime) -> u64 {
        self.seen_since(oldest)
            .filter(|seen| !seen.is_of_channels())
            .fold(0, |bits, seen| bits | 1 << seen.bit())
    }

    const fn is_empty(&self) -> bool {
        self.weighed.is_nothing() && self.recent == 0
    }
}

/// Where a slice is from, and what it covers there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SliceKey {
    partition: PartitionId,
    own: Span,
}

/// A slice that was taken in.
#[derive(Clone, Debug)]
struct TakenIn {
    slice: Arc<TimedSlice>,
    /// The bucket that its events count in: the coarsest of all partitions there.
    bucket: Span,
    is_recent: bool,
    /// Of the surface in which it was last seen.
    round: u64,
}

/// What is kept of one layer.
#[derive(Clone, Debug)]
pub struct LayerMarks {
    half_life: HalfLife,
    severity_factor: f64,
    landmark: Landmark,
    at: EventTime,
    cells: BTreeMap<u64, CellMarks>,
    taken_in: HashMap<SliceKey, TakenIn>,
    round: u64,
}

/// What a cell says of itself on a surface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellNow {
    /// Which.
    pub cell: u64,
    /// A, after the flood cap.
    pub intensity: f64,
    /// Bitmap of the sources in the window.
    pub sources: u64,
}

impl LayerMarks {
    /// Of a layer from which nothing was taken in.
    pub fn new(half_life: HalfLife, severity_factor: f64, at: EventTime) -> Self {
        Self {
            half_life,
            severity_factor,
            landmark: Landmark::about(half_life, at),
            at,
            cells: BTreeMap::new(),
            taken_in: HashMap::new(),
            round: 0,
        }
    }

    /// The start of the oldest bucket that the flood cap and corroboration look at.
    fn oldest_recent(&self) -> EventTime {
        self.at.plus(-WINDOW * self.half_life.micros())
    }

    /// Brings it up to a snapshot at a moment: takes in what is new, and lets go of what is gone.
    pub fn follow(&mut self, snapshot: &GridSnapshot, layer: LayerIndex, at: EventTime) {
        if at < self.at {
            // A clock was set back.
            *self = Self::new(self.half_life, self.severity_factor, at);
        }
        self.at = at;
        if self.landmark.is_worn_out(at) {
            self.move_landmark();
        }
        self.round += 1;
        let is_whole = self.take_in(snapshot, layer) && self.let_go();
        if !is_whole {
            // Bits cannot be taken out of a bitmap again, so it is made anew.
            *self = Self::new(self.half_life, self.severity_factor, at);
            self.round += 1;
            self.take_in(snapshot, layer);
        }
    }

    fn move_landmark(&mut self) {
        let later = Landmark::about(self.half_life, self.at);
        let steps = self.landmark.steps_to(later);
        self.landmark = later;
        let oldest = self.oldest_recent();
        self.cells.retain(|_, cell| {
            cell.weighed = cell.weighed.moved(steps);
            if cell.seen.iter().any(|seen| seen.start() < oldest) {
                cell.seen = cell.seen_since(oldest).collect();
            }
            !cell.is_empty()
        });
    }

    /// Whether what was known before is still part of what is known now.
    fn take_in(&mut self, snapshot: &GridSnapshot, layer: LayerIndex) -> bool {
        let within = StartsWithin {
            first: SliceStart::at(self.at.plus(-HORIZON * self.half_life.micros())),
            last: SliceStart::at(self.at.plus(-1)),
        };
        let oldest = self.oldest_recent();
        let mut is_whole = true;
        for part in snapshot.slices_of_partitions(layer, within) {
            let key = SliceKey {
                partition: part.partition,
                own: part.slice.span,
            };
            let now = TakenIn {
                slice: part.slice,
                bucket: part.bucket,
                is_recent: part.bucket.start >= oldest,
                round: self.round,
            };
            match self.taken_in.get_mut(&key) {
                Some(known) if Arc::ptr_eq(&known.slice, &now.slice) && known.bucket == now.bucket => {
                    known.round = self.round;
                    if known.is_recent && !now.is_recent {
                        let gone = std::mem::replace(known, now);
                        self.forget_recent(&gone.slice);
                    }
                }
                Some(known) => {
                    let before = std::mem::replace(known, now.clone());
                    // Late events only add to a slice; but where they count may have become coarser.
                    is_whole &= before.bucket == now.bucket || !before.is_recent;
                    self.count(&before, false);
                    self.count(&now, true);
                }
                None => {
                    self.count(&now, true);
                    self.taken_in.insert(key, now);
                }
            }
        }
        is_whole
    }

    /// Whether none of what is gone had bits that count.
    fn let_go(&mut self) -> bool {
        let round = self.round;
        let gone: Vec<TakenIn> = self
            .taken_in
            .extract_if(|_, known| known.round != round)
            .map(|(_, known)| known)
            .collect();
        let oldest = self.oldest_recent();
        let is_whole = gone.iter().all(|gone| gone.bucket.start < oldest);
        for gone in &gone {
            self.count(gone, false);
        }
        is_whole
    }

    fn forget_recent(&mut self, slice: &TimedSlice) {
        for (cell, count) in slice.slice.cells.iter().zip(slice.slice.count.iter()) {
            if let Some(cell) = self.cells.get_mut(cell) {
                cell.recent = cell.recent.saturating_sub(*count);
            }
        }
    }

    fn count(&mut self, taken: &TakenIn, is_added: bool) {
        let slice = &taken.slice.slice;
        // Of observations only the sources are asked for; their weight is their count.
        let (weights, channels) = match &slice.columns {
            KindColumns::Report { weight, channels } => (weight, Some(channels)),
            KindColumns::Observation(_) => (&slice.count, None),
        };
        let rows = slice
            .cells
            .iter()
            .zip(slice.count.iter())
            .zip(slice.sources.iter());
        for (row, (((cell, count), sources), weight)) in rows.zip(weights.iter()).enumerate() {
            let marks = mark(*count, *weight, self.severity_factor);
            let weighed = self.landmark.weigh(marks, taken.bucket);
            let kept = self.cells.entry(*cell).or_default();
            if is_added {
                kept.weighed.add(weighed);
                if taken.is_recent {
                    kept.recent += count;
                    kept.see(Bitmap::Sources, *sources, taken.bucket);
                    let channels = channels.and_then(|channels| channels.get(row));
                    kept.see(Bitmap::Channels, channels.copied().unwrap_or(0), taken.bucket);
                }
            } else {
                kept.weighed.subtract(weighed);
                if taken.is_recent {
                    kept.recent = kept.recent.saturating_sub(*count);
                }
            }
        }
    }

    /// The cells in which something happened, ascending.
    pub fn cells(&self) -> impl Iterator<Item = CellNow> + '_ {
        let oldest = self.oldest_recent();
        let unit = self.landmark.unit(self.at);
        self.cells.iter().map(move |(cell, kept)| {
            let sources = kept.sources(oldest);
            let intensity = kept.weighed.times(unit).max(0.0);
            CellNow {
                cell: *cell,
                intensity: intensity * flood_cap(kept.recent, sources),
                sources,
            }
        })
    }

    /// Calls `visit` with each cell, each bit of its channels, and how fresh it is: 2^(−age/τ) of the newest bucket that
    /// has it.
    pub fn for_each_channel(&self, mut visit: impl FnMut(u64, u8, f64)) {
        let oldest = self.oldest_recent();
        // Buckets are few, and cells heard of in one follow each other.
        let mut last = (self.at, 1.0);
        for (cell, kept) in &self.cells {
            for seen in kept.seen_since(oldest).filter(|seen| seen.is_of_channels()) {
                let middle = seen.middle();
                if last.0 != middle {
                    last = (middle, self.half_life.left_after(self.at.since(middle) as f64));
                }
                visit(*cell, seen.bit(), last.1);
            }
        }
    }

    /// Bytes of the cells, about, and of what is known of slices.
    pub fn bytes(&self) -> usize {
        let seen: usize = self.cells.values().map(|cell| size_of_val(&*cell.seen)).sum();
        // A node of the tree is two thirds full.
        self.cells.len() * (size_of::<(u64, CellMarks)>() * 3 / 2)
            + seen
            + self.taken_in.capacity() * (size_of::<(SliceKey, TakenIn)>() + 1)
    }

    /// Cells kept.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}
