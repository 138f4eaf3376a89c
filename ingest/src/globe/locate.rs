//! Where a point lies to polygons: inside, on an edge or outside. The same exact predicate as that of [`Shape`](super::Shape),
//! for who has to know edges: in a `Shape` a point on an edge belongs to one side of it.
//!
//! A line from the point eastward crosses the rings an odd number of times if the point is inside. For valid polygons the
//! rule is OGC's; where a polygon crosses itself, what is covered twice is outside.

use geo::{Coord, Geometry, LinesIter as _, Polygon};

use super::edges::{Edge, Edges, side_of};

/// On which side of a border a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In the polygons, and on no edge.
    Inside,
    /// On an edge or corner.
    OnEdge,
    /// Neither.
    Outside,
}

/// The polygons of a geometry that is nothing but polygons.
pub fn polygons_of(geometry: &Geometry) -> Option<&[Polygon]> {
    match geometry {
        Geometry::Polygon(polygon) => Some(std::slice::from_ref(polygon)),
        Geometry::MultiPolygon(polygons) => Some(&polygons.0),
        _ => None,
    }
}

/// Looks at every edge.
pub fn side_in(polygons: &[Polygon], point: Coord) -> Side {
    let lines = polygons.iter().flat_map(Polygon::lines_iter);
    side_of(
        lines.map(|line| Edge::new(line.start.into(), line.end.into())),
        point.into(),
    )
}

/// The edges of some polygons filed for many points.
#[derive(Debug)]
pub struct Locator(Edges);

impl Locator {
    /// Files the edges.
    pub fn new(polygons: &[Polygon]) -> Self {
        let rings = polygons
            .iter()
            .flat_map(|polygon| std::iter::once(polygon.exterior()).chain(polygon.interiors()));
        let rings: Vec<Vec<[f64; 2]>> = rings
            .map(|ring| ring.coords().map(|corner| [corner.x, corner.y]).collect())
            .collect();
        Self(Edges::new(&rings))
    }

    /// Where a point is.
    pub fn side(&self, point: Coord) -> Side {
        self.0.side(point.into())
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
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
                    Side::Inside
                } else if polygon.intersects(&point) {
                    Side::OnEdge
                } else {
                    Side::Outside
                };
                prop_assert_eq!(locator.side(coord), expected, "{:?}", coord);
                prop_assert_eq!(side_in(std::slice::from_ref(&polygon), coord), expected);
            }
        }
    }

    #[test]
    fn what_a_bow_tie_covers_once_is_inside() {
        let tie = Polygon::new(
            LineString::from(vec![(0.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0)]),
            vec![],
        );
        let at = |x, y| side_in(std::slice::from_ref(&tie), Coord { x, y });
        assert_eq!(at(0.5, 1.0), Side::Inside);
        assert_eq!(at(1.5, 1.0), Side::Inside);
        assert_eq!(at(1.0, 1.0), Side::OnEdge);
        assert_eq!(at(1.0, 0.2), Side::Outside);
    }
}
