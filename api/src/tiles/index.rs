//! Which cells may meet a tile, found by descending the H3 hierarchy.
//!
//! Sorted cells of one resolution have the children of every parent side by side, so no index has to be built when data
//! changes: whole parents that lie off the tile are passed over by one binary search each.

use std::f64::consts::{FRAC_PI_2, PI, TAU};
use std::ops::Range;

use h3o::{CellIndex, LatLng, Resolution};

use super::clip::Box2;
use super::outline::mercator_y;
use super::tile_id::TileId;

/// Groups up to this size are not split further: looking at each cell's cached geometry is cheaper than a parent's place.
const SMALL_GROUP: usize = 49;

/// How far a parent's descendants reach from its centre, in average edges of its resolution. Centres of descendants lie
/// within 1.05 circumradii, their corners 0.38 further; cells are up to 1.3 times the average.
const REACH_IN_EDGES: f64 = 2.0;

/// Ranges of positions in `cells` (sorted, of one `resolution`) that hold every cell that meets the tile, in order; they
/// hold a few more around its border.
pub(crate) fn candidates(cells: &[u64], resolution: Resolution, tile: TileId) -> Vec<Range<usize>> {
    let scale = tile.tiles_across();
    let (column, row) = (f64::from(tile.x()), f64::from(tile.y()));
    let square = Box2 {
        min_x: column / scale,
        min_y: row / scale,
        max_x: (column + 1.0) / scale,
        max_y: (row + 1.0) / scale,
    };
    let mut search = Search {
        resolution,
        square,
        found: Vec::new(),
    };
    search.descend(cells, 0, Resolution::Zero);
    search.found
}

struct Search {
    resolution: Resolution,
    square: Box2,
    found: Vec<Range<usize>>,
}

/// How a group of cells lies to the tile.
enum Lie {
    Off,
    Across,
    Inside,
}

impl Search {
    /// Looks at `cells`, which start at position `start` of all, parent by parent of resolution `level`.
    fn descend(&mut self, mut cells: &[u64], mut start: usize, level: Resolution) {
        while let Some(&first) = cells.first() {
            let digits_below = 3 * (15 - u32::from(u8::from(level)));
            let parent = first >> digits_below;
            let len = cells.partition_point(|cell| cell >> digits_below <= parent);
            let (group, others) = cells.split_at(len);
            match self.lie(first, level) {
                Lie::Off => {}
                Lie::Across if len > SMALL_GROUP && level < self.resolution => {
                    if let Ok(finer) = Resolution::try_from(u8::from(level) + 1) {
                        self.descend(group, start, finer);
                    }
                }
                Lie::Across | Lie::Inside => self.push(start..start + len),
            }
            cells = others;
            start += len;
        }
    }

    /// Ranges side by side become one.
    fn push(&mut self, range: Range<usize>) {
        match self.found.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.found.push(range),
        }
    }

    fn lie(&self, cell: u64, level: Resolution) -> Lie {
        let Some(parent) = CellIndex::try_from(cell).ok().and_then(|cell| cell.parent(level)) else {
            return Lie::Off;
        };
        let reach = REACH_IN_EDGES * level.edge_length_rads();
        let around = box_around(LatLng::from(parent), reach);
        // The box is up to a world wide around a centre in the world, so a lap to either side can matter.
        let laps = [-1.0, 0.0, 1.0].map(|lap| Box2 {
            min_x: around.min_x + lap,
            max_x: around.max_x + lap,
            ..around
        });
        if laps.iter().any(|lap| self.square.contains(lap)) {
            Lie::Inside
        } else if laps.iter().any(|lap| self.square.touches(lap)) {
            Lie::Across
        } else {
            Lie::Off
        }
    }
}

