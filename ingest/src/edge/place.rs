//! The place of an event.

use super::{Edge, FeedRules, PlaceCache};
use crate::words::{Number, Position, Refusal, RefusalReason};

impl Edge {
    #[inline]
    pub(super) fn read_position(
        &self,
        lon: &Number<'_>,
        lat: &Number<'_>,
        feed: &FeedRules,
        places: &mut PlaceCache,
    ) -> Result<Position, Refusal> {
        let invalid = |detail: String| Refusal::new(RefusalReason::InvalidPosition, detail);
        let (lon, lat) = match (lon, lat) {
            (Number::Value(lon), Number::Value(lat)) => (*lon, *lat),
            _ => return Err(invalid("lon or lat is not a number".to_owned())),
        };
        if !((-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)) {
            return Err(invalid(format!(
                "lon {lon}, lat {lat} is off the globe (±180, ±90); swapped?"
            )));
        }
        if lon == 0.0 && lat == 0.0 {
            return Err(invalid("0,0 stands for no place known".to_owned()));
        }
        if feed.null_points.contains(&[lon, lat]) {
            return Err(invalid(format!(
                "lon {lon}, lat {lat} is one of the feed's null_points"
            )));
        }
        for bounds in [feed.bounds, self.bounds].into_iter().flatten() {
            if !bounds.contains([lon, lat]) {
                return Err(invalid(format!(
                    "lon {lon}, lat {lat} is outside bounds {:?}; swapped?",
                    bounds.0
                )));
            }
        }
        let cell = places
            .cell([lon, lat])
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Position { lon, lat, cell })
    }
}
