//! Which slices answer for a span of time: those of the finest step kept, or the coarsest that fit.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use h3o::{CellIndex, Resolution};

use super::calendar::{Calendar, Span, Step};
use super::layer_slices::{Cutoffs, LayerView, TimedSlice};
use super::partition::LayerTotals;
use super::slice::Slice;
use super::slice_start::{SliceStart, StartsWithin};
use super::snapshot::{GridSnapshot, PartitionView};
use super::window_sum::WindowSum;
use crate::cells::{ALL_CELLS, CellSet, children_range};
use crate::threads::on_threads;
use crate::words::{EventTime, LayerIndex, LayerKind, PartitionId};

/// Rows that are worth a thread of their own when they are summed.
const ROWS_OF_A_THREAD: usize = 32_768;

/// The slices, of all partitions, that together hold one layer's events of one span.
#[derive(Clone, Debug)]
pub struct SpanSlices {
    /// What they cover.
    pub span: Span,
    /// At least one. Several where partitions share the span, or where one has not rolled it up yet.
    pub parts: Vec<Arc<TimedSlice>>,
}

impl SpanSlices {
    /// How often late events changed them.
    pub fn revision(&self) -> u32 {
        self.parts.iter().map(|part| part.revision).sum()
    }

    /// Their rows before they are merged.
    pub fn rows(&self) -> usize {
        self.parts.iter().map(|part| part.slice.len()).sum()
    }

    /// One row a cell; `kind` is that of the layer.
    pub fn merged(&self, kind: LayerKind) -> Slice {
        Slice::merge(kind, self.parts.iter().map(|part| &part.slice))
    }
}

/// A slice of one partition.
#[derive(Clone, Debug)]
pub struct PartitionSlice {
    /// Whose.
    pub partition: PartitionId,
    /// The bucket that its events count in: that of the finest step that all partitions keep there.
    pub bucket: Span,
    /// The slice; it may cover a part of the bucket.
    pub slice: Arc<TimedSlice>,
}

impl GridSnapshot {
    /// From when on every partition that has `layer` keeps its hours.
    pub fn hours_kept_from(&self, layer: LayerIndex) -> EventTime {
        self.floors(layer)[Step::Hour.index()]
    }

    /// From when on every partition that has `layer` keeps its days: nothing is known of what is before.
    pub fn days_kept_from(&self, layer: LayerIndex) -> EventTime {
        self.floors(layer)[Step::Day.index()]
    }

    /// From when on `layer` is kept in each step by every partition that has it.
    fn floors(&self, layer: LayerIndex) -> [EventTime; 3] {
        let mut floors = Cutoffs::default().0;
        for partition in self
            .partitions
            .iter()
            .filter(|partition| partition.layers.contains_key(&layer))
        {
            for (floor, cutoff) in floors.iter_mut().zip(partition.cutoffs.0) {
                *floor = (*floor).max(cutoff);
            }
        }
        floors
    }

    /// The span at `time` of the finest step that every partition still keeps there.
    fn finest_span(&self, floors: &[EventTime; 3], time: EventTime) -> Span {
        self.calendar.span(finest_step(floors, time), time)
    }

    /// `[start, end)` snapped outward to the finest step kept at its ends.
    pub fn snap(&self, layer: LayerIndex, start: EventTime, end: EventTime) -> Span {
        let floors = self.floors(layer);
        let last = self.finest_span(&floors, end);
        Span {
            start: self.finest_span(&floors, start).start,
            end: if last.start == end { end } else { last.end },
        }
    }

    /// Where the slices start, at the finest step kept, that hold the layer's first and its last event.
    fn own_starts(&self, floors: &[EventTime; 3], totals: &LayerTotals) -> StartsWithin {
        let start_of = |event: EventTime| SliceStart::of(self.finest_span(floors, event));
        StartsWithin {
            first: start_of(totals.first_time),
            last: start_of(totals.last_time),
        }
    }

