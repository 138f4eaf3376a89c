//! Sums of blocks of hours and of minutes that windows have asked for before: "the last 24 hours" moves by a minute, and
//! most of it stays as it was.
//!
//! Blocks are counted from the start of a local day or of an hour, so that every window finds the same ones. What a window
//! has of whole hours and days stays for an hour, and is a block too. They are made on their second use, out of the very
//! slices that the first use had: a late event makes another slice, and so another sum.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use hashbrown::HashMap;

use super::calendar::{Calendar, Span, Step};
use super::layer_slices::TimedSlice;
use super::slice::Slice;
use crate::words::LayerIndex;

/// Hours of the blocks of a day, the longest first.
const HOURS_OF_A_BLOCK: &[i64] = &[8, 4, 2];
/// Base buckets of the blocks of an hour.
const BUCKETS_OF_A_BLOCK: &[i64] = &[32, 16, 8, 4, 2];
/// Blocks that are remembered, whether made or not.
const MOST_BLOCKS: usize = 4096;

/// What a sum is of: a layer's slices of a block, or all of a window's that are an hour or longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Block {
    layer: LayerIndex,
    span: Span,
    has_all_hours: bool,
}

/// Bytes of sums where nobody says how many.
pub(crate) const DEFAULT_BYTES: usize = 256 << 20;

/// Shared by all snapshots of a process; holds no more than its bytes.
#[derive(Debug)]
pub(crate) struct BlockSums {
    most_bytes: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    blocks: HashMap<Block, Entry>,
    bytes: usize,
    /// Uses so far: the time by which the least recently used is told.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    /// The slices that it is the sum of. Weak: they may expire, yet none made later can be taken for one of them.
    of: Vec<Weak<TimedSlice>>,
    sum: Sum,
    used: u64,
}

#[derive(Debug)]
enum Sum {
    /// Asked for once.
    Wanted,
    /// Of slices that have few cells in common: as long as they are.
    Useless,
    Made(Arc<TimedSlice>),
}

impl Entry {
    fn is_of(&self, slices: &[Arc<TimedSlice>]) -> bool {
        let same =
            |(known, slice): (&Weak<TimedSlice>, &Arc<TimedSlice>)| known.as_ptr() == Arc::as_ptr(slice);
        self.of.len() == slices.len() && self.of.iter().zip(slices).all(same)
    }

    fn bytes(&self) -> usize {
        match &self.sum {
            Sum::Made(sum) => sum.slice.bytes(),
            Sum::Wanted | Sum::Useless => 0,
        }
    }
}

