//! What is drawn of a hexagon in a tile is exactly what of it lies there, in as many parts as that is: against a slow clipper
//! of another's making, which knows any polygon.

use std::f64::consts::TAU;

use geo::{Area, BooleanOps, Coord, LineString, MultiPolygon, Polygon, Rect};
use h3o::CellIndex;
use proptest::prelude::*;

use super::super::read_tile::read_tile;
use super::super::{GeometryCache, TileId, TileSet};
use super::*;

/// Units of a tile, and of the buffer around it.
const EXTENT: f64 = 4096.0;
const BUFFER: f64 = 64.0;
/// Areas of the map that are as good as none.
const SLIVER: f64 = 1e-8;
/// A part with so many times the area of the strip of a unit around it cannot be mistaken for another one.
const LARGE: f64 = 2.0;
/// Latitudes past this are held there, in degrees.
const HIGHEST: f64 = 89.9;

fn rectangle(min: (f64, f64), max: (f64, f64)) -> MultiPolygon<f64> {
    MultiPolygon::new(vec![Rect::new(min, max).to_polygon()])
}

fn polygon(ring: Vec<(f64, f64)>) -> MultiPolygon<f64> {
    MultiPolygon::new(vec![Polygon::new(LineString::from(ring), Vec::new())])
}

/// The cell on the map whose width is 1, by definition: its corners joined by straight lines, `x` running on over the
/// antimeridian; around a pole, all between that line and the pole.
fn outline(cell: CellIndex) -> MultiPolygon<f64> {
    let mut ring: Vec<(f64, f64)> = Vec::new();
    for corner in cell.boundary().iter() {
        let x = (corner.lng() + 180.0) / 360.0;
        let y = 0.5 - corner.lat().clamp(-HIGHEST, HIGHEST).to_radians().tan().asinh() / TAU;
        let before = ring.last().map_or(x, |last| last.0);
        ring.push((x - (x - before).round(), y));
    }
    let (first, last) = (ring[0], ring[ring.len() - 1]);
    let turns = (first.0 - (first.0 - last.0).round()) - first.0;
    if turns.abs() < 0.5 {
        return polygon(ring);
    }
    if turns < 0.0 {
        ring.reverse();
    }
    let far = if first.1 < 0.5 { -2.0 } else { 3.0 };
    let laps = (-3..=3).flat_map(|lap| ring.iter().map(move |(x, y)| (x + f64::from(lap), *y)));
    let mut wave: Vec<(f64, f64)> = laps.collect();
    wave.extend([(wave[wave.len() - 1].0, far), (wave[0].0, far)]);
    polygon(wave).intersection(&rectangle((0.0, -9.0), (1.0, 9.0)))
}

/// What of the cell lies in a box about the tile, in the tile's units.
fn lying_in(cell: CellIndex, tile: TileId, buffer: f64) -> MultiPolygon<f64> {
    let on_map = outline(cell);
    let across = f64::from(1_u32 << tile.z());
    let mut parts = Vec::new();
    for lap in -2..=2 {
        let to_tile = |point: Coord<f64>| Coord {
            x: ((point.x + f64::from(lap)) * across - f64::from(tile.x())) * EXTENT,
            y: (point.y * across - f64::from(tile.y())) * EXTENT,
        };
        let moved = on_map.0.iter().map(|part| {
            let ring = part.exterior().coords().map(|point| to_tile(*point));
            Polygon::new(LineString::new(ring.collect()), Vec::new())
        });
        // Nothing is drawn past the edges of the map in the north and south.
        let (north, south) = (
            -f64::from(tile.y()) * EXTENT,
            (across - f64::from(tile.y())) * EXTENT,
        );
        let around = rectangle(
            (-buffer, (-buffer).max(north)),
            (EXTENT + buffer, (EXTENT + buffer).min(south)),
        );
        let clipped = MultiPolygon::new(moved.collect()).intersection(&around);
        // What the other clipper's own rounding leaves of a neighbouring lap is none.
        parts.extend(clipped.0.into_iter().filter(|part| part.unsigned_area() > 1.0));
    }
    MultiPolygon::new(parts)
}