    /// What the slices of `layer` cover that start within `starts`, at the finest step kept; `None` where that is
    /// nothing. No wider than the slices that hold its events in `cells`.
    pub fn covered(&self, layer: LayerIndex, starts: StartsWithin, cells: &CellSet) -> Option<Span> {
        let totals = self.totals_within(layer, cells)?;
        let floors = self.floors(layer);
        let starts = starts.and(self.own_starts(&floors, &totals));
        if starts.is_empty() {
            return None;
        }
        let first = starts.first.moment();
        let at_first = self.finest_span(&floors, first);
        let start = if at_first.start < first {
            at_first.end
        } else {
            first
        };
        let end = self.finest_span(&floors, starts.last.moment()).end;
        (start < end).then_some(Span { start, end })
    }

    /// The slices of `layer` that start within `starts`, ascending, at the finest step kept: each event is in exactly one.
    pub fn slices(&self, layer: LayerIndex, starts: StartsWithin) -> Vec<SpanSlices> {
        let mut found: BTreeMap<EventTime, SpanSlices> = BTreeMap::new();
        for part in self.slices_of_partitions(layer, starts) {
            let entry = found.entry(part.bucket.start).or_insert_with(|| SpanSlices {
                span: part.bucket,
                parts: Vec::new(),
            });
            entry.parts.push(part.slice);
        }
        found.into_values().collect()
    }

    /// The same slices, each with its partition, in the order of partitions.
    pub fn slices_of_partitions(&self, layer: LayerIndex, starts: StartsWithin) -> Vec<PartitionSlice> {
        let Some(totals) = self.totals(layer) else {
            return Vec::new();
        };
        let floors = self.floors(layer);
        // Nothing lies outside the layer's slices; and the ends of time are no times that a calendar knows.
        let starts = starts.and(self.own_starts(&floors, &totals));
        if starts.is_empty() {
            return Vec::new();
        }
        // A slice that is finer than the span it is taken for may lie before the window's start, or after its end.
        let day = |start: SliceStart| self.calendar.span(Step::Day, start.moment());
        let days = day(starts.first).start..day(starts.last).end;
        let mut found = Vec::new();
        for partition in &self.partitions {
            let Some((view, _)) = partition.layers.get(&layer) else {
                continue;
            };
            for (own_step, slices) in by_step(view) {
                for slice in slices.range(days.clone()).map(|(_, slice)| slice) {
                    let step = finest_step(&floors, slice.span.start);
                    let wanted = self.calendar.span(step, slice.span.start);
                    // A partition keeps its past at several steps; take each of its events once: what is at the wanted
                    // step, or finer where the wanted span is not rolled up there.
                    let is_outside = !starts.holds(wanted) || wanted.start < floors[Step::Day.index()];
                    if !is_outside && own_step == step_within(partition, &self.calendar, step, wanted, slice)
                    {
                        found.push(PartitionSlice {
                            partition: partition.id.clone(),
                            bucket: wanted,
                            slice: Arc::clone(slice),
                        });
                    }
                }
            }
        }
        found
    }

    /// The coarsest slices of `layer` that cover a span (snapped, see [`snap`](Self::snap)) and nothing else.
    pub fn covering(&self, layer: LayerIndex, span: Span) -> Vec<Arc<TimedSlice>> {
        // A day that a partition has no more is not told from what the others have of it.
        let span = Span {
            start: span.start.max(self.floors(layer)[Step::Day.index()]),
            end: span.end,
        };
        let views = self
            .partitions
            .iter()
            .filter_map(|partition| Some((partition, &partition.layers.get(&layer)?.0)));
        let covers = views.flat_map(|(partition, view)| cover(view, partition, &self.calendar, span));
        covers.map(Arc::clone).collect()
    }

    /// Slices that hold together what `slices` hold, which cover `span`: sums in the place of several, where windows ask for
    /// the same hours again and again.
    pub fn condensed(
        &self,
        layer: LayerIndex,
        span: Span,
        slices: Vec<Arc<TimedSlice>>,
    ) -> Vec<Arc<TimedSlice>> {
        self.block_sums.condensed(layer, &self.calendar, span, slices)
    }

    /// The sum of `layer` over a span (snapped, see [`snap`](Self::snap)), by cell of `resolution` (at most the
    /// grid's). Costs what the coarsest slices cost that cover the span.
    pub fn sum(&self, layer: LayerIndex, span: Span, resolution: Resolution) -> WindowSum {
        self.sum_within(layer, span, resolution, &CellSet::all())
    }

