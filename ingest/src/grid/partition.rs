//! The state of one partition: everything that its events made, and nothing borrowed from another partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::aggregate::CellAggregate;
use super::calendar::{Calendar, Step};
use super::dedup::Dedup;
use super::entities::{Report, ResponseUnit, Sensor};
use super::entity_key::KeyRef;
use super::entity_table::EntityTable;
use super::event_log::{EventLog, EventLogLimits};
use super::layer_slices::{Cutoffs, LayerSlices};
use super::snapshot::PartitionView;
use crate::words::{
    Event, EventKind, EventTime, Layer, LayerIndex, LayerKind, LayerTable, PartitionClock, PartitionId,
    RefusalReason,
};

/// How long each step is kept behind the watermark, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Base buckets.
    pub buckets: i64,
    /// Hours.
    pub hours: i64,
    /// Days; also the oldest event that is admitted.
    pub days: i64,
}

/// The settings that shape the grid.
#[derive(Clone, Copy, Debug)]
pub struct GridSettings {
    /// Buckets, hours, days.
    pub calendar: Calendar,
    /// How much older than the newest event one may be before its bucket is sealed, in microseconds.
    pub allowed_lateness: i64,
    /// How long aggregates are kept.
    pub retention: Retention,
    /// How long duplicates can be told, in microseconds of event time.
    pub dedup_horizon: i64,
    /// Bytes of hashes of one partition.
    pub dedup_bytes: usize,
    /// Raw events of one partition.
    pub events: EventLogLimits,
    /// Sensors of one partition, one for each layer that it reads. Of more, those that no event told of for longest are
    /// dropped; so are they where all together take more than 1 KiB each would.
    pub max_sensors: usize,
    /// Reports of one partition, likewise.
    pub max_reports: usize,
    /// Response units of one partition, likewise.
    pub max_units: usize,
}

/// Events of a partition since its beginning: `read = accepted + duplicate + refused`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCounts {
    /// Events decoded or refused.
    pub read: u64,
    /// Counted, or applied to an entity.
    pub accepted: u64,
    /// Known already.
    pub duplicate: u64,
    /// Refused, by reason.
    pub refused: BTreeMap<RefusalReason, u64>,
}

impl EventCounts {
    /// Refused for one reason.
    pub fn refused_for(&self, reason: RefusalReason) -> u64 {
        self.refused.get(&reason).copied().unwrap_or(0)
    }

    /// Refused for any reason.
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Adds another partition's counts.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        for (reason, count) in &other.refused {
            *self.refused.entry(*reason).or_default() += count;
        }
    }
}

/// What a layer's events of one partition span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerTotals {
    /// Events accepted that count.
    pub count: u64,
    /// Earliest event time.
    pub first_time: EventTime,
    /// Latest event time.
    pub last_time: EventTime,
}

/// What was dropped before its retention ended, because the grid was over its bytes or its reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// From when on each step is kept for that reason.
    pub(crate) floors: Cutoffs,
    /// Slices of buckets, hours and days.
    pub slices: [u64; 3],
    /// Reports, of which there were too many.
    pub reports: u64,
}

/// Entities that were dropped because there were too many; reports are counted in [`GivenUp`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Sensors.
    pub sensors: u64,
    /// Response units.
    pub units: u64,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Counted; `newest_of_sensor` when it is now its sensor's newest reading.
    Accepted {
        /// An observation that is now the newest of its sensor.
        newest_of_sensor: bool,
    },
    /// Known already.
    Duplicate,
}

