//! One number everywhere: what the tiles of a zoom show, each cell counted once, is what went in.

use std::collections::BTreeMap;

use h3o::{CellIndex, LatLng, Resolution};
use proptest::prelude::*;

use super::super::read_tile::{Feature, Number, read_tile};
use super::super::{GeometryCache, TileId, TileSet};
use super::*;

/// Every tile of the zoom that a cell's surroundings lie in; whole rows where meridians draw together.
fn tiles_of(cells: &[u64], z: u8) -> Vec<TileId> {
    let across = 1_u32 << z;
    let all = || (0..across).flat_map(move |y| (0..across).map(move |x| TileId::new(z, x, y)));
    if z <= 4 {
        return all().map(|tile| tile.expect("inside")).collect();
    }
    let corners = cells.iter().flat_map(|cell| {
        let cell = CellIndex::try_from(*cell).expect("valid");
        cell.boundary()
            .iter()
            .copied()
            .chain([LatLng::from(cell)])
            .collect::<Vec<_>>()
    });
    let mut tiles: Vec<TileId> = corners
        .flat_map(|corner| tiles_around(tile_at(corner.lat(), corner.lng(), z), 1))
        .collect();
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}

/// The features of all tiles of a zoom by cell; fails when a cell differs from tile to tile.
fn features_by_cell(set: &TileSet, tiles: &[TileId]) -> BTreeMap<String, Feature> {
    let cache = GeometryCache::new(8 << 20);
    let mut by_cell: BTreeMap<String, Feature> = BTreeMap::new();
    for tile in tiles {
        let Some(tile) = set.tile(tile.z(), tile.x(), tile.y(), &cache) else {
            continue;
        };
        for feature in read_tile(&tile.bytes).features {
            let cell = feature.texts["cell"].clone();
            if let Some(before) = by_cell.get(&cell) {
                assert_eq!((before.id, &before.numbers), (feature.id, &feature.numbers));
            } else {
                by_cell.insert(cell, feature);
            }
        }
    }
    by_cell
}

fn assert_same(values: &CellValues, by_cell: &BTreeMap<String, Feature>) {
    assert_eq!(by_cell.len(), values.cells.len());
    for ((cell, count), value) in values.cells.iter().zip(&values.counts).zip(&values.values) {
        let feature = &by_cell[&format!("{cell:x}")];
        assert_eq!(feature.id, cell & 0xF_FFFF_FFFF_FFFF);
        assert_eq!(feature.numbers["count"], Number::Uint(*count));
        assert_eq!(feature.numbers["sum"], Number::Double(*value));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn tiles_of_any_zoom_hold_exactly_what_went_in(
        centres in prop::collection::vec(places(), 1..6), number in 0..=11_u8, z in 0..=14_u8,
    ) {
        let cells = centres.iter().flat_map(|(lat, lng)| cell_at(*lat, *lng, number).grid_disk::<Vec<_>>(2));
        let values = numbered(cells, number);
        // A cell over many tiles need not have a corner in each; it still has one in some.
        let set = TileSet::new("noise", "sum", values.clone()).expect("valid");
        assert_same(&values, &features_by_cell(&set, &tiles_of(&values.cells, z)));
    }
}

#[test]
fn the_whole_earth_is_on_the_map() {
    for (number, z) in [(0, 0), (1, 0), (2, 1), (2, 3)] {
        let every = CellIndex::base_cells().flat_map(|base| base.children(resolution(number)));
        let values = numbered(every, number);
        assert_eq!(
            values.cells.len() as u64,
            Resolution::cell_count(resolution(number))
        );
        let set = TileSet::new("noise", "sum", values.clone()).expect("valid");
        assert_same(&values, &features_by_cell(&set, &tiles_of(&values.cells, z)));
    }
}

#[test]
fn where_the_metric_has_no_value_there_is_none() {
    let cell = cell_at(22.5, 114.0, 7);
    let values = CellValues {
        values: vec![f64::NAN],
        ..numbered([cell], 7)
    };
    let set = TileSet::new("noise", "max", values).expect("valid");
    let tile = set.tile(0, 0, 0, &GeometryCache::new(1 << 20)).expect("a tile");
    let layer = read_tile(&tile.bytes);
    assert_eq!(layer.features[0].numbers.keys().collect::<Vec<_>>(), ["count"]);
}

#[test]
fn whole_metrics_are_whole_numbers() {
    let cell = cell_at(22.5, 114.0, 7);
    let values = CellValues {
        values: vec![12.0],
        metric_is_integer: true,
        ..numbered([cell], 7)
    };
    let set = TileSet::new("noise", "weight", values).expect("valid");
    let tile = set.tile(0, 0, 0, &GeometryCache::new(1 << 20)).expect("a tile");
    assert_eq!(
        read_tile(&tile.bytes).features[0].numbers["weight"],
        Number::Uint(12)
    );
}

#[test]
fn no_hexagon_no_tile() {
    let cache = GeometryCache::new(1 << 20);
    let empty = TileSet::new("noise", "sum", numbered([], 7)).expect("valid");
    assert_eq!(empty.tile(0, 0, 0, &cache), None);
    let elsewhere = TileSet::new("noise", "sum", numbered([cell_at(22.5, 114.0, 7)], 7)).expect("valid");
    assert_eq!(elsewhere.tile(1, 0, 0, &cache), None);
    assert_eq!(elsewhere.tile(1, 2, 0, &cache), None);
    assert_eq!(elsewhere.etag(1, 0, 0, &cache), None);
}
