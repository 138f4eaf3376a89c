//! Distances on the globe, taken for a sphere of the size that H3 has.

/// Radius of the sphere whose surface is that of the WGS 84 ellipsoid, in metres; the one that H3 uses.
pub const EARTH_RADIUS_METRES: f64 = h3o::EARTH_RADIUS_KM * 1000.0;

/// A point on the unit sphere. The chord between two grows with the arc, so the nearest in space is the nearest on the
/// ground, at the poles and over the antimeridian too.
pub(crate) fn unit_vector(lon: f64, lat: f64) -> [f64; 3] {
    let (sin_lon, cos_lon) = lon.to_radians().sin_cos();
    let (sin_lat, cos_lat) = lat.to_radians().sin_cos();
    [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]
}

/// Length of the great circle between two points, in metres: `2 R atan2(|a − b|, |a + b|)` of their unit vectors
/// (Kahan 2016, "Computing cross-products and rotations in 2- and 3-dimensional Euclidean spaces", section 13), exact to
/// a few parts in 10¹⁵ for near points and for antipodes alike.
pub fn great_circle_metres(from: [f64; 2], to: [f64; 2]) -> f64 {
    let (a, b) = (unit_vector(from[0], from[1]), unit_vector(to[0], to[1]));
    metres_between(a, b)
}

pub(crate) fn metres_between(a: [f64; 3], b: [f64; 3]) -> f64 {
    let length = |of: fn(f64, f64) -> f64| {
        a.iter()
            .zip(b)
            .map(|(a, b)| of(*a, b).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    2.0 * EARTH_RADIUS_METRES * length(|a, b| a - b).atan2(length(|a, b| a + b))
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
    }
}
