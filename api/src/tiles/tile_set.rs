//! All tiles of one metric of one layer in one window: the numbers of a snapshot, and the way from them to bytes.

use std::ops::Range;

use bytes::Bytes;
use h3o::Resolution;

use super::cache::GeometryCache;
use super::encode::LayerWriter;
use super::etag::{ContentHash, ContentHasher};
use super::index::candidates;
use super::tile_id::TileId;
use super::values::{CellValues, InvalidCellValues, Shown};

/// The name of the metric that every feature has.
const COUNT: &str = "count";

/// The tiles of one layer, metric and window at one resolution. Cheap to make: cells are checked, nothing is computed.
#[derive(Clone, Debug)]
pub struct TileSet {
    layer: String,
    metric: String,
    resolution: Resolution,
    values: CellValues,
    /// What the values of the metric are the numbers of, where they are words.
    words: Option<&'static [&'static str]>,
}

/// The numbers of one cell.
#[derive(Clone, Copy)]
struct Row {
    cell: u64,
    count: u64,
    value: f64,
}

/// A tile's bytes, not compressed, and the hash of what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// A Mapbox Vector Tile with one layer.
    pub bytes: Bytes,
    /// Changes exactly when what the tile shows does.
    pub etag: ContentHash,
}

impl TileSet {
    /// Tiles whose layer is named `layer`; each hexagon has `cell`, `count`, and `metric` under its own name.
    ///
    /// # Errors
    /// [`InvalidCellValues`] when the lists differ in length, or are not of distinct H3 cells of the stated resolution.
    pub fn new(layer: &str, metric: &str, values: CellValues) -> Result<Self, InvalidCellValues> {
        let (resolution, values) = values.checked(metric != COUNT)?;
        Ok(Self {
            layer: layer.to_owned(),
            metric: metric.to_owned(),
            resolution,
            values,
            words: None,
        })
    }

    /// The same, of which each value is the number of a word.
    #[must_use]
    pub fn in_words(self, words: &'static [&'static str]) -> Self {
        Self {
            words: Some(words),
            ..self
        }
    }

    /// The resolution of the cells.
    pub const fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// The tile; `None` when no hexagon meets it, or it does not exist.
    pub fn tile(&self, z: u8, x: u32, y: u32, geometry: &GeometryCache) -> Option<Tile> {
        let tile = TileId::new(z, x, y).ok()?;
        self.with_features(tile, geometry, |features| Tile {
            bytes: self.encode(features).into(),
            etag: self.hash(tile, features),
        })
    }

    /// The tile's hash alone, without its bytes: enough to answer 304. `None` as for [`TileSet::tile`].
    pub fn etag(&self, z: u8, x: u32, y: u32, geometry: &GeometryCache) -> Option<ContentHash> {
        let tile = TileId::new(z, x, y).ok()?;
        self.with_features(tile, geometry, |features| self.hash(tile, features))
    }

    fn with_features<T>(
        &self,
        tile: TileId,
        geometry: &GeometryCache,
        read: impl FnOnce(&[(Row, &[u8])]) -> T,
    ) -> Option<T> {
        let ranges = candidates(&self.values.cells, self.resolution, tile);
        if ranges.is_empty() {
            return None;
        }
        let hexagons = geometry.hexagons(tile, self.resolution, self.rows(&ranges).map(|row| row.cell));
        let features = hexagons.meeting(self.rows(&ranges).map(|row| (row.cell, row)));
        (!features.is_empty()).then(|| read(&features))
    }

    fn rows<'a>(&'a self, ranges: &'a [Range<usize>]) -> impl Iterator<Item = Row> + 'a {
        let CellValues {
            cells,
            counts,
            values,
            ..
        } = &self.values;
        ranges.iter().flat_map(move |range| {
            let cells = cells.get(range.clone()).unwrap_or_default();
            let counts = counts.get(range.clone()).unwrap_or_default();
            let values = values.get(range.clone()).unwrap_or_default();
            let rows = cells.iter().zip(counts).zip(values);
            rows.map(|((cell, count), value)| Row {
                cell: *cell,
                count: *count,
                value: *value,
            })
        })
    }

    fn shown(&self, row: Row) -> Option<Shown> {
        let shown = Shown::of(row.value, self.values.metric_is_integer)?;
        match (self.words, shown) {
            (Some(words), Shown::Unsigned(number)) => {
                let text = words.get(number as usize)?;
                Some(Shown::Word { number, text })
            }
            _ => Some(shown),
        }
    }

    fn encode(&self, features: &[(Row, &[u8])]) -> Vec<u8> {
        let metric = Some(self.metric.as_str()).filter(|metric| *metric != COUNT);
        let mut writer = LayerWriter::new(&self.layer, metric, features.len());
        for (row, geometry) in features {
            writer.add(row.cell, row.count, self.shown(*row), geometry);
        }
        writer.finish()
    }

    fn hash(&self, tile: TileId, features: &[(Row, &[u8])]) -> ContentHash {
        let mut hasher = ContentHasher::new(
            &self.layer,
            &self.metric,
            tile,
            self.values.resolution,
            features.len(),
        );
        for (row, _) in features {
            hasher.add(row.cell, row.count, self.shown(*row));
        }
        hasher.finish()
    }
}
