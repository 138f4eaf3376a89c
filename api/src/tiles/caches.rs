//! What tiles keep between requests: summed windows, outlines, and where a layer has anything.

use std::sync::Arc;
use std::time::Duration;

use h3o::Resolution;
use moka::sync::Cache;
use riskgrid_analytics::permission::{Class, Permission};
use riskgrid_ingest::edge::Bounds;
use riskgrid_ingest::grid::{GridSnapshot, Metric, Span, Version};
use riskgrid_ingest::{LIVE_DOMAIN, LayerIndex, ValueScale};
use twox_hash::XxHash3_128;

use riskgrid_analytics::risk::Surface;

use super::risk::{CLASS_NAMES, RiskMetric, values};
use super::{CellValues, Extent, GeometryCache, InvalidCellValues, Revision, TileSet};

/// Bytes of hexagon outlines that are kept encoded.
const GEOMETRY_BYTES: u64 = 128 << 20;
/// Summed windows that are kept: those of the newest states of the grid that maps ask for.
const SETS: u64 = 64;
/// Revisions that are kept: a number each.
const REVISIONS: u64 = 1024;

#[derive(Clone, PartialEq, Eq, Hash)]
struct SetKey {
    version: Version,
    class: Class,
    layer: LayerIndex,
    metric: Metric,
    window: Span,
    resolution: Resolution,
}

/// A metric of the surface of this number.
#[derive(Clone, PartialEq, Eq, Hash)]
struct RiskKey {
    surface: u64,
    class: Class,
    layer: String,
    metric: RiskMetric,
    resolution: Resolution,
}

/// What tiles keep between requests.
pub struct TileCaches {
    geometry: GeometryCache,
    sets: Cache<SetKey, Arc<TileSet>>,
    risks: Cache<RiskKey, Arc<TileSet>>,
    revisions: Cache<SetKey, Revision>,
    /// Where events may be, by the configuration.
    places: Option<Bounds>,
    /// Where all that was kept of a layer is, by who sees it and how many events had been counted then.
    kept: Cache<(Class, LayerIndex, u64), Option<Extent>>,
}

impl TileCaches {
    /// Empty ones. `places` is where events may be.
    pub fn new(places: Option<Bounds>) -> Self {
        Self {
            places,
            kept: Cache::new(SETS),
            geometry: GeometryCache::new(GEOMETRY_BYTES),
            sets: Cache::builder()
                .max_capacity(SETS)
                .time_to_idle(Duration::from_mins(1))
                .build(),
            risks: Cache::builder()
                .max_capacity(SETS)
                .time_to_idle(Duration::from_mins(1))
                .build(),
            revisions: Cache::builder()
                .max_capacity(REVISIONS)
                .time_to_idle(Duration::from_mins(1))
                .build(),
        }
    }

    /// The outlines.
    pub(crate) fn geometry(&self) -> &GeometryCache {
        &self.geometry
    }

    /// What the tiles of a layer can show, whatever window is asked for, now and for as long as a map keeps the document:
    /// of live layers, wherever events may be; of historic ones, what is kept of them. `None` is the whole map.
    pub(crate) fn bounds(
        &self,
        snapshot: &GridSnapshot,
        seen: &Permission,
        index: LayerIndex,
    ) -> Option<Extent> {
        let is_live = snapshot.layers.get(index)?.domain == LIVE_DOMAIN;
        if is_live {
            let allowed = Extent::around(&self.places?, snapshot.resolution);
            // Events of before the bounds were set are kept: looked at once, for no more of them come.
            let key = (seen.class(), index, u64::MAX);
            let kept = self.kept.get_with(key, || all_kept(snapshot, seen, index));
            return Some(kept.map_or(allowed, |kept| kept.with(allowed)));
        }
        let count = snapshot.totals_within(index, seen.cells())?.count;
        let key = (seen.class(), index, count);
        self.kept.get_with(key, || all_kept(snapshot, seen, index))
    }

