//! A place and a box on the globe.

use serde::{Deserialize, Serialize};

/// A place: longitude east, then latitude north, in degrees, as GeoJSON has it.
pub type LonLat = [f64; 2];

/// A box of longitudes and latitudes: west, south, east, north in degrees. `west > east` crosses the antimeridian.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds(pub [f64; 4]);

impl Bounds {
    /// Whether the point is inside or on the border.
    pub fn contains(&self, [lon, lat]: LonLat) -> bool {
        let [west, south, east, north] = self.0;
        let within = if west <= east {
            west <= lon && lon <= east
        } else {
            lon >= west || lon <= east
        };
        within && south <= lat && lat <= north
    }

    /// Whether the four numbers make a box on the globe.
    pub fn is_valid(&self) -> bool {
        let [west, south, east, north] = self.0;
        [west, east].iter().all(|lon| (-180.0..=180.0).contains(lon))
            && [south, north].iter().all(|lat| (-90.0..=90.0).contains(lat))
            && south <= north
    }
}
