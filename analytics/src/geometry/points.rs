//! Points of the globe among geometries.

use geo::{Geometry, Point};
use riskgrid_ingest::globe::{MEAN_RADIUS_METRES, arc, squared_chord_of, unit_vector};

/// The great-circle distance of two points on the globe in metres.
pub(crate) fn metres_between(from: Point, to: Point) -> f64 {
    MEAN_RADIUS_METRES * arc(on_unit_sphere(from), on_unit_sphere(to))
}

/// The point of a geometry that is one and lies on the globe: longitude within 180, latitude within 90 degrees.
pub(crate) fn point_on_globe(geometry: &Geometry) -> Option<Point> {
    match geometry {
        Geometry::Point(point)
            if (-180.0..=180.0).contains(&point.x()) && (-90.0..=90.0).contains(&point.y()) =>
        {
            Some(*point)
        }
        _ => None,
    }
}

/// A point on the globe as one of the unit sphere.
pub(crate) fn on_unit_sphere(point: Point) -> [f64; 3] {
    unit_vector([point.x(), point.y()])
}

/// The chord of the unit sphere under a great circle of this many metres, squared; 4, that of antipodes, at most.
pub(crate) fn squared_chord(metres: f64) -> f64 {
    squared_chord_of(metres / MEAN_RADIUS_METRES)
}
