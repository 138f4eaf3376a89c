//! What the tiles promise, checked from outside: on decoded bytes, against brute force.

mod conservation;
mod foreign_reader;
mod membership;
mod parts;
mod tags;

use h3o::{CellIndex, LatLng, Resolution};
use proptest::prelude::*;

use super::outline::project;
use super::{CellValues, TileId};

fn resolution(number: u8) -> Resolution {
    Resolution::try_from(number).expect("in range")
}

pub(super) fn cell_at(lat: f64, lng: f64, number: u8) -> CellIndex {
    LatLng::new(lat, lng).expect("finite").to_cell(resolution(number))
}

/// Places where maps go wrong are drawn as often as all others.
pub(super) fn places() -> impl Strategy<Value = (f64, f64)> {
    (
        prop_oneof![-90.0..90.0_f64, 84.0..90.0_f64, -90.0..-84.0_f64, -1.0..1.0_f64],
        prop_oneof![
            -180.0..180.0_f64,
            179.5..180.0_f64,
            -180.0..-179.5_f64,
            -1.0..1.0_f64
        ],
    )
}

fn tile_at(lat: f64, lng: f64, z: u8) -> TileId {
    let place = project(LatLng::new(lat, lng).expect("finite"));
    let across = f64::from(1_u32 << z);
    let along = |share: f64| (share * across).clamp(0.0, across - 1.0) as u32;
    TileId::new(z, along(place.x), along(place.y)).expect("inside")
}

/// The tiles around one, itself among them, over the antimeridian too.
fn tiles_around(tile: TileId, rings: i64) -> Vec<TileId> {
    let across = 1_i64 << tile.z();
    let mut tiles = Vec::new();
    for dy in -rings..=rings {
        for dx in -rings..=rings {
            let x = (i64::from(tile.x()) + dx).rem_euclid(across) as u32;
            if let Ok(y) = u32::try_from(i64::from(tile.y()) + dy) {
                tiles.extend(TileId::new(tile.z(), x, y));
            }
        }
    }
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}

/// Numbers that differ from cell to cell.
fn numbered(cells: impl IntoIterator<Item = CellIndex>, number: u8) -> CellValues {
    let mut cells: Vec<u64> = cells.into_iter().map(u64::from).collect();
    cells.sort_unstable();
    cells.dedup();
    CellValues {
        resolution: number,
        counts: (0..cells.len() as u64).map(|i| i * i % 97 + 1).collect(),
        values: (0..cells.len()).map(|i| i as f64 * 0.37 - 5.0).collect(),
        cells,
        metric_is_integer: false,
    }
}