impl BlockSums {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            known: Mutex::default(),
        }
    }

    /// Slices that hold together what `slices` do, all of one layer and inside `window`: in the place of those of a block
    /// its sum, where it is known or asked for again.
    pub(crate) fn condensed(
        &self,
        layer: LayerIndex,
        calendar: &Calendar,
        window: Span,
        mut slices: Vec<Arc<TimedSlice>>,
    ) -> Vec<Arc<TimedSlice>> {
        slices.sort_by_key(|slice| slice.span.start);
        let mut condensed = Vec::with_capacity(slices.len());
        let mut rest = slices.as_slice();
        let mut from = window.start;
        while let Some(first) = rest.first() {
            let left = Span {
                start: from,
                end: window.end,
            };
            let (block, taken) = match block_at(calendar, left, rest) {
                Some((block, taken)) => (Some(block), taken),
                None => (None, 1),
            };
            let (members, after) = rest.split_at(taken.min(rest.len()));
            let sum = block.and_then(|span| {
                let block = Block {
                    layer,
                    span,
                    has_all_hours: false,
                };
                self.sum_of(block, members)
            });
            match sum {
                Some(sum) => condensed.push(sum),
                None => condensed.extend_from_slice(members),
            }
            from = block.map_or(first.span.start, |block| block.end).max(from);
            rest = after;
        }
        self.with_hours_together(layer, calendar, &condensed)
    }

    /// Slices that hold together what `slices` do, which ascend: in the place of those that follow each other and are an
    /// hour or longer their sum, where it is known or asked for again.
    fn with_hours_together(
        &self,
        layer: LayerIndex,
        calendar: &Calendar,
        slices: &[Arc<TimedSlice>],
    ) -> Vec<Arc<TimedSlice>> {
        let is_long = |part: &Arc<TimedSlice>| {
            let hour = calendar.span(Step::Hour, part.span.start);
            hour.start == part.span.start && hour.end <= part.span.end
        };
        let runs = slices.chunk_by(|a, b| is_long(a) == is_long(b));
        let together = runs.flat_map(|run| match run {
            [first, .., last] if is_long(first) => {
                let block = Block {
                    layer,
                    span: Span {
                        start: first.span.start,
                        end: last.span.end,
                    },
                    has_all_hours: true,
                };
                self.sum_of(block, run)
                    .map_or_else(|| run.to_vec(), |sum| vec![sum])
            }
            _ => run.to_vec(),
        });
        together.collect()
    }

    /// The sum of the slices of a block, if they are asked for again.
    fn sum_of(&self, block: Block, slices: &[Arc<TimedSlice>]) -> Option<Arc<TimedSlice>> {
        {
            let mut known = self.known();
            known.uses += 1;
            let used = known.uses;
            match known.blocks.get_mut(&block).filter(|entry| entry.is_of(slices)) {
                None => {
                    known.put(block, slices, Sum::Wanted, self.most_bytes);
                    return None;
                }
                Some(entry) => {
                    entry.used = used;
                    match &entry.sum {
                        Sum::Made(sum) => return Some(Arc::clone(sum)),
                        Sum::Useless => return None,
                        Sum::Wanted => {}
                    }
                }
            }
        }
        // Others may make the same meanwhile: better twice than that they wait.
        let kind = slices.first()?.slice.kind();
        let slice = Slice::merge(kind, slices.iter().map(|part| &part.slice));
        let rows: usize = slices.iter().map(|part| part.slice.len()).sum();
        let sum = if slice.len() * 4 > rows * 3 || slice.bytes() > self.most_bytes / 8 {
            Sum::Useless
        } else {
            Sum::Made(Arc::new(TimedSlice {
                span: block.span,
                revision: slices.iter().map(|part| part.revision).sum(),
                slice,
            }))
        };
        let made = match &sum {
            Sum::Made(sum) => Some(Arc::clone(sum)),
            Sum::Wanted | Sum::Useless => None,
        };
        self.known().put(block, slices, sum, self.most_bytes);
        made
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // Nothing is left half done by a panic that would matter: entries are put whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn put(&mut self, block: Block, slices: &[Arc<TimedSlice>], sum: Sum, most_bytes: usize) {
        let entry = Entry {
            of: slices.iter().map(Arc::downgrade).collect(),
            sum,
            used: self.uses,
        };
        self.bytes += entry.bytes();
        if let Some(old) = self.blocks.insert(block, entry) {
            self.bytes -= old.bytes();
        }
        while self.bytes > most_bytes || self.blocks.len() > MOST_BLOCKS {
            // The least recently used quarter at once, so that looking for them costs next to nothing an entry.
            let mut uses: Vec<u64> = self.blocks.values().map(|entry| entry.used).collect();
            let quarter = uses.len() / 4;
            let (_, cutoff, _) = uses.select_nth_unstable(quarter);
            self.blocks.retain(|_, entry| entry.used > *cutoff);
            self.bytes = self.blocks.values().map(Entry::bytes).sum();
        }
    }
}

