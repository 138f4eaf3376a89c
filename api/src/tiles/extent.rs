//! The box of what tiles can show: of whole hexagons, at every resolution that some zoom shows.

use std::f64::consts::{FRAC_PI_2, PI};

use h3o::{CellIndex, Resolution};
use riskgrid_ingest::edge::Bounds;

use super::clip::Box2;
use super::outline::{OutlineMaker, mercator_y};
use super::resolution::resolutions;

/// How far from a place the hexagons reach that show it, in average edges: a cell's descendants lie within 2 of its centre,
/// and its own corners within 1.3.
const REACH_IN_EDGES: f64 = 3.3;
/// Degrees that rounding may take, and more.
const ROUNDING: f64 = 1e-9;

/// A box on the map. Over the antimeridian it is as wide as the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent(Box2);

impl Extent {
    /// Of the hexagons that the tiles of all zooms show of these cells, which are of resolution `base`; `None` of none.
    pub fn of_all_zooms(cells: &[u64], base: Resolution) -> Option<Self> {
        let mut shown: Vec<Resolution> = resolutions(base).chain([base]).collect();
        shown.dedup();
        let all = shown.into_iter().filter_map(|resolution| {
            let of_cells = cells
                .iter()
                .filter_map(|cell| CellIndex::try_from(*cell).ok()?.parent(resolution));
            let mut parents: Vec<CellIndex> = of_cells.collect();
            parents.dedup();
            Self::of(parents)
        });
        all.reduce(Self::with)
    }

    /// Of these hexagons themselves.
    pub fn of(cells: impl IntoIterator<Item = CellIndex>) -> Option<Self> {
        let mut outlines = OutlineMaker::default();
        let boxes = cells.into_iter().map(|cell| {
            let around = Box2::around(outlines.outline(cell).points());
            Self(around).on_one_side()
        });
        boxes.reduce(Self::with)
    }

    /// Of all hexagons, at all zooms, in which events within `bounds` can be.
    pub fn around(bounds: &Bounds, base: Resolution) -> Self {
        let [west, south, east, north] = bounds.0;
        let coarsest = resolutions(base).min().unwrap_or(base);
        let reach = REACH_IN_EDGES * coarsest.edge_length_rads();
        let (south, north) = (south.to_radians() - reach, north.to_radians() + reach);
        let farthest = south.abs().max(north.abs());
        let aside = if farthest >= FRAC_PI_2 {
            PI
        } else {
            (reach.sin() / farthest.cos()).min(1.0).asin()
        };
        let x = |lon: f64| lon / 360.0 + 0.5;
        let (min_x, max_x) = (x(west) - aside / (2.0 * PI), x(east) + aside / (2.0 * PI));
        let is_narrow = west <= east && min_x >= 0.0 && max_x <= 1.0;
        let (min_x, max_x) = if is_narrow { (min_x, max_x) } else { (0.0, 1.0) };
        Self(Box2 {
            min_x,
            max_x,
            min_y: mercator_y(north).clamp(0.0, 1.0),
            max_y: mercator_y(south).clamp(0.0, 1.0),
        })
    }

    /// The least that holds both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let (one, other) = (self.0, other.0);
        Self(Box2 {
            min_x: one.min_x.min(other.min_x),
            min_y: one.min_y.min(other.min_y),
            max_x: one.max_x.max(other.max_x),
            max_y: one.max_y.max(other.max_y),
        })
    }

    fn on_one_side(self) -> Self {
        if self.0.max_x <= 1.0 {
            return self;
        }
        Self(Box2 {
            min_x: 0.0,
            max_x: 1.0,
            ..self.0
        })
    }

    /// West, south, east and north in degrees, no less than the box.
    pub fn degrees(self) -> [f64; 4] {
        let latitude = |y: f64| (PI * (1.0 - 2.0 * y)).sinh().atan().to_degrees();
        let around = self.0;
        [
            (360.0 * around.min_x - 180.0 - ROUNDING).max(-180.0),
            latitude(around.max_y) - ROUNDING,
            (360.0 * around.max_x - 180.0 + ROUNDING).min(180.0),
            latitude(around.min_y) + ROUNDING,
        ]
    }

    /// Longitude and latitude of its middle, and the zoom (at most `most`) at which a map of one tile shows all of it.
    pub fn view(self, most: u8) -> (f64, f64, u8) {
        let [west, _, east, _] = self.degrees();
        let around = self.0;
        let middle = f64::midpoint(around.min_y, around.max_y);
        let latitude = (PI * (1.0 - 2.0 * middle)).sinh().atan().to_degrees();
        let size = (around.max_x - around.min_x).max(around.max_y - around.min_y);
        let zoom = (-size.max(f64::MIN_POSITIVE).log2())
            .floor()
            .clamp(0.0, f64::from(most));
        (f64::midpoint(west, east), latitude, zoom as u8)
    }
}

