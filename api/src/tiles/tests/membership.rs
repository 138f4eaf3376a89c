//! A hexagon is in exactly the tiles that it meets, and drawn there validly.

use h3o::{CellIndex, LatLng, Resolution};
use proptest::prelude::*;

use super::super::read_tile::{Layer, read_tile};
use super::super::ring::tests::assert_valid_exterior;
use super::super::{GeometryCache, TileId, TileSet};
use super::*;

type Place = (f64, f64);

fn layer_of(values: CellValues, tile: TileId) -> Option<Layer> {
    let tiles = TileSet::new("noise", "sum", values).expect("valid");
    let tile = tiles.tile(tile.z(), tile.x(), tile.y(), &GeometryCache::new(1 << 20))?;
    Some(read_tile(&tile.bytes))
}

/// The outline straight from the definition of the map, for cells that are not at its edges.
fn outline_by_definition(cell: CellIndex) -> Vec<Place> {
    let mut ring: Vec<Place> = Vec::new();
    for corner in cell.boundary().iter() {
        let mut x = (corner.lng() + 180.0) / 360.0;
        let y = 0.5 - corner.lat_radians().tan().asinh() / std::f64::consts::TAU;
        if let Some((first, _)) = ring.first() {
            x += f64::from(i8::from(first - x > 0.5)) - f64::from(i8::from(x - first > 0.5));
        }
        ring.push((x, y));
    }
    ring
}

fn is_right_of((ax, ay): Place, (bx, by): Place, (cx, cy): Place) -> bool {
    (bx - ax) * (cy - ay) > (by - ay) * (cx - ax)
}

fn ring_edges(ring: &[Place]) -> Vec<(Place, Place)> {
    ring.iter()
        .copied()
        .zip(ring.iter().copied().cycle().skip(1))
        .collect()
}

