//! A cell's outline on the web mercator map: the world is the unit square, `x` from the antimeridian eastwards, `y`
//! from 85.0511° north southwards.
//!
//! Every cell has an outline with an area on the map, so that no cell is ever left out of a sum over tiles: a cell wholly
//! past 85.0511° lies as a sliver along the edge of the map.

use std::f64::consts::{PI, TAU};

use h3o::{CellIndex, LatLng};

use super::clip::{Box2, Clipper, Point, Rings};

/// The whole height of the map, unbounded sideways: outlines over the antimeridian leave the unit square.
const BAND: Box2 = Box2 {
    min_x: f64::NEG_INFINITY,
    min_y: 0.0,
    max_x: f64::INFINITY,
    max_y: 1.0,
};

/// The map.
const WORLD: Box2 = Box2 {
    min_x: 0.0,
    min_y: 0.0,
    max_x: 1.0,
    max_y: 1.0,
};

/// Latitude at which corners are held, in radians: past the map's edge, before its poles at infinity.
const LATITUDE_LIMIT: f64 = 89.9 / 180.0 * PI;

/// Height of the sliver that stands for a cell past the edge of the map: 4 cm at the equator's scale, a sixteenth of
/// a tile's unit at the deepest zoom.
const SLIVER_HEIGHT: f64 = 1.0 / (1_u64 << 30) as f64;

/// Outlines of cells, keeping their working memory between cells.
#[derive(Default)]
pub(crate) struct OutlineMaker {
    ring: Vec<Point>,
    parts: Rings,
    clipper: Clipper,
}

impl OutlineMaker {
    /// The cell's outline: rings that are not closed, one but for coarse cells at the map's edges. They start in the unit
    /// square's width and may leave it eastwards (a cell over the antimeridian); they are within its height.
    pub(crate) fn outline(&mut self, cell: CellIndex) -> &Rings {
        self.ring.clear();
        self.parts.clear();
        for corner in cell.boundary().iter() {
            let mut point = project(*corner);
            if let Some(previous) = self.ring.last() {
                point.x = nearest_turn(point.x, previous.x);
            }
            self.ring.push(point);
        }
        let (first, last) = match (self.ring.first(), self.ring.last()) {
            (Some(first), Some(last)) => (*first, *last),
            _ => return &self.parts,
        };
        let turns = nearest_turn(first.x, last.x) - first.x;
        if turns.abs() > 0.5 {
            self.spread_over_pole(turns, first.y < 0.5);
        } else {
            self.parts.push(self.ring.iter().copied());
        }
        self.keep_on_map();
        self.start_in_unit_width();
        &self.parts
    }

    /// A ring once around a pole is, on the map, everything between a wavy line over the whole width and the map's edge.
    fn spread_over_pole(&mut self, turns: f64, north: bool) {
        let mut once: Vec<Point> = self.ring.clone();
        if turns < 0.0 {
            once.reverse();
        }
        self.ring.clear();
        for lap in [-1.0, 0.0, 1.0, 2.0] {
            self.ring.extend(once.iter().map(|point| Point {
                x: point.x + lap,
                y: point.y,
            }));
        }
        let past_the_edge = if north { -1.0 } else { 2.0 };
        let ends = Box2::around(&self.ring);
        self.ring.push(Point {
            x: ends.max_x,
            y: past_the_edge,
        });
        self.ring.push(Point {
            x: ends.min_x,
            y: past_the_edge,
        });
        let width = Box2 {
            min_y: -1.0,
            max_y: 2.0,
            ..WORLD
        };
        self.parts.clone_from(self.clipper.clip([&*self.ring], &width));
    }

    fn keep_on_map(&mut self) {
        let whole = Box2::around(self.parts.points());
        if BAND.contains(&whole) {
            return;
        }
        let clipped = self.clipper.clip(self.parts.iter(), &BAND);
        let kept = Box2::around(clipped.points());
        if kept.max_y - kept.min_y >= SLIVER_HEIGHT {
            self.parts.clone_from(clipped);
            return;
        }
        let (min_y, max_y) = if whole.min_y < 0.0 {
            (0.0, SLIVER_HEIGHT)
        } else {
            (1.0 - SLIVER_HEIGHT, 1.0)
        };
        self.parts.clear();
        self.parts.push([
            Point {
                x: whole.min_x,
                y: min_y,
            },
            Point {
                x: whole.max_x,
                y: min_y,
            },
            Point {
                x: whole.max_x,
                y: max_y,
            },
            Point {
                x: whole.min_x,
                y: max_y,
            },
        ]);
    }

    fn start_in_unit_width(&mut self) {
        let west = Box2::around(self.parts.points()).min_x;
        let laps = west.floor();
        if laps != 0.0 {
            for point in self.parts.points_mut() {
                point.x -= laps;
            }
        }
    }
}

/// The place on the map, its `x` in 0 to 1; latitudes past 89.9° are held there.
pub(crate) fn project(place: LatLng) -> Point {
    Point {
        x: place.lng_radians() / TAU + 0.5,
        y: mercator_y(place.lat_radians()),
    }
}

