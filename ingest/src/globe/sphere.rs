//! Distances on the globe, taken for a sphere.

/// Radius of the sphere whose surface is that of the WGS 84 ellipsoid, in metres; the one that H3 uses.
pub const EARTH_RADIUS_METRES: f64 = h3o::EARTH_RADIUS_KM * 1000.0;

/// A third of (2 a + b) of WGS 84, in metres: what PostGIS has, for functions of SQL that bear the names of its own.
pub const MEAN_RADIUS_METRES: f64 = 6_371_008.771_415_059;

/// `[lon, lat]` in degrees as a point on the unit sphere. The chord between two grows with the arc, so the nearest in space
/// is the nearest on the ground, at the poles and over the antimeridian too.
#[inline]
pub fn unit_vector([lon, lat]: [f64; 2]) -> [f64; 3] {
    let (sin_lon, cos_lon) = lon.to_radians().sin_cos();
    let (sin_lat, cos_lat) = lat.to_radians().sin_cos();
    [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]
}

/// The angle between two points of the unit sphere: `2 atan2(|a − b|, |a + b|)` (Kahan 2016, "Computing cross-products and
/// rotations in 2- and 3-dimensional Euclidean spaces", section 13), exact to a few parts in 10¹⁵ for near points and for
/// antipodes alike.
#[inline]
pub fn arc(a: [f64; 3], b: [f64; 3]) -> f64 {
    let length = |of: fn(f64, f64) -> f64| {
        a.iter()
            .zip(b)
            .map(|(a, b)| of(*a, b).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    2.0 * length(|a, b| a - b).atan2(length(|a, b| a + b))
}

/// The chord of the unit sphere under an arc, squared; 4, that of antipodes, at most.
pub fn squared_chord_of(arc: f64) -> f64 {
    let half = (arc / 2.0).clamp(0.0, std::f64::consts::FRAC_PI_2);
    (2.0 * half.sin()).powi(2)
}

/// Length of the great circle between two points `[lon, lat]`, in metres.
pub fn great_circle_metres(from: [f64; 2], to: [f64; 2]) -> f64 {
    metres_between(unit_vector(from), unit_vector(to))
}

/// The same between two points of the unit sphere.
pub(crate) fn metres_between(a: [f64; 3], b: [f64; 3]) -> f64 {
    EARTH_RADIUS_METRES * arc(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use h3o::LatLng;
    use proptest::prelude::*;

    #[test]
    fn known_distances() {
        let quarter = EARTH_RADIUS_METRES * std::f64::consts::FRAC_PI_2;
        for (from, to, expected) in [
            ([0.0, 0.0], [90.0, 0.0], quarter),
            ([12.0, 90.0], [-77.0, 0.0], quarter),
            ([0.0, 0.0], [180.0, 0.0], 2.0 * quarter),
            ([179.5, 0.0], [-179.5, 0.0], quarter / 90.0),
            ([5.0, -90.0], [150.0, -90.0], 0.0),
        ] {
            assert!(
                (great_circle_metres(from, to) - expected).abs() < 1e-3,
                "{from:?} {to:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn it_is_the_distance_that_h3_has(
            a in (-180.0..180.0_f64, -90.0..90.0_f64),
            b in (-180.0..180.0_f64, -90.0..90.0_f64),
        ) {
            let expected = LatLng::new(a.1, a.0).unwrap().distance_m(LatLng::new(b.1, b.0).unwrap());
            // H3's haversine loses digits near antipodes.
            prop_assert!((great_circle_metres(a.into(), b.into()) - expected).abs() < 1.0);
        }

        #[test]
        fn the_chord_grows_with_the_arc(
            a in (-180.0..=180.0_f64, -90.0..=90.0_f64),
            b in (-180.0..=180.0_f64, -90.0..=90.0_f64),
        ) {
            let (from, to) = (unit_vector(a.into()), unit_vector(b.into()));
            let chord: f64 = (0..3).map(|axis| (from[axis] - to[axis]).powi(2)).sum();
            prop_assert!((chord - squared_chord_of(arc(from, to))).abs() < 1e-12);
        }
    }
}