#[cfg(test)]
mod tests {
    use h3o::LatLng;
    use proptest::prelude::*;

    use super::super::geometry::HexagonEncoder;
    use super::super::tests::{cell_at, places};
    use super::super::tile_id::TileId;
    use super::*;

    /// The edge of the map in degrees, less what rounding takes.
    const EDGE: f64 = 85.051_128_779;

    fn holds([west, south, east, north]: [f64; 4], place: LatLng) -> bool {
        let latitude = place.lat().clamp(-EDGE, EDGE);
        (west..=east).contains(&place.lng()) && (south..=north).contains(&latitude)
    }

    /// Whether a tile has anything of the cell.
    fn is_in(cell: CellIndex, tile: TileId) -> bool {
        let mut geometry = Vec::new();
        HexagonEncoder::default().append(cell, tile, &mut geometry);
        !geometry.is_empty()
    }

    /// Whether a map asks for the tile that has these bounds.
    fn is_asked_for(tile: TileId, [west, south, east, north]: [f64; 4]) -> bool {
        let across = tile.tiles_across();
        let column = |lon: f64| ((lon / 360.0 + 0.5) * across).floor().clamp(0.0, across - 1.0);
        let row = |lat: f64| {
            (mercator_y(lat.to_radians()) * across)
                .floor()
                .clamp(0.0, across - 1.0)
        };
        (column(west)..=column(east)).contains(&f64::from(tile.x()))
            && (row(north)..=row(south)).contains(&f64::from(tile.y()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn a_map_that_keeps_to_the_bounds_asks_for_every_tile_that_shows_something(
            centres in prop::collection::vec(places(), 1..4), base in 0..=9_u8,
        ) {
            let resolution = Resolution::try_from(base).expect("in range");
            let mut cells: Vec<u64> = centres.iter().map(|(lat, lng)| cell_at(*lat, *lng, base).into()).collect();
            cells.sort_unstable();
            let bounds = Extent::of_all_zooms(&cells, resolution).expect("cells").degrees();
            for (z, shown) in resolutions(resolution).enumerate().take(6) {
                for cell in cells.iter().map(|cell| CellIndex::try_from(*cell).expect("valid")) {
                    let shown = cell.parent(shown).expect("coarser");
                    for corner in shown.boundary().iter() {
                        // What is past the edge of the map is not drawn.
                        let is_on_map = corner.lat().abs() <= EDGE;
                        prop_assert!(!is_on_map || holds(bounds, *corner), "{} of {} in {:?}", corner, shown, bounds);
                    }
                    for x in 0..1 << z {
                        for y in 0..1 << z {
                            let tile = TileId::new(z as u8, x, y).expect("inside");
                            prop_assert!(!is_in(shown, tile) || is_asked_for(tile, bounds), "{} in {:?}", shown, tile);
                        }
                    }
                }
            }
        }

        #[test]
        fn bounds_of_places_hold_the_hexagons_that_show_them(
            (lat, lng) in places(), width in 0.0..3.0_f64, height in 0.0..3.0_f64, base in 0..=9_u8,
            (to_east, to_north) in (0.0..1.0_f64, 0.0..1.0_f64),
        ) {
            let resolution = Resolution::try_from(base).expect("in range");
            let (east, north) = ((lng + width).min(180.0), (lat + height).min(90.0));
            let extent = Extent::around(&Bounds([lng, lat, east, north]), resolution).degrees();
            let inside = cell_at(lat + to_north * (north - lat), lng + to_east * (east - lng), base);
            let shown = Extent::of_all_zooms(&[inside.into()], resolution).expect("a cell").degrees();
            prop_assert!(
                extent[0] <= shown[0] && extent[1] <= shown[1] && extent[2] >= shown[2] && extent[3] >= shown[3],
                "{:?} has not {:?}", extent, shown
            );
        }
    }

    #[test]
    fn over_the_antimeridian_and_around_a_pole_it_is_as_wide_as_the_map() {
        for cell in [cell_at(-17.0, 180.0, 5), cell_at(90.0, 0.0, 4)] {
            let [west, _, east, _] = Extent::of([cell]).expect("a cell").degrees();
            assert_eq!((west, east), (-180.0, 180.0), "{cell}");
        }
        let over = Extent::around(&Bounds([170.0, -20.0, -170.0, -10.0]), Resolution::Nine).degrees();
        assert_eq!((over[0], over[2]), (-180.0, 180.0));
        assert_eq!(Extent::of_all_zooms(&[], Resolution::Nine), None);
    }

    #[test]
    fn a_city_is_seen_whole_in_its_view() {
        let cells = cell_at(22.5, 114.0, 9).grid_disk::<Vec<_>>(40);
        let (lon, lat, zoom) = Extent::of(cells).expect("cells").view(12);
        assert!((lon - 114.0).abs() < 0.01 && (lat - 22.5).abs() < 0.01);
        assert_eq!(zoom, 10);
    }
}