fn is_within(ring: &[Place], (x, y): Place) -> bool {
    let crossings = ring_edges(ring)
        .into_iter()
        .filter(|((ax, ay), (bx, by))| (*ay > y) != (*by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax);
    crossings.count() % 2 == 1
}

/// Whether the polygon and the tile's square overlap: a corner of one in the other, or edges that cross.
fn meets_by_brute_force(ring: &[Place], tile: TileId) -> bool {
    let across = f64::from(1_u32 << tile.z());
    let (west, north) = (f64::from(tile.x()) / across, f64::from(tile.y()) / across);
    let (east, south) = (west + 1.0 / across, north + 1.0 / across);
    let square = [(west, north), (east, north), (east, south), (west, south)];
    [-1.0, 0.0, 1.0].into_iter().any(|lap| {
        let ring: Vec<Place> = ring.iter().map(|(x, y)| (x + lap, *y)).collect();
        ring.iter()
            .any(|(x, y)| west < *x && *x < east && north < *y && *y < south)
            || square.iter().any(|corner| is_within(&ring, *corner))
            || ring_edges(&ring).into_iter().any(|(a, b)| {
                ring_edges(&square).into_iter().any(|(c, d)| {
                    is_right_of(a, b, c) != is_right_of(a, b, d)
                        && is_right_of(c, d, a) != is_right_of(c, d, b)
                })
            })
    })
}

fn assert_drawn_validly(layer: &Layer) {
    assert_eq!(
        (layer.version, layer.extent, layer.name.as_str()),
        (2, 4096, "noise")
    );
    for feature in &layer.features {
        assert!(!feature.rings.is_empty());
        for ring in &feature.rings {
            assert_valid_exterior(ring);
            assert!(
                ring.iter()
                    .all(|(x, y)| (-64..=4160).contains(x) && (-64..=4160).contains(y)),
                "{ring:?}"
            );
            let meets_the_square = |of: fn(&(i32, i32)) -> i32| {
                ring.iter().map(of).min().is_some_and(|min| min <= 4096)
                    && ring.iter().map(of).max().is_some_and(|max| max >= 0)
            };
            assert!(
                meets_the_square(|corner| corner.0) && meets_the_square(|corner| corner.1),
                "{ring:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_hexagon_is_in_exactly_the_tiles_that_it_meets(
        lat in -84.0..84.0_f64,
        lng in prop_oneof![-180.0..180.0_f64, 179.9..180.0_f64, -180.0..-179.9_f64],
        number in 1..=15_u8,
        z in 0..=14_u8,
    ) {
        let cell = cell_at(lat, lng, number);
        let ring = outline_by_definition(cell);
        // Cells at the map's edge are held there, which the definition above does not know.
        prop_assume!(ring.iter().all(|(_, y)| (0.0..=1.0).contains(y)));
        for tile in tiles_around(tile_at(lat, lng, z), 3) {
            let layer = layer_of(numbered([cell], number), tile);
            prop_assert_eq!(layer.is_some(), meets_by_brute_force(&ring, tile), "{} in {:?}", cell, tile);
            if let Some(layer) = layer {
                assert_drawn_validly(&layer);
            }
        }
    }

    #[test]
    fn all_is_drawn_validly_everywhere((lat, lng) in places(), number in 0..=15_u8, z in 0..=14_u8) {
        let cells = cell_at(lat, lng, number).grid_disk::<Vec<_>>(3);
        let layer = layer_of(numbered(cells, number), tile_at(lat, lng, z)).expect("the place's own cell");
        assert_drawn_validly(&layer);
    }
}

#[test]
fn a_hexagon_that_only_meets_the_buffer_is_not_in_the_tile() {
    // 0.3 km east of the meridian that is the border of these tiles: in the buffer (1.2 km at zoom 9), not in the tile.
    let cell = cell_at(10.0, 0.004, 11);
    let east = tile_at(10.0, 0.004, 9);
    let west = TileId::new(9, east.x() - 1, east.y()).expect("inside");
    assert!(layer_of(numbered([cell], 11), east).is_some());
    assert!(layer_of(numbered([cell], 11), west).is_none());
}

#[test]
fn a_hexagon_over_the_antimeridian_is_drawn_on_both_sides() {
    let cell = cell_at(-17.0, 180.0, 3);
    let world = layer_of(numbered([cell], 3), TileId::new(0, 0, 0).expect("inside")).expect("a tile");
    assert_eq!(world.features.len(), 1);
    assert_eq!(world.features[0].rings.len(), 2);
    let west = TileId::new(5, 0, 17).expect("inside");
    let east = TileId::new(5, 31, 17).expect("inside");
    for tile in [west, east] {
        let layer = layer_of(numbered([cell], 3), tile).expect("a tile");
        assert_eq!(layer.features[0].rings.len(), 1);
    }
}

#[test]
fn tiny_hexagons_are_visible_from_afar() {
    let cells = cell_at(22.5, 114.0, 15).grid_disk::<Vec<_>>(2);
    let layer = layer_of(numbered(cells, 15), TileId::new(0, 0, 0).expect("inside")).expect("a tile");
    assert_eq!(layer.features.len(), 19);
    assert_drawn_validly(&layer);
}

#[test]
fn pentagons_are_drawn_with_their_five_sides() {
    for cell in Resolution::Five.pentagons() {
        let centre = LatLng::from(cell);
        let layer = layer_of(numbered([cell], 5), tile_at(centre.lat(), centre.lng(), 8)).expect("a tile");
        assert_drawn_validly(&layer);
        assert!(layer.features[0].rings[0].len() >= 5);
    }
}

#[test]
fn the_cell_over_a_pole_is_along_the_edge_of_the_map() {
    for (lat, row) in [(90.0, 0), (-90.0, 31)] {
        for x in [0, 7, 31] {
            let tile = TileId::new(5, x, row).expect("inside");
            let layer = layer_of(numbered([cell_at(lat, 0.0, 6)], 6), tile).expect("a tile");
            assert_drawn_validly(&layer);
        }
    }
}
