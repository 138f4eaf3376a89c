//! Encoded hexagons, kept per tile: the geometry of a tile never changes, only its numbers do.

use std::ops::Range;
use std::sync::Arc;

use h3o::{CellIndex, Resolution};
use moka::sync::Cache;

use super::geometry::HexagonEncoder;
use super::tile_id::TileId;

/// Encoded hexagons of the tiles that were asked for, bounded by bytes: what was not used for long is dropped first, and
/// made again when it is asked for. Shared by all layers, metrics and snapshots.
#[derive(Clone, Debug)]
pub struct GeometryCache {
    tiles: Cache<(TileId, Resolution), Arc<TileGeometry>>,
}

/// The encoded hexagons of one tile, of the cells that were looked for so far.
#[derive(Debug, Default)]
pub(crate) struct TileGeometry {
    /// Ascending.
    cells: Vec<u64>,
    /// Where the bytes of each cell end; those of a cell that does not meet the tile are empty.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl GeometryCache {
    /// A cache of at most `max_bytes`, about 40 bytes a hexagon. With 0 nothing is kept.
    pub fn new(max_bytes: u64) -> Self {
        let weight = |_: &(TileId, Resolution), tile: &Arc<TileGeometry>| {
            u32::try_from(tile.size_in_bytes()).unwrap_or(u32::MAX)
        };
        Self {
            tiles: Cache::builder().max_capacity(max_bytes).weigher(weight).build(),
        }
    }

    /// Bytes kept now, to within the work that the cache puts off.
    pub fn size_in_bytes(&self) -> u64 {
        self.tiles.weighted_size()
    }

    /// The tile's hexagons, `wanted` (ascending) among them.
    pub(crate) fn hexagons(
        &self,
        tile: TileId,
        resolution: Resolution,
        wanted: impl Iterator<Item = u64>,
    ) -> Arc<TileGeometry> {
        let known = self.tiles.get(&(tile, resolution)).unwrap_or_default();
        let missing = known.missing(wanted);
        if missing.is_empty() {
            return known;
        }
        // Two requests may add to the same tile at once; the later one stays, and what it lacks is made again.
        let extended = Arc::new(known.with(&missing, tile));
        self.tiles.insert((tile, resolution), Arc::clone(&extended));
        extended
    }
}

impl TileGeometry {
    fn size_in_bytes(&self) -> usize {
        size_of::<Self>()
            + self.cells.len() * size_of::<u64>()
            + self.ends.len() * size_of::<u32>()
            + self.bytes.len()
    }

    /// Each cell with its bytes, in order.
    fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let ranges = starts.zip(&self.ends).map(|(start, end)| Range {
            start: *start as usize,
            end: *end as usize,
        });
        self.cells
            .iter()
            .copied()
            .zip(ranges.map(|range| self.bytes.get(range).unwrap_or_default()))
    }

    /// Those of `wanted` (ascending, all of them here) that meet the tile, each with its bytes.
    pub(crate) fn meeting<T>(&self, wanted: impl Iterator<Item = (u64, T)>) -> Vec<(T, &[u8])> {
        let mut known = self.iter();
        wanted
            .filter_map(|(cell, item)| {
                let (_, bytes) = known.find(|(at, _)| *at == cell)?;
                (!bytes.is_empty()).then_some((item, bytes))
            })
            .collect()
    }

    fn missing(&self, wanted: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut known = self.cells.iter().copied().peekable();
        wanted
            .filter(|cell| {
                while known.next_if(|at| at < cell).is_some() {}
                known.next_if_eq(cell).is_none()
            })
            .collect()
    }

    /// These hexagons and those of `missing` (ascending, none of them here yet).
    fn with(&self, missing: &[u64], tile: TileId) -> Self {
        let cells_after = self.cells.len() + missing.len();
        let mut all = Self {
            cells: Vec::with_capacity(cells_after),
            ends: Vec::with_capacity(cells_after),
            bytes: Vec::with_capacity(self.bytes.len() + 32 * missing.len()),
        };
        let mut encoder = HexagonEncoder::default();
        let mut missing = missing.iter().copied().peekable();
        for (cell, bytes) in self.iter() {
            while let Some(before) = missing.next_if(|before| *before < cell) {
                all.push_new(before, tile, &mut encoder);
            }
            all.bytes.extend_from_slice(bytes);
            all.end(cell);
        }
        for cell in missing {
            all.push_new(cell, tile, &mut encoder);
        }
        all.bytes.shrink_to_fit();
        all
    }

    fn push_new(&mut self, cell: u64, tile: TileId, encoder: &mut HexagonEncoder) {
        if let Ok(index) = CellIndex::try_from(cell) {
            encoder.append(index, tile, &mut self.bytes);
        }
        self.end(cell);
    }

    fn end(&mut self, cell: u64) {
        self.cells.push(cell);
        self.ends
            .push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(k: u32) -> Vec<u64> {
        let centre = CellIndex::try_from(0x0892_8308_283b_ffff).expect("valid");
        let mut cells: Vec<u64> = centre.grid_disk::<Vec<_>>(k).into_iter().map(u64::from).collect();
        cells.sort_unstable();
        cells
    }

    fn shown(geometry: &TileGeometry, cells: &[u64]) -> Vec<(u64, Vec<u8>)> {
        let meeting = geometry.meeting(cells.iter().map(|cell| (*cell, *cell)));
        meeting
            .into_iter()
            .map(|(cell, bytes)| (cell, bytes.to_vec()))
            .collect()
    }

    #[test]
    fn piece_by_piece_is_the_same_as_at_once() {
        let tile = TileId::new(9, 81, 197).expect("inside");
        let all = disk(5);
        let at_once = GeometryCache::new(1 << 20).hexagons(tile, Resolution::Nine, all.iter().copied());
        let cache = GeometryCache::new(1 << 20);
        for start in 0..7 {
            let some = all.iter().copied().skip(start).step_by(7);
            let geometry = cache.hexagons(tile, Resolution::Nine, some.clone());
            let some: Vec<u64> = some.collect();
            assert_eq!(shown(&geometry, &some), shown(&at_once, &some));
        }
        let in_pieces = cache.hexagons(tile, Resolution::Nine, all.iter().copied());
        assert_eq!(shown(&in_pieces, &all), shown(&at_once, &all));
        assert_eq!(shown(&in_pieces, &all).len(), all.len());
    }

    #[test]
    fn what_is_known_is_not_made_again() {
        let cache = GeometryCache::new(1 << 20);
        let tile = TileId::new(9, 81, 197).expect("inside");
        let first = cache.hexagons(tile, Resolution::Nine, disk(3).into_iter());
        let second = cache.hexagons(tile, Resolution::Nine, disk(2).into_iter());
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn stays_within_its_bytes() {
        let cache = GeometryCache::new(20_000);
        for x in 0..200 {
            let tile = TileId::new(9, x, 197).expect("inside");
            cache.hexagons(tile, Resolution::Nine, disk(4).into_iter());
        }
        cache.tiles.run_pending_tasks();
        assert!(cache.size_in_bytes() <= 20_000);
        let nothing_kept = GeometryCache::new(0);
        let tile = TileId::new(9, 81, 197).expect("inside");
        let geometry = nothing_kept.hexagons(tile, Resolution::Nine, disk(1).into_iter());
        assert_eq!(shown(&geometry, &disk(1)).len(), 7);
    }
}