    /// [`sum`](Self::sum) of these cells of the grid alone: a coarser cell holds what is of them.
    pub fn sum_within(
        &self,
        layer: LayerIndex,
        span: Span,
        resolution: Resolution,
        cells: &CellSet,
    ) -> WindowSum {
        let slices = self.condensed(layer, span, self.covering(layer, span));
        self.sum_of(layer, &slices, cells, resolution)
    }

    /// [`sum_within`](Self::sum_within) in parts, by cells: what `take` makes of each, in order. Large ones are made on up to
    /// `threads` threads.
    pub fn sum_in_parts<T: Send>(
        &self,
        layer: LayerIndex,
        span: Span,
        (resolution, cells): (Resolution, &CellSet),
        threads: NonZeroUsize,
        take: impl Fn(&WindowSum) -> T + Sync,
    ) -> Vec<T> {
        let slices = self.condensed(layer, span, self.covering(layer, span));
        on_threads(shares_of_cells(&slices, cells, threads, resolution), |share| {
            take(&self.sum_of(layer, &slices, &cells.and(&share.into()), resolution))
        })
    }

    fn sum_of(
        &self,
        layer: LayerIndex,
        slices: &[Arc<TimedSlice>],
        cells: &CellSet,
        resolution: Resolution,
    ) -> WindowSum {
        let kind = self
            .layers
            .get(layer)
            .map_or(LayerKind::Report, |layer| layer.kind);
        let coarser = (resolution < self.resolution).then_some(resolution);
        WindowSum::of(kind, slices.iter().map(|slice| &slice.slice), cells, coarser)
    }
}

/// Ranges of cells, ascending, that together hold all: at most `most`, each of about as many of the rows that `slices` have of
/// `cells`, and enough to be worth a thread. The children of one cell of `resolution` are in the same range. Rows of other
/// cells do not matter.
pub fn shares_of_cells(
    slices: &[Arc<TimedSlice>],
    cells: &CellSet,
    most: NonZeroUsize,
    resolution: Resolution,
) -> Vec<Range<u64>> {
    let rows_of = |part: &TimedSlice| cells.count_in(&part.slice.cells);
    let rows: usize = slices.iter().map(|part| rows_of(part)).sum();
    let shares = (rows / ROWS_OF_A_THREAD).clamp(1, most.get());
    let mut start = ALL_CELLS.start;
    let mut ranges = Vec::with_capacity(shares);
    // The largest slice tells where there are how many cells.
    let largest = slices
        .iter()
        .max_by_key(|part| rows_of(part))
        .filter(|_| shares > 1);
    for share in 1..shares {
        let cut = largest.and_then(|largest| {
            let of_cells = &largest.slice.cells;
            let row = nth_row(cells, of_cells, share * rows_of(largest) / shares)?;
            let cell = CellIndex::try_from(*of_cells.get(row)?).ok()?;
            let parent = cell.parent(resolution.min(cell.resolution()))?;
            Some(children_range(parent, cell.resolution()).start)
        });
        if let Some(cut) = cut.filter(|cut| *cut > start) {
            ranges.push(start..cut);
            start = cut;
        }
    }
    ranges.push(start..ALL_CELLS.end);
    ranges
}

/// Where in `rows`, which ascend, the one is that has `number` of `cells` before it.
fn nth_row(cells: &CellSet, rows: &[u64], number: usize) -> Option<usize> {
    let mut left = number;
    for run in cells.rows_in(rows) {
        if left < run.len() {
            return Some(run.start + left);
        }
        left -= run.len();
    }
    None
}

/// The finest step that every partition still keeps at `time`.
fn finest_step(floors: &[EventTime; 3], time: EventTime) -> Step {
    if time >= floors[Step::Bucket.index()] {
        Step::Bucket
    } else if time >= floors[Step::Hour.index()] {
        Step::Hour
    } else {
        Step::Day
    }
}

/// The slices of each step; the open buckets are of the step of buckets.
fn by_step(view: &LayerView) -> impl Iterator<Item = (Step, &BTreeMap<EventTime, Arc<TimedSlice>>)> {
    let sealed = Step::ALL.into_iter().zip(&view.steps);
    sealed
        .chain([(Step::Bucket, &view.open)])
        .map(|(step, slices)| (step, &**slices))
}