    /// A layer's risk by cell, as far as it is seen, once per surface of a number; `None` where the layer is not on what is seen,
    /// which is made only where it is not known yet.
    ///
    /// # Errors
    /// The numbers make no tiles: a defect.
    pub(crate) fn risk(
        &self,
        (number, class): (u64, Class),
        seen: impl FnOnce() -> Arc<Surface>,
        layer: &str,
        metric: RiskMetric,
        resolution: Resolution,
    ) -> Result<Option<Arc<TileSet>>, InvalidCellValues> {
        let key = RiskKey {
            surface: number,
            class,
            layer: layer.to_owned(),
            metric,
            resolution,
        };
        if let Some(set) = self.risks.get(&key) {
            return Ok(Some(set));
        }
        let Some(values) = values(&seen(), layer, metric, resolution) else {
            return Ok(None);
        };
        let mut set = TileSet::new(layer, metric.as_str(), values)?;
        if metric == RiskMetric::Class {
            set = set.in_words(&CLASS_NAMES);
        }
        let set = Arc::new(set);
        self.risks.insert(key, Arc::clone(&set));
        Ok(Some(set))
    }

    /// A layer's window summed by cell, as far as it is seen, once per state of the grid.
    ///
    /// # Errors
    /// The sums make no tiles: a defect.
    pub(crate) fn set(
        &self,
        (snapshot, seen): (&GridSnapshot, &Permission),
        layer: LayerIndex,
        metric: Metric,
        window: Span,
        resolution: Resolution,
    ) -> Result<Arc<TileSet>, Arc<InvalidCellValues>> {
        let key = SetKey {
            version: snapshot.version,
            class: seen.class(),
            layer,
            metric,
            window,
            resolution,
        };
        self.sets
            .try_get_with(key.clone(), || sum(snapshot, seen, &key).map(Arc::new))
    }
}

impl TileCaches {
    /// The revision of a metric of a layer in a window, as far as it is seen: of the numbers that all its tiles are made of.
    pub(crate) fn revision(
        &self,
        (snapshot, seen): (&GridSnapshot, &Permission),
        layer: LayerIndex,
        metric: Metric,
        window: Span,
    ) -> Revision {
        let key = SetKey {
            version: snapshot.version,
            class: seen.class(),
            layer,
            metric,
            window,
            resolution: snapshot.resolution,
        };
        self.revisions.get_with(key, || {
            let sums = snapshot.sum_within(layer, window, snapshot.resolution, seen.cells());
            let mut bytes = Vec::with_capacity(64 + 32 * sums.len());
            bytes.extend_from_slice(metric.as_str().as_bytes());
            bytes.push(0);
            for micros in [window.start.micros(), window.end.micros()] {
                bytes.extend_from_slice(&micros.to_be_bytes());
            }
            let (cells, counts) = (sums.cells(), sums.count());
            let values = sums.metric(metric, ValueScale::ONE);
            for ((cell, count), value) in cells.iter().zip(counts.iter()).zip(values) {
                bytes.extend_from_slice(&cell.to_be_bytes());
                bytes.extend_from_slice(&count.to_be_bytes());
                bytes.extend_from_slice(&value.to_bits().to_be_bytes());
            }
            // Of several cells together more can be said than from what is said of each.
            if metric == Metric::Sources {
                for sources in &sums.sources() {
                    bytes.extend_from_slice(&sources.to_be_bytes());
                }
            }
            Revision(XxHash3_128::oneshot(&bytes))
        })
    }
}

/// Where hexagons are of all that is kept of the layer.
fn all_kept(snapshot: &GridSnapshot, seen: &Permission, index: LayerIndex) -> Option<Extent> {
    let totals = snapshot.totals_within(index, seen.cells())?;
    let span = snapshot.snap(index, totals.first_time, totals.last_time.plus(1));
    let sums = snapshot.sum_within(index, span, snapshot.resolution, seen.cells());
    Extent::of_all_zooms(sums.cells(), snapshot.resolution)
}

fn sum(snapshot: &GridSnapshot, seen: &Permission, key: &SetKey) -> Result<TileSet, InvalidCellValues> {
    let sums = snapshot.sum_within(key.layer, key.window, key.resolution, seen.cells());
    let (id, scale) = snapshot
        .layers
        .get(key.layer)
        .map_or((String::new(), ValueScale::ONE), |layer| {
            (layer.id.clone(), layer.scale())
        });
    let values = CellValues {
        resolution: u8::from(key.resolution),
        cells: sums.cells().to_vec(),
        counts: sums.count().to_vec(),
        values: sums.metric(key.metric, scale),
        metric_is_integer: key.metric.is_whole(),
    };
    TileSet::new(&id, key.metric.as_str(), values)
}