/// The longest block inside `window` to which the first of `slices` belongs, and how many of them do: none but slices as
/// long as the first, and more than one.
fn block_at(calendar: &Calendar, window: Span, slices: &[Arc<TimedSlice>]) -> Option<(Span, usize)> {
    let first = slices.first()?.span;
    let (step, within, lengths) = [
        (Step::Hour, Step::Day, HOURS_OF_A_BLOCK),
        (Step::Bucket, Step::Hour, BUCKETS_OF_A_BLOCK),
    ]
    .into_iter()
    .find(|(step, ..)| calendar.span(*step, first.start) == first)?;
    let whole = calendar.span(within, first.start);
    let unit = first.end.since(first.start);
    let number = first.start.since(whole.start).div_euclid(unit);
    lengths.iter().find_map(|length| {
        let start = whole.start.plus((number - number % length) * unit);
        let end = start.plus(length * unit).min(whole.end);
        let block = Span { start, end };
        let taken = slices.partition_point(|slice| slice.span.start < end);
        let members = slices.get(..taken)?;
        let is_member = |part: &Arc<TimedSlice>| calendar.span(step, part.span.start) == part.span;
        let is_whole = window.start <= start && end <= window.end && members.iter().all(is_member);
        (is_whole && taken > 1).then_some((block, taken))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::aggregate::CellAggregate;
    use crate::words::{DAY, EventTime, HOUR};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const LAYER: LayerIndex = LayerIndex(3);

    fn hour(number: i64, cells: std::ops::Range<u64>) -> Arc<TimedSlice> {
        minutes(number * 60, 60, cells)
    }

    fn minutes(start: i64, length: i64, cells: std::ops::Range<u64>) -> Arc<TimedSlice> {
        let start = EventTime::from_micros(start * HOUR / 60);
        let rows = cells.map(|cell| {
            let aggregate = CellAggregate {
                count: cell % 7 + start.micros().unsigned_abs() / 1_000_000_000,
                sources: 1 << (cell % 64),
                ..CellAggregate::default()
            };
            (cell << 18 | 0x3_FFFF, aggregate)
        });
        Arc::new(TimedSlice {
            span: Span {
                start,
                end: start.plus(length * HOUR / 60),
            },
            revision: 1,
            slice: Slice::from_sorted(crate::LayerKind::Report, &rows.collect::<Vec<_>>()),
        })
    }

    fn window(from: i64, to: i64) -> Span {
        let at = |minute: i64| EventTime::from_micros(minute * HOUR / 60);
        Span {
            start: at(from),
            end: at(to),
        }
    }

    fn of(slices: &[Arc<TimedSlice>]) -> BTreeMap<u64, (u64, u64)> {
        let mut sums = BTreeMap::new();
        for slice in slices.iter().map(|timed| &timed.slice) {
            for row in 0..slice.len() {
                let (count, sources) = sums.entry(slice.cells[row]).or_default();
                *count += slice.count[row];
                *sources |= slice.sources[row];
            }
        }
        sums
    }

    fn utc() -> Calendar {
        Calendar::new(HOUR / 60, chrono_tz::UTC)
    }

    #[test]
    fn the_second_use_of_hours_reads_their_sums() {
        let sums = BlockSums::new(1 << 30);
        let slices: Vec<_> = (1..24).map(|number| hour(number, 0..3000)).collect();
        let asked = |window| sums.condensed(LAYER, &utc(), window, slices.clone());
        assert_eq!(asked(window(34, 24 * 60)).len(), 23);
        let again = asked(window(34, 24 * 60));
        let hours_of = |slices: &[Arc<TimedSlice>]| -> Vec<i64> {
            slices.iter().map(|slice| slice.span.seconds() / 3600).collect()
        };
        assert_eq!(hours_of(&again), [1, 2, 4, 8, 8]);
        assert_eq!(of(&again), of(&slices));
        let revisions = |slices: &[Arc<TimedSlice>]| slices.iter().map(|slice| slice.revision).sum::<u32>();
        assert_eq!(revisions(&again), 23);
        // The third finds blocks that have been asked for together before; the minute that a window begins does not matter.
        let together = asked(window(35, 24 * 60));
        assert_eq!(hours_of(&together), [23]);
        assert_eq!((of(&together), revisions(&together)), (of(&slices), 23));
    }

    #[test]
    fn hours_are_not_taken_together_over_minutes_between_them() {
        let sums = BlockSums::new(1 << 30);
        let mut slices: Vec<_> = (1..4).map(|number| hour(number, 0..3000)).collect();
        slices.extend((240..300).map(|minute| minutes(minute, 1, 0..300)));
        slices.extend((5..8).map(|number| hour(number, 0..3000)));
        let asked = || sums.condensed(LAYER, &utc(), window(60, 480), slices.clone());
        for _ in 0..2 {
            assert_eq!(of(&asked()), of(&slices));
        }
        let again = asked();
        let lengths: Vec<i64> = again.iter().map(|slice| slice.span.seconds() / 60).collect();
        assert_eq!(lengths, [180, 32, 28, 180]);
        assert_eq!(of(&again), of(&slices));
    }

    #[test]
    fn minutes_are_summed_within_their_hour() {
        let sums = BlockSums::new(1 << 30);
        let slices: Vec<_> = (34..94).map(|minute| minutes(minute, 1, 0..300)).collect();
        let asked = || sums.condensed(LAYER, &utc(), window(34, 94), slices.clone());
        assert_eq!(asked().len(), 60);
        let again = asked();
        let lengths: Vec<i64> = again.iter().map(|slice| slice.span.seconds() / 60).collect();
        assert_eq!(lengths, [2, 4, 8, 12, 32, 2]);
        assert_eq!(of(&again), of(&slices));
    }

    #[test]
    fn a_late_event_makes_another_sum() {
        let sums = BlockSums::new(1 << 30);
        let mut slices: Vec<_> = (0..8).map(|number| hour(number, 0..3000)).collect();
        let asked = |slices: &[_]| sums.condensed(LAYER, &utc(), window(0, 480), slices.to_vec());
        asked(&slices);
        assert_eq!(asked(&slices).len(), 1);
        slices[5] = hour(5, 0..4000);
        assert_eq!(of(&asked(&slices)), of(&slices));
        let again = asked(&slices);
        assert_eq!((again.len(), of(&again)), (1, of(&slices)));
    }

    #[test]
    fn bytes_are_bounded_and_hours_that_share_no_cell_are_left_alone() {
        let of_a_block = 3000 * 40;
        let sums = BlockSums::new(of_a_block * 20);
        for block in 0..100 {
            let slices: Vec<_> = (0..8).map(|number| hour(block * 8 + number, 0..3000)).collect();
            for _ in 0..2 {
                sums.condensed(
                    LAYER,
                    &utc(),
                    window(block * 480, block * 480 + 480),
                    slices.clone(),
                );
            }
            assert!(sums.known().bytes <= of_a_block * 20);
        }
        assert!(sums.known().bytes >= of_a_block * 10);
        let apart: Vec<_> = (0..8)
            .map(|number| hour(number, number as u64 * 3000..number as u64 * 3000 + 3000))
            .collect();
        for _ in 0..3 {
            assert_eq!(
                sums.condensed(LAYER, &utc(), window(0, 480), apart.clone()).len(),
                8
            );
        }
    }

    proptest! {
        #[test]
        fn condensed_slices_hold_the_same(
            zone in prop::sample::select(vec![chrono_tz::UTC, chrono_tz::Asia::Kolkata, chrono_tz::Europe::Berlin]),
            // 2026-03-29, when clocks change in Berlin, and the days beside it.
            hours in prop::collection::vec((0..72_i64, 0..200_u64, 2000..2600_u64), 1..60),
            runs_of_minutes in prop::collection::vec((0..72 * 60_i64, 1..90_i64), 0..4),
            windows in prop::collection::vec((0..72 * 60_i64, 0..72 * 60_i64), 1..4),
        ) {
            let calendar = Calendar::new(HOUR / 60, zone);
            let first_day = 1_774_656_000_000_000 / DAY * 24;
            let shift = if zone == chrono_tz::Asia::Kolkata { 30 } else { 0 };
            let mut all: Vec<_> = hours
                .iter()
                .map(|(number, from, to)| minutes((first_day + number) * 60 + shift, 60, *from..*to))
                .chain(runs_of_minutes.iter().flat_map(|(from, length)| {
                    (*from..from + length).map(|minute| minutes(first_day * 60 + minute, 1, 0..50))
                }))
                .collect();
            all.sort_by_key(|slice| slice.span);
            let sums = BlockSums::new(1 << 30);
            for (a, b) in windows.iter().flat_map(|window| [window; 3]) {
                let asked = window(first_day * 60 + a.min(b), first_day * 60 + a.max(b));
                let inside: Vec<_> = all
                    .iter()
                    .filter(|slice| asked.start <= slice.span.start && slice.span.end <= asked.end)
                    .cloned()
                    .collect();
                let condensed = sums.condensed(LAYER, &calendar, asked, inside.clone());
                prop_assert_eq!(of(&condensed), of(&inside));
                prop_assert!(condensed.len() <= inside.len());
            }
        }
    }
}
