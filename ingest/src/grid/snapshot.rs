//! What readers see: one immutable state of the whole grid.
//!
//! Aggregates of different partitions merge when they are read, so that no counter spans partitions. A reader takes a
//! snapshot once per request: two calls may see two different moments.

use std::sync::{Arc, OnceLock};

use h3o::Resolution;
use hashbrown::HashMap;
use rstar::primitives::GeomWithData;
use rstar::{AABB, RTree};

use super::block_sums::{self, BlockSums};
use super::calendar::Calendar;
use super::entities::{Report, ResponseUnit, Sensor};
use super::entity_key::EntityKey;
use super::entity_table::EntityTable;
use super::event_log::EventBatch;
use super::layer_slices::{Cutoffs, LayerView};
use super::partition::{EventCounts, Forgotten, GivenUp, LayerTotals};
use super::visible_totals::VisibleTotals;
use crate::places::Places;
use crate::words::{Bounds, EventTime, LayerIndex, LayerTable, PartitionId};

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
    /// Newest clock time of an accepted event.
    pub newest: Option<EventTime>,
    /// Newest less the allowed lateness.
    pub watermark: Option<EventTime>,
    /// Buckets that end by here are sealed.
    pub sealed_to: EventTime,
    /// From when on each step is kept.
    pub cutoffs: Cutoffs,
    /// Bytes of its aggregates, open ones included.
    pub slice_bytes: usize,
    /// What a byte budget has taken of it.
    pub given_up: GivenUp,
    /// Sensors and units that were too many.
    pub forgotten: Forgotten,
    /// Bytes of its raw events.
    pub event_bytes: usize,
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
    /// Sums of hours and minutes that windows asked for; shared by all snapshots.
    pub(crate) block_sums: Arc<BlockSums>,
    /// What was asked of some cells only.
    pub(crate) visible_totals: VisibleTotals,
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
            block_sums: Arc::new(BlockSums::new(block_sums::DEFAULT_BYTES)),
            visible_totals: VisibleTotals::default(),
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
                    if let Some(other) = partition.sensors.get((&point.data).into()) {
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
