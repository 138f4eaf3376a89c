//! How long a tile of about ten thousand hexagons takes: made for the first time, with its outlines known, and its tag alone.

use h3o::{LatLng, Resolution};
use riskgrid_api::tiles::{CellValues, GeometryCache, TileSet};
use riskgrid_benches::measure;

/// Rings of the disk: 3·58·59 + 1 = 10 267 cells.
const RINGS: u32 = 58;
const ZOOM: u8 = 8;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let centre = LatLng::new(22.53, 113.93)?.to_cell(Resolution::Nine);
    let cells: Vec<u64> = centre
        .grid_disk::<Vec<_>>(RINGS)
        .into_iter()
        .map(u64::from)
        .collect();
    let values = || CellValues {
        resolution: 9,
        counts: cells.iter().map(|cell| cell % 97 + 1).collect(),
        values: cells.iter().map(|cell| (cell % 97 + 1) as f64).collect(),
        cells: cells.clone(),
        metric_is_integer: true,
    };
    let set = TileSet::new("noise", "count", values())?;
    let (x, y) = tile_of(113.93, 22.53);
    let cache = GeometryCache::new(128 << 20);
    let Some(tile) = set.tile(ZOOM, x, y, &cache) else {
        return Err("the tile is empty".into());
    };
    println!("{} cells, a tile of {} bytes", cells.len(), tile.bytes.len());
    let none = |_: std::time::Duration| String::new();
    measure(
        "a set from the cells",
        || TileSet::new("noise", "count", values()).is_ok(),
        none,
    );
    measure(
        "a tile made for the first time",
        || set.tile(ZOOM, x, y, &GeometryCache::new(128 << 20)),
        none,
    );
    measure(
        "a tile, its outlines known",
        || set.tile(ZOOM, x, y, &cache),
        none,
    );
    measure("its tag alone (for a 304)", || set.etag(ZOOM, x, y, &cache), none);
    Ok(())
}

/// The tile that holds a place, in web mercator.
fn tile_of(lon: f64, lat: f64) -> (u32, u32) {
    let tiles = f64::from(1_u32 << ZOOM);
    let radians = lat.to_radians();
    let y = (1.0 - radians.tan().asinh() / std::f64::consts::PI) / 2.0;
    (((lon + 180.0) / 360.0 * tiles) as u32, (y * tiles) as u32)
}