/// One partition's state. Written by one task.
#[derive(Debug)]
pub struct Partition {
    pub(crate) id: PartitionId,
    pub(crate) domain: Arc<str>,
    pub(super) settings: GridSettings,
    pub(crate) next_offset: i64,
    /// The next number of each queue of replays, by the id of the store that holds it.
    pub(crate) next_replays: BTreeMap<u64, u64>,
    pub(crate) newest: Option<EventTime>,
    /// Buckets that end by here are sealed.
    pub(crate) sealed_to: EventTime,
    /// Where the watermark was when it last passed the end of a bucket.
    swept_to: EventTime,
    pub(crate) layers: HashMap<LayerIndex, (LayerSlices, LayerTotals)>,
    pub(crate) dedup: Dedup,
    pub(crate) sensors: EntityTable<Sensor>,
    /// Grows when a sensor is new or moved: then the R-tree must be made again.
    pub(crate) sensor_places: u64,
    pub(crate) reports: EntityTable<Report>,
    pub(crate) units: EntityTable<ResponseUnit>,
    pub(crate) events: EventLog,
    pub(crate) counts: EventCounts,
    /// What a byte budget has taken.
    pub(crate) given_up: GivenUp,
    /// Entities that were too many.
    pub(crate) forgotten: Forgotten,
    /// The floor of hashes that the log was last told of.
    pub(super) dedup_warned: Option<EventTime>,
    /// Grows with every change: names the state of this partition.
    pub(crate) sequence: u64,
    /// Grows with every state that is taken for a checkpoint. Each change bears the one in which it was made.
    pub(crate) generation: u64,
}

impl Partition {
    /// An empty partition that will read from `next_offset`.
    pub fn new(id: PartitionId, domain: Arc<str>, settings: GridSettings, next_offset: i64) -> Self {
        Self {
            id,
            domain,
            settings,
            next_offset,
            next_replays: BTreeMap::new(),
            newest: None,
            sealed_to: EventTime::from_micros(i64::MIN),
            swept_to: EventTime::from_micros(i64::MIN),
            layers: HashMap::new(),
            dedup: Dedup::new(settings.dedup_bytes),
            sensors: EntityTable::default(),
            sensor_places: 0,
            reports: EntityTable::default(),
            units: EntityTable::default(),
            events: EventLog::new(settings.events),
            counts: EventCounts::default(),
            given_up: GivenUp::default(),
            forgotten: Forgotten::default(),
            dedup_warned: None,
            sequence: 0,
            generation: 1,
        }
    }

    /// What the edge must know of this partition's time.
    pub fn clock(&self) -> PartitionClock {
        let horizon = self.settings.dedup_horizon.min(self.settings.retention.days);
        let by_age = self.newest.map(|newest| newest.plus(-horizon));
        PartitionClock {
            oldest_admitted: by_age.max(self.dedup.floor()),
        }
    }

    /// Newest clock time less the allowed lateness.
    pub fn watermark(&self) -> Option<EventTime> {
        self.newest
            .map(|newest| newest.plus(-self.settings.allowed_lateness))
    }

    /// The next offset to read.
    pub const fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Whether the record at `offset` is not in this state yet: a source that starts again may hand over what is.
    pub const fn expects(&self, offset: i64) -> bool {
        offset >= self.next_offset
    }

    /// Notes that all records below `next_offset` are in this state.
    pub fn advance_to(&mut self, next_offset: i64) {
        self.next_offset = next_offset;
    }

    /// The number of the next replay in the queue of a store.
    pub(crate) fn next_replay(&self, store: u64) -> u64 {
        self.next_replays.get(&store).copied().unwrap_or(0)
    }

    /// Notes that all replays below `next` of a store's queue are in this state.
    pub(crate) fn replayed_to(&mut self, store: u64, next: u64) {
        self.next_replays.insert(store, next);
    }

    /// Which partition this is.
    pub const fn id(&self) -> &PartitionId {
        &self.id
    }

    /// The newest clock time of an accepted event.
    pub const fn newest(&self) -> Option<EventTime> {
        self.newest
    }

