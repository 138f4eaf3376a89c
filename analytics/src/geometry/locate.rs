//! Whether a point lies in an area, on its edge or outside: exactly, by the even-odd rule.
//!
//! A ray from the point to the right crosses the rings an odd number of times if the point is inside. Which side of an
//! edge the point is on is decided by robust predicates (Shewchuk 1997), so no rounding moves a point across an edge.
//! For valid polygons the rule is OGC's; where a polygon crosses itself, what is covered twice is outside.

use geo::kernels::{Kernel, Orientation, RobustKernel};
use geo::{Coord, Geometry, LinesIter as _, Polygon};
use rstar::primitives::Line;
use rstar::{AABB, RTree};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    Inside,
    OnEdge,
    Outside,
}

/// The polygons of a geometry that is nothing but polygons.
pub(super) fn polygons_of(geometry: &Geometry) -> Option<&[Polygon]> {
    match geometry {
        Geometry::Polygon(polygon) => Some(std::slice::from_ref(polygon)),
        Geometry::MultiPolygon(polygons) => Some(&polygons.0),
        _ => None,
    }
}

/// Looks at every edge.
pub(super) fn position_in(polygons: &[Polygon], point: Coord) -> Position {
    position(edges_of(polygons), point)
}

/// The edges of an area in an R-tree, for many points.
#[derive(Debug)]
pub(super) struct Locator {
    edges: RTree<Line<[f64; 2]>>,
    right: f64,
}

impl Locator {
    pub(super) fn new(polygons: &[Polygon]) -> Self {
        let edges: Vec<_> = edges_of(polygons)
            .map(|(from, to)| Line::new([from.x, from.y], [to.x, to.y]))
            .collect();
        let right = edges
            .iter()
            .map(|edge| edge.from[0].max(edge.to[0]))
            .fold(f64::NEG_INFINITY, f64::max);
        Self {
            edges: RTree::bulk_load(edges),
            right,
        }
    }

    pub(super) fn position(&self, point: Coord) -> Position {
        if point.x > self.right {
            return Position::Outside;
        }
        let ray = AABB::from_corners([point.x, point.y], [self.right, point.y]);
        let met = self.edges.locate_in_envelope_intersecting(&ray);
        position(
            met.map(|edge| (Coord::from(edge.from), Coord::from(edge.to))),
            point,
        )
    }

    /// Bytes that it holds, about: the nodes of the tree are half as many again as its leaves.
    pub(super) fn bytes(&self) -> usize {
        self.edges.size() * size_of::<Line<[f64; 2]>>() * 3 / 2
    }
}

fn edges_of(polygons: &[Polygon]) -> impl Iterator<Item = (Coord, Coord)> {
    polygons
        .iter()
        .flat_map(|polygon| polygon.lines_iter().map(|line| (line.start, line.end)))
}

fn position(edges: impl Iterator<Item = (Coord, Coord)>, point: Coord) -> Position {
    let mut inside = false;
    for (from, to) in edges {
        let side = RobustKernel::orient2d(from, to, point);
        if side == Orientation::Collinear && between(from, to, point) {
            return Position::OnEdge;
        }
        // An end on the ray counts with the edge below it only, so that a corner is not counted twice.
        let upwards = to.y > from.y;
        let crosses_height = (from.y > point.y) != (to.y > point.y);
        let is_right_of_point = side
            == if upwards {
                Orientation::CounterClockwise
            } else {
                Orientation::Clockwise
            };
        inside ^= crosses_height && is_right_of_point;
    }
    if inside {
        Position::Inside
    } else {
        Position::Outside
    }
}

/// Whether a point on the line through both ends lies between them.
fn between(from: Coord, to: Coord, point: Coord) -> bool {
    let within = |a: f64, b: f64, value: f64| a.min(b) <= value && value <= a.max(b);
    within(from.x, to.x, point.x) && within(from.y, to.y, point.y)
}

#[cfg(test)]
mod tests {
    use geo::{Contains as _, Intersects as _, LineString, Point};
    use proptest::prelude::*;

    use super::*;

    /// A star around (5, 5) with a hole of half its size: valid whatever the radii are.
    fn star(radii: &[f64], clockwise_hole: bool) -> Polygon {
        let ring = |scale: f64| -> Vec<Coord> {
            let step = std::f64::consts::TAU / radii.len() as f64;
            let corner = |(index, radius): (usize, &f64)| {
                let angle = step * index as f64;
                Coord {
                    x: (5.0 + scale * radius * angle.cos()).round_to_grid(),
                    y: (5.0 + scale * radius * angle.sin()).round_to_grid(),
                }
            };
            radii.iter().enumerate().map(corner).collect()
        };
        let mut hole = ring(0.5);
        if clockwise_hole {
            hole.reverse();
        }
        Polygon::new(LineString::new(ring(1.0)), vec![LineString::new(hole)])
    }

    trait RoundToGrid {
        /// To multiples of 1/8, so that points of a grid hit corners and edges.
        fn round_to_grid(self) -> f64;
    }

    impl RoundToGrid for f64 {
        fn round_to_grid(self) -> f64 {
            (self * 8.0).round() / 8.0
        }
    }

    proptest! {
        #[test]
        fn it_is_what_geo_finds(
            radii in prop::collection::vec(2.0..5.0_f64, 5..12),
            clockwise_hole in any::<bool>(),
            places in prop::collection::vec((0_i32..=80, 0_i32..=80), 40),
        ) {
            let polygon = star(&radii, clockwise_hole);
            let locator = Locator::new(std::slice::from_ref(&polygon));
            for (x, y) in places {
                let coord = Coord { x: f64::from(x) / 8.0, y: f64::from(y) / 8.0 };
                let point = Point::from(coord);
                let expected = if polygon.contains(&point) {
                    Position::Inside
                } else if polygon.intersects(&point) {
                    Position::OnEdge
                } else {
                    Position::Outside
                };
                prop_assert_eq!(locator.position(coord), expected, "{:?}", coord);
                prop_assert_eq!(position_in(std::slice::from_ref(&polygon), coord), expected);
            }
        }
    }

    #[test]
    fn what_a_bow_tie_covers_once_is_inside() {
        let tie = Polygon::new(
            LineString::from(vec![(0.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0)]),
            vec![],
        );
        let at = |x, y| position_in(std::slice::from_ref(&tie), Coord { x, y });
        assert_eq!(at(0.5, 1.0), Position::Inside);
        assert_eq!(at(1.5, 1.0), Position::Inside);
        assert_eq!(at(1.0, 1.0), Position::OnEdge);
        assert_eq!(at(1.0, 0.2), Position::Outside);
    }
}