/// The map's `y` of a latitude in radians.
pub(crate) fn mercator_y(latitude: f64) -> f64 {
    let sine = latitude.clamp(-LATITUDE_LIMIT, LATITUDE_LIMIT).sin();
    0.5 - ((1.0 + sine) / (1.0 - sine)).ln() / (2.0 * TAU)
}

/// `x` plus or less whole turns of the world, so that it is within half a turn of `near`.
fn nearest_turn(x: f64, near: f64) -> f64 {
    x - (x - near).round()
}

#[cfg(test)]
mod tests {
    use h3o::Resolution;
    use proptest::prelude::*;

    use super::*;

    fn outline(cell: CellIndex) -> Rings {
        OutlineMaker::default().outline(cell).clone()
    }

    fn around(cell: CellIndex) -> Box2 {
        Box2::around(outline(cell).points())
    }

    fn cell_at(lat: f64, lng: f64, resolution: Resolution) -> CellIndex {
        LatLng::new(lat, lng).expect("finite").to_cell(resolution)
    }

    #[test]
    fn the_corners_of_the_map_are_where_they_belong() {
        let place = |lat, lng| project(LatLng::new(lat, lng).expect("finite"));
        let middle = place(0.0, 0.0);
        assert!((middle.x - 0.5).abs() < 1e-15 && (middle.y - 0.5).abs() < 1e-15);
        assert!(place(85.051_128_779_806_59, -180.0).y.abs() < 1e-12);
        assert!(place(85.051_128_779_806_59, -180.0).x.abs() < 1e-12);
        assert!((place(-85.051_128_779_806_59, 180.0).y - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_cell_over_the_antimeridian_is_narrow() {
        for lat in [-60.0, 0.0, 52.0] {
            let around = around(cell_at(lat, 180.0, Resolution::Five));
            assert!(around.max_x - around.min_x < 0.01, "{around:?}");
            assert!(around.min_x < 1.0 && around.max_x > 1.0, "{around:?}");
        }
    }

    #[test]
    fn one_cell_at_each_pole_spans_the_map() {
        // Coarser ones reach down to 69°, and on the other side of the pole end above the map's edge.
        for resolution in [Resolution::Two, Resolution::Five, Resolution::Nine] {
            for (lat, edge) in [(90.0, 0.0), (-90.0, 1.0)] {
                // The pole's own cell by index may be another than the one whose outline goes around it.
                let near = cell_at(lat, 0.0, resolution).grid_disk::<Vec<_>>(1);
                let around = near.into_iter().map(around);
                let spans = |found: &Box2| found.min_x.abs() < 1e-12 && (found.max_x - 1.0).abs() < 1e-12;
                let spanning: Vec<Box2> = around.filter(spans).collect();
                assert_eq!(spanning.len(), 1, "{resolution} {lat}: {spanning:?}");
                assert!(
                    spanning
                        .iter()
                        .all(|found| found.min_y <= edge && edge <= found.max_y),
                    "{spanning:?}"
                );
            }
        }
    }

    #[test]
    fn a_coarse_cell_over_a_pole_fills_the_map_up_to_its_edge() {
        let around = around(cell_at(90.0, 0.0, Resolution::Zero));
        // Its corner at 87.4° N, 145.6° E is above the edge; from its corner at 81.3° N the map is filled upwards.
        assert!(
            around.min_y.abs() < 1e-12 && (around.max_y - 0.232_275).abs() < 1e-6,
            "{around:?}"
        );
        assert!(
            (around.min_x - 0.166_757).abs() < 1e-6 && (around.max_x - 0.850_173).abs() < 1e-6,
            "{around:?}"
        );
    }

    #[test]
    fn every_cell_of_the_coarse_grid_has_an_area_on_the_map() {
        let mut total = 0.0;
        for cell in CellIndex::base_cells() {
            let around = around(cell);
            assert!(WORLD.min_y <= around.min_y && around.max_y <= WORLD.max_y);
            let area = outline(cell).area();
            assert!(area > 0.0 && area < 0.3, "{cell}: {area}");
            total += area;
        }
        // Chords of mercator are not chords of the sphere: what neighbours share is drawn alike, so little is off.
        assert!((total - 1.0).abs() < 0.02, "{total}");
    }

    proptest! {
        #[test]
        fn every_outline_has_an_area_and_starts_in_the_world(
            lat in -90.0..90.0_f64, lng in -180.0..180.0_f64, resolution in 0..=15_u8,
        ) {
            let resolution = Resolution::try_from(resolution).expect("in range");
            let cell = cell_at(lat, lng, resolution);
            let around = around(cell);
            prop_assert!(outline(cell).area() > 0.0);
            prop_assert!((0.0..1.0).contains(&around.min_x) && around.max_x - around.min_x <= 1.0);
            prop_assert!(around.min_y >= 0.0 && around.max_y <= 1.0);
        }
    }
}