/// The step at which the partition holds, once, the events of `slice` for the span `wanted` of `step` that it lies in:
/// that step, or the coarsest below it where the span is not rolled up yet.
fn step_within(
    partition: &PartitionView,
    calendar: &Calendar,
    step: Step,
    wanted: Span,
    slice: &TimedSlice,
) -> Step {
    match step {
        Step::Hour | Step::Day if wanted.end <= partition.sealed_to => step,
        Step::Bucket | Step::Hour => Step::Bucket,
        Step::Day => {
            let hour = calendar.span(Step::Hour, slice.span.start);
            if hour.end <= partition.sealed_to {
                Step::Hour
            } else {
                Step::Bucket
            }
        }
    }
}

/// The coarsest slices of one partition that cover `span` and nothing else.
fn cover<'a>(
    view: &'a LayerView,
    partition: &PartitionView,
    calendar: &Calendar,
    span: Span,
) -> Vec<&'a Arc<TimedSlice>> {
    let mut found = Vec::new();
    let mut time = span.start;
    'walk: while time < span.end {
        for step in [Step::Day, Step::Hour] {
            let whole = calendar.span(step, time);
            if whole.start == time && whole.end <= span.end && whole.end <= partition.sealed_to {
                found.extend(view.steps[step.index()].get(&time));
                time = whole.end;
                continue 'walk;
            }
        }
        // Inside an hour that is not whole or not closed: its buckets, up to where the hour or the span ends.
        let end = calendar.span(Step::Hour, time).end.min(span.end);
        for buckets in [&view.steps[Step::Bucket.index()], &view.open] {
            found.extend(buckets.range(time..end).map(|(_, slice)| slice));
        }
        time = end;
        // Past everything that is there: nothing can follow.
        if partition.newest.is_none_or(|newest| time > newest) {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::aggregate::CellAggregate;

    /// Slices of so many cells that they are worth three threads.
    fn slices() -> Vec<Arc<TimedSlice>> {
        let centre = CellIndex::try_from(0x0894_11ca_1b67_ffff).unwrap();
        let mut cells: Vec<u64> = centre
            .grid_disk::<Vec<_>>(170)
            .into_iter()
            .map(u64::from)
            .collect();
        cells.sort_unstable();
        let of_every = |step: usize| {
            let rows = cells.iter().step_by(step).map(|cell| {
                let aggregate = CellAggregate {
                    count: cell % 5 + 1,
                    ..CellAggregate::default()
                };
                (*cell, aggregate)
            });
            let span = Span {
                start: EventTime::from_micros(0),
                end: EventTime::from_micros(60_000_000),
            };
            Arc::new(TimedSlice {
                span,
                revision: 0,
                slice: Slice::from_sorted(LayerKind::Report, &rows.collect::<Vec<_>>()),
            })
        };
        vec![of_every(3), of_every(1)]
    }

    #[test]
    fn shares_of_cells_hold_each_cell_once_and_keep_families_together() {
        let slices = slices();
        let sum = |cells: Range<u64>, coarser: Option<Resolution>| {
            let slices = slices.iter().map(|slice| &slice.slice);
            let sum = WindowSum::of(LayerKind::Report, slices, &cells.into(), coarser);
            (sum.cells().to_vec(), sum.count().to_vec())
        };
        for (resolution, coarser) in [
            (Resolution::Nine, None),
            (Resolution::Seven, Some(Resolution::Seven)),
            (Resolution::Zero, Some(Resolution::Zero)),
        ] {
            for (threads, expected) in [(1, 1), (2, 2), (7, 3)] {
                let threads = NonZeroUsize::new(threads).unwrap();
                let shares = shares_of_cells(&slices, &CellSet::all(), threads, resolution);
                if resolution == Resolution::Zero {
                    assert!(shares.len() <= expected);
                } else {
                    assert_eq!(shares.len(), expected);
                }
                let (cells, counts): (Vec<_>, Vec<_>) =
                    shares.into_iter().map(|share| sum(share, coarser)).unzip();
                assert_eq!((cells.concat(), counts.concat()), sum(ALL_CELLS, coarser));
            }
        }
    }
}
