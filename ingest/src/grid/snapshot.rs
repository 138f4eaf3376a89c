//! What readers see: one immutable state of the whole grid.
//!
//! Aggregates of different partitions merge when they are read, so that no counter spans partitions. A reader takes a
//! snapshot once per request: two calls may see two different moments.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use h3o::Resolution;
use hashbrown::HashMap;
use rstar::primitives::GeomWithData;
use rstar::{AABB, RTree};

use super::aggregate::CellAggregate;
use super::calendar::{Calendar, Span, Step};
use super::entities::{EntityKey, EntityTable, Report, ResponseUnit, Sensor};
use super::event_log::EventBatch;
use super::layer_slices::{Cutoffs, LayerView, TimedSlice};
use super::partition::{EventCounts, GivenUp, LayerTotals, PartitionId};
use super::slice::{CellMap, Slice};
use crate::edge::Bounds;
use crate::layer::{LayerIndex, LayerTable};
use crate::places::Places;
use crate::time::EventTime;

/// An opaque name of one state of the whole grid; compared for equality only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// One partition as of a snapshot.
#[derive(Clone, Debug)]
pub struct PartitionView {
    /// Which.
    pub id: PartitionId,
    /// Its clock domain.
    pub domain: Arc<str>,
    /// The next offset it will read.
    pub next_offset: i64,
    /// Newest accepted event time.
    pub newest: Option<EventTime>,
    /// Newest less the allowed lateness.
    pub watermark: Option<EventTime>,
    /// Buckets that end by here are sealed.
    pub sealed_to: EventTime,
    /// From when on each step is kept.
    pub cutoffs: Cutoffs,
    /// Bytes of its sealed slices.
    pub slice_bytes: usize,
    /// What a byte budget has taken of it.
    pub given_up: GivenUp,
    /// Slices and totals by layer.
    pub layers: Arc<HashMap<LayerIndex, (LayerView, LayerTotals)>>,
    /// Newest readings.
    pub sensors: EntityTable<Sensor>,
    /// Grows when a sensor is new or moved.
    pub sensor_places: u64,
    /// Reports.
    pub reports: EntityTable<Report>,
    /// Response units.
    pub units: EntityTable<ResponseUnit>,
    /// Raw events of the window kept.
    pub events: Vec<Arc<EventBatch>>,
    /// Accounting since the partition's beginning.
    pub counts: EventCounts,
    /// Bytes of hashes kept for de-duplication.
    pub dedup_bytes: usize,
    pub(crate) sequence: u64,
}

/// What a clock domain knows of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainClock {
    /// Its name; `live`, or a historic feed's.
    pub domain: Arc<str>,
    /// Event time up to which it is taken to be complete; `None` before its first event.
    pub complete_to: Option<EventTime>,
    /// End of the bucket of its newest event.
    pub newest_bucket_end: Option<EventTime>,
}

/// The aggregates of one layer over one span, all partitions merged: one row per cell.
#[derive(Clone, Debug)]
pub struct LayerSlice {
    /// What it covers.
    pub span: Span,
    /// How often late events changed it, over all partitions.
    pub revision: u32,
    /// Its cells.
    pub slice: Slice,
}

type SensorTree = RTree<GeomWithData<[f64; 2], EntityKey>>;

/// One state of the whole grid.
#[derive(Debug)]
pub struct GridSnapshot {
    /// Its name.
    pub version: Version,
    /// All layers known.
    pub layers: Arc<LayerTable>,
    /// All partitions.
    pub partitions: Vec<PartitionView>,
    /// Clock domains, by name.
    pub domains: Vec<DomainClock>,
    /// Buckets, hours, days.
    pub calendar: Calendar,
    /// Resolution of the cells.
    pub resolution: Resolution,
    /// Areas, facilities and people; the same in every snapshot of a process.
    pub places: Arc<Places>,
    /// Sensors by place; made when first asked for, and shared between snapshots while no sensor moves.
    pub(crate) sensor_tree: Arc<OnceLock<SensorTree>>,
}

impl GridSnapshot {
    /// The state before any event.
    pub fn empty(layers: Arc<LayerTable>, calendar: Calendar, resolution: Resolution) -> Self {
        Self {
            version: Version(0),
            layers,
            partitions: Vec::new(),
            domains: Vec::new(),
            calendar,
            resolution,
            places: Arc::default(),
            sensor_tree: Arc::default(),
        }
    }