    /// Applies an event that passed the edge; its `layer` is set if it has one.
    pub fn apply(&mut self, event: &Event<'_>, layers: &LayerTable) -> Applied {
        self.counts.read += 1;
        self.sequence += 1;
        if !self.dedup.insert(event.time, event.hash) {
            self.counts.duplicate += 1;
            return Applied::Duplicate;
        }
        self.counts.accepted += 1;
        let layer = event
            .layer
            .and_then(|index| layers.get(index))
            .map(|layer| &**layer);
        if let (true, Some(index), Some(layer), Some(position)) =
            (event.counts(), event.layer, layer, event.position)
        {
            let calendar = &self.settings.calendar;
            let bucket = calendar.span(Step::Bucket, event.time);
            let cutoffs = (bucket.end <= self.sealed_to).then(|| self.cutoffs());
            let (slices, totals) = self.layers.entry(index).or_insert_with(|| {
                (
                    LayerSlices::new(layer.kind, self.generation),
                    LayerTotals {
                        count: 0,
                        first_time: event.time,
                        last_time: event.time,
                    },
                )
            });
            totals.count += 1;
            totals.first_time = totals.first_time.min(event.time);
            totals.last_time = totals.last_time.max(event.time);
            let aggregate = CellAggregate::of(event);
            let cell = position.cell.into();
            match cutoffs {
                None => slices.add(bucket.start, cell, &aggregate),
                Some(cutoffs) => {
                    slices.add_late(calendar, self.sealed_to, &cutoffs, event.time, cell, &aggregate);
                }
            }
        }
        let newest_of_sensor = self.apply_to_entity(event, layer);
        self.events.push(event, layer);
        if self.newest.is_none_or(|newest| event.clock > newest) {
            self.newest = Some(event.clock);
            self.advance();
        }
        self.keep_within_limits();
        Applied::Accepted { newest_of_sensor }
    }

    fn apply_to_entity(&mut self, event: &Event<'_>, layer: Option<&Layer>) -> bool {
        match (event.kind, layer) {
            (EventKind::Observation, Some(layer)) => {
                let sensor = self.sensors.entry(KeyRef {
                    scope: &layer.id,
                    name: &event.entity,
                });
                let before = sensor.reading.map(|reading| reading.value.0);
                let newest = sensor.apply(event);
                if before != sensor.reading.map(|reading| reading.value.0) {
                    self.sensor_places += 1;
                }
                newest
            }
            (EventKind::Observation, None) => false,
            (EventKind::Report, layer) => {
                let report = self.reports.entry(KeyRef {
                    scope: &event.source,
                    name: &event.entity,
                });
                report.apply(event, layer.map(|layer| layer.id.as_str()));
                false
            }
            (EventKind::Position, _) => {
                self.units
                    .entry(KeyRef {
                        scope: "",
                        name: &event.entity,
                    })
                    .apply(event);
                false
            }
        }
    }

    /// Counts an event that the edge refused.
    pub fn refuse(&mut self, reason: RefusalReason) {
        self.counts.read += 1;
        self.sequence += 1;
        *self.counts.refused.entry(reason).or_default() += 1;
    }

    /// From when on each step is kept, for what is sealed so far.
    pub(crate) fn cutoffs(&self) -> Cutoffs {
        if self.sealed_to.micros() == i64::MIN {
            return Cutoffs::default();
        }
        let Retention { buckets, hours, days } = self.settings.retention;
        // A coarser step is kept at least as long as a finer one: else a day would be read beside its own minutes.
        let hours = hours.max(buckets);
        let days = days.max(hours);
        let calendar = &self.settings.calendar;
        // Whole hours of buckets and whole days of hours are dropped, so that spans of different steps never overlap.
        let floors = self.given_up.floors.0;
        Cutoffs([
            floors[0].max(calendar.span(Step::Hour, self.sealed_to.plus(-buckets)).start),
            floors[1].max(calendar.span(Step::Day, self.sealed_to.plus(-hours)).start),
            floors[2].max(calendar.span(Step::Day, self.sealed_to.plus(-days)).start),
        ])
    }

    /// What a byte budget has taken.
    pub const fn given_up(&self) -> GivenUp {
        self.given_up
    }

    /// Bytes of the aggregates of all layers: sealed, open, and of late events.
    pub fn slice_bytes(&self) -> usize {
        self.layers.values().map(|(slices, _)| slices.bytes()).sum()
    }