/// What is drawn, from the bytes of the tile.
fn drawn(cell: CellIndex, number: u8, tile: TileId) -> MultiPolygon<f64> {
    let set = TileSet::new("noise", "sum", numbered([cell], number)).expect("valid");
    let Some(bytes) = set.tile(tile.z(), tile.x(), tile.y(), &GeometryCache::new(1 << 20)) else {
        return MultiPolygon::new(Vec::new());
    };
    let features = read_tile(&bytes.bytes).features;
    let rings = features.iter().flat_map(|feature| &feature.rings);
    let parts = rings.map(|ring| {
        let corners = ring.iter().map(|(x, y)| (f64::from(*x), f64::from(*y)));
        Polygon::new(LineString::from(corners.collect::<Vec<_>>()), Vec::new())
    });
    MultiPolygon::new(parts.collect())
}

/// Each part of a shape alone.
fn parts(shape: &MultiPolygon<f64>) -> impl Iterator<Item = MultiPolygon<f64>> {
    shape.iter().map(|part| MultiPolygon::new(vec![part.clone()]))
}

fn around(shape: &MultiPolygon<f64>) -> f64 {
    let rings = shape.iter().map(Polygon::exterior);
    rings
        .flat_map(LineString::lines)
        .map(|line| line.dx().hypot(line.dy()))
        .sum()
}

/// Fails unless both are the same to within the rounding to whole units.
fn assert_same(cell: CellIndex, number: u8, tile: TileId) -> Result<(), TestCaseError> {
    // What lies past the map's edges is a sliver along them, by decision and not by definition.
    let on_map = outline(cell).intersection(&rectangle((-9.0, 0.0), (9.0, 1.0)));
    if on_map.unsigned_area() < SLIVER {
        return Ok(());
    }
    let (wanted, all) = (lying_in(cell, tile, 0.0), lying_in(cell, tile, BUFFER));
    let drawn = drawn(cell, number, tile);
    let allowed = around(&all) + 16.0;
    let too_much = drawn.difference(&all).unsigned_area();
    prop_assert!(
        too_much <= allowed,
        "{cell} in {tile:?}: {too_much} too much\n{all:?} as {drawn:?}"
    );
    // In the buffer only what belongs to the tile is drawn; in the tile, all.
    let drawn = drawn.intersection(&rectangle((0.0, 0.0), (EXTENT, EXTENT)));
    let differing = wanted.xor(&drawn).unsigned_area();
    prop_assert!(
        differing <= allowed,
        "{cell} in {tile:?}: {differing} of {} square units are drawn wrongly\nwanted {wanted:?}\ndrawn {drawn:?}",
        wanted.unsigned_area()
    );
    // Rounding moves each border by less than a unit: a part too large to be lost by that is one part on the other side,
    // and differs from it by no more than that.
    for (some, others) in [(&wanted, &drawn), (&drawn, &wanted)] {
        for part in parts(some) {
            let allowed = around(&part);
            if part.unsigned_area() <= LARGE * allowed {
                continue;
            }
            let same = parts(others).filter(|other| part.xor(other).unsigned_area() <= allowed + 16.0);
            prop_assert_eq!(
                same.count(),
                1,
                "{} in {:?}: {:?}\nwanted {:?}\ndrawn {:?}",
                cell,
                tile,
                part,
                &wanted,
                &drawn
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_hexagon_is_drawn_as_a_slow_clipper_cuts_it(
        (lat, lng) in places(), number in 0..=4_u8, z in 0..=14_u8,
        (to_lat, to_lng) in (-12.0..12.0_f64, -180.0..180.0_f64), corner in 0..6_usize,
    ) {
        let cell = cell_at(lat, lng, number);
        // Tiles of its inside, at its corners, and anywhere about it.
        let boundary = cell.boundary();
        let at = boundary.iter().copied().nth(corner).unwrap_or(boundary[0]);
        for (lat, lng) in [(lat, lng), (at.lat(), at.lng()), ((lat + to_lat).clamp(-90.0, 90.0), to_lng)] {
            assert_same(cell, number, tile_at(lat, lng, z))?;
        }
    }
}

#[test]
fn every_coarse_cell_is_drawn_as_a_slow_clipper_cuts_it() {
    for z in 0..=2 {
        for x in 0..1 << z {
            for y in 0..1 << z {
                let tile = TileId::new(z, x, y).expect("inside");
                for cell in CellIndex::base_cells() {
                    assert_same(cell, 0, tile).expect("the same");
                }
            }
        }
    }
}

#[test]
fn a_hexagon_that_leaves_the_map_and_comes_back_is_in_parts() {
    let world = TileId::new(0, 0, 0).expect("inside");
    let parts = CellIndex::base_cells().map(|cell| drawn(cell, 0, world).0.len());
    assert!(parts.max() > Some(1));
}