/// The box, on the map, of everything within `reach` radians of a place; past the map's edge it is held at the edge, where
/// outlines of cells are held as well.
fn box_around(centre: LatLng, reach: f64) -> Box2 {
    let latitude = centre.lat_radians();
    let half_width = if latitude.abs() + reach >= FRAC_PI_2 {
        PI
    } else {
        (reach.sin() / latitude.cos()).min(1.0).asin()
    };
    let x = centre.lng_radians() / TAU + 0.5;
    Box2 {
        min_x: x - half_width / TAU,
        max_x: x + half_width / TAU,
        min_y: mercator_y(latitude + reach).clamp(0.0, 1.0),
        max_y: mercator_y(latitude - reach).clamp(0.0, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::geometry::HexagonEncoder;
    use super::*;

    fn cells_around(lat: f64, lng: f64, resolution: Resolution, rings: u32) -> Vec<u64> {
        let centre = LatLng::new(lat, lng).expect("finite").to_cell(resolution);
        let mut cells: Vec<u64> = centre
            .grid_disk::<Vec<_>>(rings)
            .into_iter()
            .map(u64::from)
            .collect();
        cells.sort_unstable();
        cells
    }

    fn in_tile(cells: &[u64], tile: TileId) -> Vec<u64> {
        let mut encoder = HexagonEncoder::default();
        let mut geometry = Vec::new();
        let mut meets = |cell: u64| {
            geometry.clear();
            encoder.append(CellIndex::try_from(cell).expect("valid"), tile, &mut geometry);
            !geometry.is_empty()
        };
        cells.iter().copied().filter(|cell| meets(*cell)).collect()
    }

    fn tile_at(lat: f64, lng: f64, z: u8) -> TileId {
        let place = super::super::outline::project(LatLng::new(lat, lng).expect("finite"));
        let last = (1_u32 << z) - 1;
        let along = |share: f64| ((share * f64::from(1_u32 << z)).max(0.0) as u32).min(last);
        TileId::new(z, along(place.x), along(place.y)).expect("inside")
    }

    #[test]
    fn a_parent_reaches_all_its_descendants() {
        for level in Resolution::range(Resolution::Zero, Resolution::Two) {
            let finest = Resolution::try_from(u8::from(level) + 3).expect("in range");
            let reach = REACH_IN_EDGES * level.edge_length_rads();
            for base in CellIndex::base_cells() {
                for parent in base.children(level).step_by(5) {
                    let centre = LatLng::from(parent);
                    for child in parent.children(finest).step_by(3) {
                        let boundary = child.boundary();
                        let farthest = boundary.iter().map(|corner| centre.distance_rads(*corner));
                        let farthest = farthest.fold(0.0, f64::max);
                        assert!(farthest < reach, "{parent}: {farthest} of {reach}");
                    }
                }
            }
        }
    }

    #[test]
    fn passes_over_most_of_what_is_elsewhere() {
        let cells = cells_around(22.5, 114.0, Resolution::Nine, 60);
        let tile = tile_at(22.5, 114.0, 14);
        let looked_at: usize = candidates(&cells, Resolution::Nine, tile)
            .iter()
            .map(Range::len)
            .sum();
        let there = in_tile(&cells, tile).len();
        assert!(
            there > 10 && looked_at < cells.len() / 10,
            "{looked_at} for {there} of {}",
            cells.len()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn finds_what_a_linear_scan_finds(
            lat in prop_oneof![-90.0..90.0_f64, 84.0..90.0_f64, -86.0..-84.0_f64],
            lng in prop_oneof![-180.0..180.0_f64, 179.0..180.0_f64, -180.0..-179.0_f64],
            resolution in 0..=10_u8, z in 0..=14_u8, off_x in -0.02..0.02_f64, off_y in -0.02..0.02_f64,
        ) {
            let resolution = Resolution::try_from(resolution).expect("in range");
            let cells = cells_around(lat, lng, resolution, 12);
            let tile = tile_at((lat + off_y).clamp(-90.0, 90.0), (lng + off_x).clamp(-180.0, 180.0), z);
            let ranges = candidates(&cells, resolution, tile);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
            let candidates: Vec<u64> = ranges.into_iter().flat_map(|range| cells[range].to_vec()).collect();
            prop_assert_eq!(in_tile(&candidates, tile), in_tile(&cells, tile));
        }
    }
}
