//! Places, their cells and the areas that hold them, remembered.

use std::convert::Infallible;
use std::sync::Arc;

use h3o::error::InvalidLatLng;
use h3o::{CellIndex, LatLng, Resolution};

use crate::places::Places;
use crate::words::{AreaIds, LonLat};

/// What is known of places seen lately. Sensors stand still, so that the same place comes again and again, and finding a
/// cell or the areas costs as much as reading an event.
#[derive(Debug)]
pub struct PlaceCache {
    resolution: Resolution,
    cells: Remembered<CellIndex>,
    /// Only where there are areas.
    areas: Option<(Arc<Places>, Remembered<AreaIds>)>,
}

/// Something of each of the places seen lately.
#[derive(Debug)]
struct Remembered<T> {
    /// Places by a hash of their coordinates; a new one replaces what is there.
    slots: Vec<([u64; 2], Option<T>)>,
}

impl PlaceCache {
    /// An empty one, for cells of `resolution`.
    pub fn new(resolution: Resolution) -> Self {
        Self {
            resolution,
            cells: Remembered::new(),
            areas: None,
        }
    }

    /// One that remembers nothing, for who judges few events.
    pub const fn none(resolution: Resolution) -> Self {
        Self {
            resolution,
            cells: Remembered { slots: Vec::new() },
            areas: None,
        }
    }

    /// The same, which also tells the areas of a place.
    #[must_use]
    pub fn with_areas_of(mut self, places: &Arc<Places>) -> Self {
        self.areas = (!places.areas.is_empty()).then(|| (Arc::clone(places), Remembered::new()));
        self
    }

    /// The cell of a place.
    ///
    /// # Errors
    /// When a coordinate is not finite.
    pub(crate) fn cell(&mut self, place: LonLat) -> Result<CellIndex, InvalidLatLng> {
        let resolution = self.resolution;
        self.cells
            .find_or(place, || Ok(LatLng::new(place[1], place[0])?.to_cell(resolution)))
    }

    /// Ids of the areas that hold a place, ascending; `None` where no areas are loaded.
    pub(crate) fn areas(&mut self, place: LonLat) -> Option<AreaIds> {
        let (places, remembered) = self.areas.as_mut()?;
        let Ok(ids) = remembered.find_or(place, || Ok::<_, Infallible>(places.areas.ids_of(place)));
        Some(ids)
    }
}

impl<T: Clone> Remembered<T> {
    /// Remembered places; a power of two.
    const SLOTS: usize = 1 << 14;

    fn new() -> Self {
        Self {
            slots: vec![([0; 2], None); Self::SLOTS],
        }
    }

    fn find_or<E>(&mut self, place: LonLat, find: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let key = place.map(f64::to_bits);
        // Multiplying by a large odd number brings the differences of near coordinates into the high bits.
        let hash = (key[0] ^ key[1].rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let slot = self
            .slots
            .get_mut((hash >> (64 - Self::SLOTS.trailing_zeros())) as usize);
        if let Some((known, Some(found))) = slot.as_deref()
            && *known == key
        {
            return Ok(found.clone());
        }
        let found = find()?;
        if let Some(slot) = slot {
            *slot = (key, Some(found.clone()));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::globe::Shape;
    use crate::places::{Area, AreaIndex};
    use proptest::prelude::*;

    fn places() -> Arc<Places> {
        let area = |id: &str, [west, south, east, north]: [f64; 4]| {
            let ring = vec![
                [west, south],
                [east, south],
                [east, north],
                [west, north],
                [west, south],
            ];
            Area {
                id: id.into(),
                name: id.to_owned(),
                level: "district".into(),
                parent: None,
                population: None,
                shape: Shape::new(vec![vec![ring]]).unwrap(),
            }
        };
        let areas = AreaIndex::new(vec![
            area("south", [-180.0, -90.0, 180.0, 0.0]),
            area("east", [0.0, -90.0, 180.0, 90.0]),
        ]);
        Arc::new(Places {
            areas: areas.unwrap(),
            ..Places::default()
        })
    }

    proptest! {
        #[test]
        fn a_remembered_place_has_the_cell_that_h3_gives_and_its_own_areas(
            places_seen in prop::collection::vec((-180.0..180.0_f64, -90.0..90.0_f64), 1..50),
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..200),
        ) {
            let places = places();
            let mut cache = PlaceCache::new(Resolution::Nine).with_areas_of(&places);
            let mut forgetful = PlaceCache::none(Resolution::Nine);
            for index in order {
                let (lon, lat) = *index.get(&places_seen);
                let cell = LatLng::new(lat, lon).unwrap().to_cell(Resolution::Nine);
                prop_assert_eq!(cache.cell([lon, lat]), Ok(cell));
                prop_assert_eq!(forgetful.cell([lon, lat]), Ok(cell));
                prop_assert_eq!(cache.areas([lon, lat]), Some(places.areas.ids_of([lon, lat])));
                prop_assert_eq!(forgetful.areas([lon, lat]), None);
            }
        }
    }

    #[test]
    fn where_no_areas_are_loaded_none_are_told() {
        let mut cache = PlaceCache::new(Resolution::Nine).with_areas_of(&Arc::default());
        assert_eq!(cache.areas([1.0, 1.0]), None);
    }
}
