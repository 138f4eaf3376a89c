//! Lets readers see what the writers of the partitions made.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use h3o::Resolution;

use super::block_sums::BlockSums;
use super::calendar::Calendar;
use super::snapshot::{DomainClock, GridSnapshot, PartitionView, Version};
use super::visible_totals::VisibleTotals;
use crate::places::Places;
use crate::words::{EventTime, LayerTable};

/// What readers may see of a partition, and when its source was last heard from, if it was.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its state.
    pub view: PartitionView,
    /// For `complete_to`: a source that says nothing for long holds nobody up.
    pub heard: Option<Instant>,
}

/// Makes one snapshot of all partitions. Readers hold a [`GridReader`] and never wait for it.
///
/// `ArcSwap` rather than a lock: a request may keep a snapshot for as long as its query runs, and must not stall
/// ingest meanwhile. The price is an age of at most the publication interval.
#[derive(Debug)]
pub struct GridPublisher {
    calendar: Calendar,
    resolution: Resolution,
    complete_to: BTreeMap<Arc<str>, EventTime>,
    places: Arc<Places>,
    published: Arc<ArcSwap<GridSnapshot>>,
    idle_after: i64,
}

/// Takes snapshots.
#[derive(Clone, Debug)]
pub struct GridReader(Arc<ArcSwap<GridSnapshot>>);

impl GridReader {
    /// One immutable state, in which each partition is as it was at one moment. Take it once per request: two calls may see two different moments.
    pub fn snapshot(&self) -> Arc<GridSnapshot> {
        self.0.load_full()
    }
}

impl GridPublisher {
    /// An empty grid. A partition not heard from for `idle_after` microseconds does not hold `complete_to` back.
    pub fn new(calendar: Calendar, resolution: Resolution, layers: Arc<LayerTable>, idle_after: i64) -> Self {
        let empty = GridSnapshot::empty(layers, calendar, resolution);
        Self {
            calendar,
            resolution,
            complete_to: BTreeMap::new(),
            places: Arc::default(),
            published: Arc::new(ArcSwap::from_pointee(empty)),
            idle_after,
        }
    }

    /// The same, whose snapshots bear these reference layers.
    #[must_use]
    pub fn with_places(mut self, places: Arc<Places>) -> Self {
        self.places = places;
        self.begin(Arc::clone(&self.published.load().block_sums));
        self
    }

    /// The same, whose snapshots keep at most so many bytes of sums that windows asked for.
    #[must_use]
    pub fn with_block_sums(self, most_bytes: usize) -> Self {
        self.begin(Arc::new(BlockSums::new(most_bytes)));
        self
    }

    /// Lets readers see a grid without partitions.
    fn begin(&self, block_sums: Arc<BlockSums>) {
        let layers = Arc::clone(&self.published.load().layers);
        self.published.store(Arc::new(GridSnapshot {
            places: Arc::clone(&self.places),
            block_sums,
            ..GridSnapshot::empty(layers, self.calendar, self.resolution)
        }));
    }

    /// The reference layers of its snapshots.
    pub const fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// A door for readers.
    pub fn reader(&self) -> GridReader {
        GridReader(Arc::clone(&self.published))
    }

    /// Lets readers see these partitions, which are all that there are; `layers` knows every layer in them.
    pub fn publish(
        &mut self,
        mut partitions: Vec<Heard>,
        layers: Arc<LayerTable>,
        now: Instant,
    ) -> Arc<GridSnapshot> {
        partitions.sort_by(|a, b| a.view.id.cmp(&b.view.id));
        let domains = self.domain_clocks(&partitions, now);
        let views: Vec<PartitionView> = partitions.into_iter().map(|partition| partition.view).collect();
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
            layers,
            partitions: views,
            domains,
            calendar: self.calendar,
            resolution: self.resolution,
            places: Arc::clone(&self.places),
            sensor_tree,
            block_sums: Arc::clone(&previous.block_sums),
            visible_totals: VisibleTotals::default(),
        });
        self.published.store(Arc::clone(&snapshot));
        snapshot
    }

    /// `complete_to` is the least watermark of the partitions heard from lately; if none, the end of the newest
    /// bucket; it never goes back.
    fn domain_clocks(&mut self, partitions: &[Heard], now: Instant) -> Vec<DomainClock> {
        let mut domains: BTreeMap<Arc<str>, (Option<EventTime>, Option<EventTime>)> = BTreeMap::new();
        for Heard { view, heard } in partitions {
            let (least, newest) = domains.entry(Arc::clone(&view.domain)).or_default();
            *newest = (*newest).max(view.newest);
            let is_active = heard.is_some_and(|heard| {
                let silent = now.saturating_duration_since(heard).as_micros();
                i64::try_from(silent).unwrap_or(i64::MAX) < self.idle_after
            });
            if let (true, Some(watermark)) = (is_active, view.watermark) {
                *least = Some(least.map_or(watermark, |least| least.min(watermark)));
            }
        }
        let bucket = self.calendar.bucket();
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