    /// Seals, rolls up and expires when the watermark has passed the end of a bucket.
    fn advance(&mut self) {
        let (Some(watermark), Some(newest)) = (self.watermark(), self.newest) else {
            return;
        };
        let to = watermark.floor(self.settings.calendar.bucket());
        if to <= self.swept_to {
            return;
        }
        self.swept_to = to;
        // What was closed before its time is sealed already.
        if to > self.sealed_to {
            self.seal_to(to);
        }
        self.shrink_dedup();
        self.dedup.settle(newest);
        self.events.expire(newest);
    }

    /// Seals, rolls up and expires what ended by a time.
    pub(super) fn seal_to(&mut self, to: EventTime) {
        let from = self.sealed_to;
        self.sealed_to = to;
        let cutoffs = self.cutoffs();
        for (slices, _) in self.layers.values_mut() {
            slices.advance(&self.settings.calendar, from, to, &cutoffs);
        }
    }

    /// The readers' view. Late events are folded into their slices first.
    pub fn view(&mut self, calendar: &Calendar) -> PartitionView {
        let layers = self
            .layers
            .iter_mut()
            .map(|(index, (slices, totals))| (*index, (slices.view(calendar), *totals)));
        let layers = Arc::new(layers.collect());
        PartitionView {
            id: self.id.clone(),
            domain: Arc::clone(&self.domain),
            next_offset: self.next_offset,
            newest: self.newest,
            watermark: self.watermark(),
            sealed_to: self.sealed_to,
            layers,
            cutoffs: self.cutoffs(),
            sensors: self.sensors.clone(),
            sensor_places: self.sensor_places,
            reports: self.reports.clone(),
            units: self.units.clone(),
            events: self.events.publish(),
            counts: self.counts.clone(),
            dedup_bytes: self.dedup.bytes(),
            slice_bytes: self.slice_bytes(),
            given_up: self.given_up,
            forgotten: self.forgotten,
            event_bytes: self.events.bytes(),
            sequence: self.sequence,
        }
    }

    /// Folds late events into their slices.
    pub(crate) fn settle(&mut self) {
        for (slices, _) in self.layers.values_mut() {
            slices.settle(&self.settings.calendar);
        }
    }

    /// The slices of a layer, for a checkpoint to fill; its totals are set apart.
    pub(crate) fn slices_of(&mut self, index: LayerIndex, kind: LayerKind) -> &mut LayerSlices {
        let none = EventTime::from_micros(0);
        let (slices, _) = self.layers.entry(index).or_insert_with(|| {
            (
                LayerSlices::new(kind, self.generation),
                LayerTotals {
                    count: 0,
                    first_time: none,
                    last_time: none,
                },
            )
        });
        slices
    }

    /// Sets what a layer's events span.
    pub(crate) fn set_totals(&mut self, index: LayerIndex, kind: LayerKind, totals: LayerTotals) {
        let generation = self.generation;
        self.layers
            .entry(index)
            .or_insert_with(|| (LayerSlices::new(kind, generation), totals))
            .1 = totals;
    }

    /// After all files of a checkpoint, whose newest is of a generation: drops what the older ones hold from before the
    /// limits.
    pub(crate) fn restored(&mut self, generation: u64) {
        let cutoffs = self.cutoffs();
        for (slices, _) in self.layers.values_mut() {
            slices.expire(&cutoffs);
        }
        self.shrink_dedup();
        if let Some(newest) = self.newest {
            self.events.expire(newest);
        }
        self.sensor_places = 1;
        self.begin_generation(generation.saturating_add(1));
    }

    /// Changes from now on bear this generation.
    pub(crate) fn begin_generation(&mut self, generation: u64) {
        self.generation = generation;
        for (slices, _) in self.layers.values_mut() {
            slices.begin_generation(generation);
        }
        self.dedup.begin_generation(generation);
        self.events.begin_generation(generation);
        self.sensors.begin_generation(generation);
        self.reports.begin_generation(generation);
        self.units.begin_generation(generation);
    }
}
