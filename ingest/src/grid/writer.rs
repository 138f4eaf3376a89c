//! The only writer of the grid, and the readers' door.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use h3o::Resolution;

use super::partition::{GridSettings, Partition, PartitionId};
use super::snapshot::{DomainClock, GridSnapshot, PartitionView, Version};
use crate::layer::LayerTable;
use crate::time::EventTime;

/// Owns every partition's state. Readers hold a [`GridReader`] and never wait for it.
///
/// `ArcSwap` rather than a lock: a request may keep a snapshot for as long as its query runs, and must not stall
/// ingest meanwhile. The price is an age of at most the publication interval.
#[derive(Debug)]
pub struct GridWriter {
    settings: GridSettings,
    resolution: Resolution,
    layers: Arc<LayerTable>,
    partitions: BTreeMap<PartitionId, Partition>,
    /// When each partition was last heard from, for `complete_to`.
    heard: BTreeMap<PartitionId, EventTime>,
    complete_to: BTreeMap<Arc<str>, EventTime>,
    published: Arc<ArcSwap<GridSnapshot>>,
    idle_after: i64,
}

/// Takes snapshots.
#[derive(Clone, Debug)]
pub struct GridReader(Arc<ArcSwap<GridSnapshot>>);

impl GridReader {
    /// One consistent state. Take it once per request: two calls may see two different moments.
    pub fn snapshot(&self) -> Arc<GridSnapshot> {
        self.0.load_full()
    }
}

impl GridWriter {
    /// An empty grid. A partition not heard from for `idle_after` microseconds does not hold `complete_to` back.
    pub fn new(settings: GridSettings, resolution: Resolution, layers: LayerTable, idle_after: i64) -> Self {
        let layers = Arc::new(layers);
        let empty = GridSnapshot::empty(Arc::clone(&layers), settings.calendar, resolution);
        Self {
            settings,
            resolution,
            layers,
            partitions: BTreeMap::new(),
            heard: BTreeMap::new(),
            complete_to: BTreeMap::new(),
            published: Arc::new(ArcSwap::from_pointee(empty)),
            idle_after,
        }
    }

    /// A door for readers.
    pub fn reader(&self) -> GridReader {
        GridReader(Arc::clone(&self.published))
    }

    /// The settings of new partitions.
    pub const fn settings(&self) -> &GridSettings {
        &self.settings
    }

    /// All layers known.
    pub const fn layers(&self) -> &Arc<LayerTable> {
        &self.layers
    }

    /// Replaces the layer table by one that holds more.
    pub fn set_layers(&mut self, layers: Arc<LayerTable>) {
        self.layers = layers;
    }

    /// The state of a partition, empty when it is new.
    pub fn partition(&mut self, id: &PartitionId, domain: &Arc<str>) -> &mut Partition {
        self.partitions
            .entry(id.clone())
            .or_insert_with(|| Partition::new(id.clone(), Arc::clone(domain), self.settings, 0))
    }

    /// Puts in a partition that a checkpoint gave.
    pub fn insert(&mut self, partition: Partition) {
        self.partitions.insert(partition.id.clone(), partition);
    }

    /// All partitions.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.values()
    }

    /// All partitions, to change them.
    pub fn partitions_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.partitions.values_mut()
    }

    /// Notes that records of this partition came at `now` (wall clock).
    pub fn heard_from(&mut self, id: &PartitionId, now: EventTime) {
        match self.heard.get_mut(id) {
            Some(heard) => *heard = now,
            None => {
                self.heard.insert(id.clone(), now);
            }
        }
    }

    /// Lets readers see the present state.
    pub fn publish(&mut self, now: EventTime) -> Arc<GridSnapshot> {
        let calendar = self.settings.calendar;
        let views: Vec<PartitionView> = self
            .partitions
            .values_mut()
            .map(|partition| partition.view(&calendar))
            .collect();
        let domains = self.domain_clocks(&views, now);
        let previous = self.published.load();
        let places =
            |views: &[PartitionView]| -> Vec<u64> { views.iter().map(|view| view.sensor_places).collect() };
        let sensor_tree = if places(&previous.partitions) == places(&views) {
            Arc::clone(&previous.sensor_tree)
        } else {
            Arc::new(OnceLock::new())
        };
        let snapshot = Arc::new(GridSnapshot {
            version: version_of(&views),
            layers: Arc::clone(&self.layers),
            partitions: views,
            domains,
            calendar,
            resolution: self.resolution,
            sensor_tree,
        });
        self.published.store(Arc::clone(&snapshot));
        snapshot
    }

    /// `complete_to` is the least watermark of the partitions heard from lately; if none, the end of the newest
    /// bucket; it never goes back.
    fn domain_clocks(&mut self, views: &[PartitionView], now: EventTime) -> Vec<DomainClock> {
        let mut domains: BTreeMap<Arc<str>, (Option<EventTime>, Option<EventTime>)> = BTreeMap::new();
        for view in views {
            let (least, newest) = domains.entry(Arc::clone(&view.domain)).or_default();
            *newest = (*newest).max(view.newest);
            let is_active = self
                .heard
                .get(&view.id)
                .is_some_and(|heard| now.since(*heard) < self.idle_after);
            if let (true, Some(watermark)) = (is_active, view.watermark) {
                *least = Some(least.map_or(watermark, |least| least.min(watermark)));
            }
        }
        let bucket = self.settings.calendar.bucket();
        let clocks = domains.into_iter().map(|(domain, (least, newest))| {
            let newest_bucket_end = newest.map(|newest| newest.floor(bucket).plus(bucket));
            let before = self.complete_to.get(&domain).copied();
            let complete_to = before.max(least.or(newest_bucket_end));
            if let Some(time) = complete_to {
                self.complete_to.insert(Arc::clone(&domain), time);
            }
            DomainClock {
                domain,
                complete_to,
                newest_bucket_end,
            }
        });
        clocks.collect()
    }
}

fn version_of(views: &[PartitionView]) -> Version {
    let mut bytes = Vec::with_capacity(views.len() * 48);
    for view in views {
        bytes.extend_from_slice(view.id.topic.as_bytes());
        bytes.extend_from_slice(&view.id.partition.to_le_bytes());
        bytes.extend_from_slice(&view.next_offset.to_le_bytes());
        bytes.extend_from_slice(&view.sequence.to_le_bytes());
    }
    Version(twox_hash::XxHash3_64::oneshot(&bytes))
}