    /// The clock of a domain, if any of its events came.
    pub fn domain(&self, name: &str) -> Option<&DomainClock> {
        self.domains.iter().find(|clock| &*clock.domain == name)
    }

    /// The clock of a layer's domain.
    pub fn clock_of(&self, layer: LayerIndex) -> Option<&DomainClock> {
        self.domain(&self.layers.get(layer)?.domain)
    }

    /// The earliest `complete_to` of all domains: what an answer over everything is complete to.
    pub fn complete_to(&self) -> Option<EventTime> {
        self.domains.iter().filter_map(|clock| clock.complete_to).min()
    }

    /// Count, first and last time of a layer over all partitions.
    pub fn totals(&self, layer: LayerIndex) -> Option<LayerTotals> {
        let all = self
            .partitions
            .iter()
            .filter_map(|partition| partition.layers.get(&layer))
            .map(|(_, totals)| *totals);
        all.reduce(|a, b| LayerTotals {
            count: a.count + b.count,
            first_time: a.first_time.min(b.first_time),
            last_time: a.last_time.max(b.last_time),
        })
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

    /// The finest step that every partition still keeps at `time`.
    fn finest_step(floors: &[EventTime; 3], time: EventTime) -> Step {
        if time >= floors[0] {
            Step::Bucket
        } else if time >= floors[1] {
            Step::Hour
        } else {
            Step::Day
        }
    }

    /// `[start, end)` snapped outward to the finest step kept at its ends.
    pub fn snap(&self, layer: LayerIndex, start: EventTime, end: EventTime) -> Span {
        let floors = self.floors(layer);
        let span_at = |time| self.calendar.span(Self::finest_step(&floors, time), time);
        let last = span_at(end);
        Span {
            start: span_at(start).start,
            end: if last.start == end { end } else { last.end },
        }
    }

    /// The slices of `layer` whose span meets `time`, ascending, at the finest step kept: each event is in exactly one.
    pub fn slices(&self, layer: LayerIndex, time: Range<EventTime>) -> Vec<LayerSlice> {
        let floors = self.floors(layer);
        let mut parts: BTreeMap<EventTime, Vec<Arc<TimedSlice>>> = BTreeMap::new();
        for partition in &self.partitions {
            let Some((view, _)) = partition.layers.get(&layer) else {
                continue;
            };
            for slice in every_slice(view) {
                let step = Self::finest_step(&floors, slice.span.start);
                let wanted = self.calendar.span(step, slice.span.start);
                // A partition keeps its past at several steps; take each of its events once: what is at the wanted
                // step, or finer where the wanted span is not rolled up there.
                if wanted.end <= time.start || wanted.start >= time.end || wanted.start < floors[2] {
                    continue;
                }
                if is_finest_within(view, partition, &self.calendar, step, wanted, slice) {
                    parts.entry(wanted.start).or_default().push(Arc::clone(slice));
                }
            }
        }
        let Some(kind) = self.layers.get(layer).map(|layer| layer.kind) else {
            return Vec::new();
        };
        let merged = parts.into_iter().map(|(start, slices)| LayerSlice {
            span: self.calendar.span(Self::finest_step(&floors, start), start),
            revision: slices.iter().map(|slice| slice.revision).sum(),
            slice: Slice::merge(kind, slices.iter().map(|slice| &slice.slice)),
        });
        merged.collect()
    }

    /// The sum of `layer` over a span (snapped, see [`snap`](Self::snap)), by cell of `resolution` (at most the
    /// grid's), ascending. Covers the span with the coarsest slices that fit.
    pub fn sum(&self, layer: LayerIndex, span: Span, resolution: Resolution) -> Vec<(u64, CellAggregate)> {
        let mut cells = CellMap::new();
        // A day that a partition has no more is not told from what the others have of it.
        let span = Span {
            start: span.start.max(self.floors(layer)[2]),
            end: span.end,
        };
        let target = (resolution < self.resolution).then_some(resolution);
        for partition in &self.partitions {
            if let Some((view, _)) = partition.layers.get(&layer) {
                for slice in cover(view, partition, &self.calendar, span) {
                    slice.slice.add_to(&mut cells, target);
                }
            }
        }
        let mut rows: Vec<_> = cells.into_iter().collect();
        rows.sort_unstable_by_key(|(cell, _)| *cell);
        rows
    }

    /// The newest reading of every sensor, partitions merged, in no order.
    pub fn sensors(&self) -> Vec<(EntityKey, Sensor)> {
        merged(
            self.partitions.iter().map(|partition| &partition.sensors),
            Sensor::merge,
        )
    }

    /// Every report, partitions merged, in no order.
    pub fn reports(&self) -> Vec<(EntityKey, Report)> {
        merged(
            self.partitions.iter().map(|partition| &partition.reports),
            Report::merge,
        )
    }

    /// Every response unit, partitions merged, in no order.
    pub fn units(&self) -> Vec<(EntityKey, ResponseUnit)> {
        merged(
            self.partitions.iter().map(|partition| &partition.units),
            ResponseUnit::merge,
        )
    }

    /// The sensors inside a box, by the R-tree.
    pub fn sensors_within(&self, bounds: &Bounds) -> Vec<(EntityKey, Sensor)> {
        let tree = self.sensor_tree.get_or_init(|| {
            let placed = self.sensors().into_iter().filter_map(|(key, sensor)| {
                let place = sensor.reading?.value.0;
                Some(GeomWithData::new([place.lon, place.lat], key))
            });
            RTree::bulk_load(placed.collect())
        });
        let [west, south, east, north] = bounds.0;
        let boxes = if west <= east {
            vec![(west, east)]
        } else {
            vec![(west, 180.0), (-180.0, east)]
        };
        let mut found = Vec::new();
        for (west, east) in boxes {
            for point in tree.locate_in_envelope(&AABB::from_corners([west, south], [east, north])) {
                let mut sensor = Sensor::default();
                for partition in &self.partitions {
                    if let Some(other) = partition.sensors.get(&point.data.scope, &point.data.name) {
                        sensor.merge(other);
                    }
                }
                found.push((point.data.clone(), sensor));
            }
        }
        found
    }

    /// Accounting over all partitions.
    pub fn counts(&self) -> EventCounts {
        let mut counts = EventCounts::default();
        for partition in &self.partitions {
            counts.add(&partition.counts);
        }
        counts
    }
}

fn merged<'a, V: Clone + 'a>(
    tables: impl Iterator<Item = &'a EntityTable<V>>,
    merge: impl Fn(&mut V, &V),
) -> Vec<(EntityKey, V)> {
    let mut all: HashMap<EntityKey, V> = HashMap::new();
    for table in tables {
        for (key, value) in table.iter() {
            match all.get_mut(key) {
                Some(known) => merge(known, value),
                None => {
                    all.insert(key.clone(), value.clone());
                }
            }
        }
    }
    all.into_iter().collect()
}

fn every_slice(view: &LayerView) -> impl Iterator<Item = &Arc<TimedSlice>> {
    view.steps
        .iter()
        .chain([&view.open])
        .flat_map(|slices| slices.values())
}

/// Whether `slice`, which lies in the span `wanted` of `step`, is to be taken for it: it is the partition's own slice
/// of that step, or the partition has none and this is the coarsest that it has.
fn is_finest_within(
    view: &LayerView,
    partition: &PartitionView,
    calendar: &Calendar,
    step: Step,
    wanted: Span,
    slice: &TimedSlice,
) -> bool {
    let own_step = step_of(view, slice);
    match step {
        Step::Hour | Step::Day if wanted.end <= partition.sealed_to => own_step == step,
        Step::Bucket | Step::Hour => own_step == Step::Bucket,
        Step::Day => {
            let hour = calendar.span(Step::Hour, slice.span.start);
            if hour.end <= partition.sealed_to {
                own_step == Step::Hour
            } else {
                own_step == Step::Bucket
            }
        }
    }
}

/// Which of the view's maps holds the slice. Spans alone cannot tell: a bucket may be an hour long.
fn step_of(view: &LayerView, slice: &TimedSlice) -> Step {
    for step in [Step::Day, Step::Hour] {
        if let Some(held) = view.steps[step.index()].get(&slice.span.start)
            && std::ptr::eq(&raw const **held, slice)
        {
            return step;
        }
    }
    Step::Bucket
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
