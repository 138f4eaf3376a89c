//! Places and their cells, remembered.

use h3o::error::InvalidLatLng;
use h3o::{CellIndex, LatLng, Resolution};

/// The cells of places seen lately. Sensors stand still, so that the same place comes again and again, and finding a
/// cell costs as much as reading an event.
#[derive(Debug)]
pub struct PlaceCache {
    resolution: Resolution,
    /// Places by a hash of their coordinates; a new one replaces what is there.
    slots: Vec<([u64; 2], Option<CellIndex>)>,
}

impl PlaceCache {
    /// Remembered places; a power of two. 32 bytes each.
    const SLOTS: usize = 1 << 14;

    /// An empty one, for cells of `resolution`.
    pub fn new(resolution: Resolution) -> Self {
        Self {
            resolution,
            slots: vec![([0; 2], None); Self::SLOTS],
        }
    }

    /// One that remembers nothing, for who judges few events.
    pub const fn none(resolution: Resolution) -> Self {
        Self {
            resolution,
            slots: Vec::new(),
        }
    }

    /// The cell of a place.
    ///
    /// # Errors
    /// When a coordinate is not finite.
    pub(crate) fn cell(&mut self, lon: f64, lat: f64) -> Result<CellIndex, InvalidLatLng> {
        let key = [lon.to_bits(), lat.to_bits()];
        // Multiplying by a large odd number brings the differences of near coordinates into the high bits.
        let hash = (key[0] ^ key[1].rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let slot = self
            .slots
            .get_mut((hash >> (64 - Self::SLOTS.trailing_zeros())) as usize);
        if let Some((known, Some(cell))) = slot.as_deref()
            && *known == key
        {
            return Ok(*cell);
        }
        let cell = LatLng::new(lat, lon)?.to_cell(self.resolution);
        if let Some(slot) = slot {
            *slot = (key, Some(cell));
        }
        Ok(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_remembered_place_has_the_cell_that_h3_gives(
            places in prop::collection::vec((-180.0..180.0_f64, -90.0..90.0_f64), 1..50),
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..200),
        ) {
            let mut cache = PlaceCache::new(Resolution::Nine);
            let mut forgetful = PlaceCache::none(Resolution::Nine);
            for index in order {
                let (lon, lat) = *index.get(&places);
                let cell = LatLng::new(lat, lon).unwrap().to_cell(Resolution::Nine);
                prop_assert_eq!(cache.cell(lon, lat), Ok(cell));
                prop_assert_eq!(forgetful.cell(lon, lat), Ok(cell));
            }
        }
    }
}
