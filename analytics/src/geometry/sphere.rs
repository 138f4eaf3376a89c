//! Distances on the globe, taken as a sphere.

use geo::{Distance as _, Geometry, HaversineMeasure, Point};

/// The radius in metres: a third of (2 a + b) of WGS 84, as in PostGIS.
const RADIUS: f64 = 6_371_008.771_415_059;

/// The great-circle distance of two points on the globe in metres, by the haversine formula.
pub(crate) fn metres_between(from: Point, to: Point) -> f64 {
    HaversineMeasure::new(RADIUS).distance(from, to)
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

/// A point on the globe as one of the unit sphere. The shorter the great circle between two, the shorter the chord, so an
/// index of these finds the nearest ones across poles and the antimeridian too.
pub(crate) fn on_unit_sphere(point: Point) -> [f64; 3] {
    let (sin_lon, cos_lon) = point.x().to_radians().sin_cos();
    let (sin_lat, cos_lat) = point.y().to_radians().sin_cos();
    [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]
}

/// The chord of the unit sphere under a great circle of this many metres, squared; 4, that of antipodes, at most.
pub(crate) fn squared_chord(metres: f64) -> f64 {
    let half_angle = (metres / RADIUS / 2.0).clamp(0.0, std::f64::consts::FRAC_PI_2);
    (2.0 * half_angle.sin()).powi(2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quarter_of_the_equator_and_the_antimeridian() {
        let at = Point::new;
        let quarter = std::f64::consts::FRAC_PI_2 * RADIUS;
        assert!((metres_between(at(0.0, 0.0), at(90.0, 0.0)) / quarter - 1.0).abs() < 1e-12);
        assert!((metres_between(at(0.0, 0.0), at(0.0, 90.0)) / quarter - 1.0).abs() < 1e-12);
        let degree = quarter / 90.0;
        assert!((metres_between(at(179.5, 0.0), at(-179.5, 0.0)) / degree - 1.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn the_chord_grows_with_the_distance(
            a in (-180.0..=180.0_f64, -90.0..=90.0_f64),
            b in (-180.0..=180.0_f64, -90.0..=90.0_f64),
        ) {
            let (a, b) = (Point::from(a), Point::from(b));
            let (from, to) = (on_unit_sphere(a), on_unit_sphere(b));
            let chord: f64 = (0..3).map(|axis| (from[axis] - to[axis]).powi(2)).sum();
            prop_assert!((chord - squared_chord(metres_between(a, b))).abs() < 1e-12);
        }
    }
}
