//! How fine the hexagons of each zoom are: wide enough to see, small enough to show a shape.

use h3o::Resolution;

use super::tile_id::MAX_ZOOM;

/// The resolution of each zoom, 0 to [`MAX_ZOOM`]: at the equator a hexagon is 8 to 20 pixels wide on a tile of 512
/// pixels, and wider towards the poles, as everything is on this map.
const RESOLUTION_OF_ZOOM: [Resolution; MAX_ZOOM as usize + 1] = [
    Resolution::One,
    Resolution::Two,
    Resolution::Two,
    Resolution::Three,
    Resolution::Four,
    Resolution::Four,
    Resolution::Five,
    Resolution::Six,
    Resolution::Seven,
    Resolution::Seven,
    Resolution::Eight,
    Resolution::Nine,
    Resolution::Nine,
    Resolution::Ten,
    Resolution::Eleven,
];

/// The H3 resolution that tiles of zoom `z` show on a grid that stores `base`: never finer than what is stored.
///
/// Zooms past [`MAX_ZOOM`] are drawn from its tiles, so they have its resolution.
pub fn resolution_for_zoom(z: u8, base: Resolution) -> Resolution {
    RESOLUTION_OF_ZOOM
        .get(usize::from(z))
        .map_or(base, |of_zoom| base.min(*of_zoom))
}

/// The resolutions of zooms 0 to [`MAX_ZOOM`] on a grid that stores `base`, in order.
pub fn resolutions(base: Resolution) -> impl Iterator<Item = Resolution> {
    (0..=MAX_ZOOM).map(move |z| resolution_for_zoom(z, base))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EQUATOR_M: f64 = 40_075_016.686;

    #[test]
    fn hexagons_are_8_to_20_pixels_wide_at_the_equator() {
        for z in 0..=MAX_ZOOM {
            let metres_per_pixel = EQUATOR_M / 512.0 / f64::from(1_u32 << z);
            let width_m = 3_f64.sqrt() * resolution_for_zoom(z, Resolution::Fifteen).edge_length_m();
            let pixels = width_m / metres_per_pixel;
            assert!((7.9..20.0).contains(&pixels), "zoom {z}: {pixels} pixels");
        }
    }

    #[test]
    fn never_finer_than_the_grid_and_never_coarser_when_zooming_in() {
        for base in Resolution::range(Resolution::Zero, Resolution::Fifteen) {
            let all: Vec<_> = resolutions(base).collect();
            assert_eq!(all.len(), 15);
            assert!(all.iter().all(|resolution| *resolution <= base));
            assert!(all.is_sorted());
        }
    }
}
