//! The cells of an area: those whose centre it holds.

use std::ops::{ControlFlow, Range};

use h3o::{CellIndex, LatLng, Resolution};

use crate::cells::{CellSet, children_range};
use crate::globe::Shape;

/// The centres of all cells under a cell lie within so many times the distance to its furthest corner.
///
/// On a plane it is 1.06, the sum of √3/√7 + √3/7 + √3/(7√7) …, as each step turns by 19° and shrinks by √7. The globe
/// stretches cells, mostly near the corners of the icosahedron.
const REACH: f64 = 1.4;

/// An area has more cells than may be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it has more than {most} cells of resolution {resolution}; take a coarser resolution or a smaller area"
)]
pub struct TooManyCells {
    /// How many may be.
    pub most: usize,
    /// Of this resolution.
    pub resolution: Resolution,
}

/// The cells of `resolution` whose centre is inside `shape`, ascending.
///
/// # Errors
/// When there are more than `most`.
pub fn cells_of(shape: &Shape, resolution: Resolution, most: usize) -> Result<Vec<u64>, TooManyCells> {
    let mut cells = Vec::new();
    let listed = descend(shape, resolution, |cell| {
        if cell.children_count(resolution) + cells.len() as u64 > most as u64 {
            return ControlFlow::Break(());
        }
        cells.extend(cell.children(resolution).map(u64::from));
        ControlFlow::Continue(())
    });
    if listed.is_break() {
        return Err(TooManyCells { most, resolution });
    }
    cells.sort_unstable();
    Ok(cells)
}

/// The same as ranges of ids: as many as the border of the shape makes, whatever its size.
pub fn cell_set_of(shape: &Shape, resolution: Resolution) -> CellSet {
    let mut ranges = Vec::new();
    let all = descend(shape, resolution, |cell| {
        ranges.push(ids_under(cell, resolution));
        ControlFlow::Continue::<()>(())
    });
    debug_assert!(all.is_continue(), "nothing ends it early");
    CellSet::of(ranges)
}

/// The ids of the cells under `cell`, and those after them that are no cells, so that ranges side by side become one.
fn ids_under(cell: CellIndex, resolution: Resolution) -> Range<u64> {
    let start = children_range(cell, resolution).start;
    let digit_of = |level: u64| 3 * (15 - level);
    let mut level = u64::from(u8::from(cell.resolution()));
    let mut end = start + (1 << digit_of(level));
    // Digits are 0 to 6: past the last one the next cell is that after the parent.
    while level > 0 && (end >> digit_of(level)) & 7 == 7 {
        end += 1 << digit_of(level);
        level -= 1;
    }
    start..end
}

/// Goes down from the 122 coarsest cells and gives those, of `resolution` or coarser, that together have all the cells of
/// `resolution` whose centre is inside. A cell under which the border of the shape does not run is taken whole or left out
/// by its own centre, so that the time goes with the cells along the border.
fn descend<B>(
    shape: &Shape,
    resolution: Resolution,
    mut take: impl FnMut(CellIndex) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut open: Vec<CellIndex> = CellIndex::base_cells().collect();
    while let Some(cell) = open.pop() {
        let centre = LatLng::from(cell);
        let is_inside = || shape.contains([centre.lng(), centre.lat()]);
        if cell.resolution() == resolution {
            if is_inside() {
                take(cell)?;
            }
            continue;
        }
        let boxes = boxes_of_descendants(cell, centre);
        if boxes
            .iter()
            .flatten()
            .any(|bounds| shape.border_may_meet(*bounds))
        {
            let next = cell.resolution().succ().unwrap_or(resolution);
            open.extend(cell.children(next));
        } else if boxes.iter().flatten().any(|bounds| shape.may_meet(*bounds)) && is_inside() {
            take(cell)?;
        }
    }
    ControlFlow::Continue(())
}

/// One or two boxes `[west, south, east, north]` that hold the centres of all cells under `cell`.
fn boxes_of_descendants(cell: CellIndex, centre: LatLng) -> [Option<[f64; 4]>; 2] {
    let corners = cell.boundary();
    let furthest = corners
        .iter()
        .map(|corner| centre.distance_rads(*corner))
        .fold(0.0, f64::max);
    boxes_of_cap(centre, REACH * furthest)
}

/// The boxes around all points within `radius` radians of `centre`; two where they reach over the antimeridian.
fn boxes_of_cap(centre: LatLng, radius: f64) -> [Option<[f64; 4]>; 2] {
    let (lon, lat) = (centre.lng(), centre.lat());
    let reach = radius.to_degrees();
    let (south, north) = ((lat - reach).max(-90.0), (lat + reach).min(90.0));
    // The meridians that touch the circle do so at sin Δλ = sin r / cos φ; around a pole there are none.
    let ratio = radius.sin() / centre.lat_radians().cos();
    if south <= -90.0 || north >= 90.0 || ratio >= 1.0 {
        return [Some([-180.0, south, 180.0, north]), None];
    }
    let width = ratio.asin().to_degrees();
    let (west, east) = (lon - width, lon + width);
    if west < -180.0 {
        [
            Some([-180.0, south, east, north]),
            Some([west + 360.0, south, 180.0, north]),
        ]
    } else if east > 180.0 {
        [
            Some([west, south, 180.0, north]),
            Some([-180.0, south, east - 360.0, north]),
        ]
    } else {
        [Some([west, south, east, north]), None]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hold(boxes: [Option<[f64; 4]>; 2], point: LatLng) -> bool {
        boxes.into_iter().flatten().any(|[west, south, east, north]| {
            (west..=east).contains(&point.lng()) && (south..=north).contains(&point.lat())
        })
    }

    fn descendants_are_held(cell: CellIndex, depth: u8) {
        let boxes = boxes_of_descendants(cell, LatLng::from(cell));
        let resolution = Resolution::try_from(u8::from(cell.resolution()) + depth).unwrap();
        for descendant in cell.children(resolution) {
            assert!(hold(boxes, LatLng::from(descendant)), "{descendant} of {cell}");
        }
    }

    #[test]
    fn the_boxes_of_each_coarse_cell_hold_what_is_under_it() {
        for cell in CellIndex::base_cells() {
            descendants_are_held(cell, 3);
        }
        for cell in CellIndex::base_cells().flat_map(|cell| cell.children(Resolution::Two)) {
            descendants_are_held(cell, 2);
        }
    }

    /// A star around a place, that may go over the antimeridian: then in two parts.
    fn shape(lon: f64, lat: f64, size: f64, radii: &[f64]) -> Option<Shape> {
        let corners = |shift: f64| -> Vec<[f64; 2]> {
            let step = std::f64::consts::TAU / radii.len() as f64;
            let ring = radii.iter().enumerate().map(|(number, radius)| {
                let (sin, cos) = (step * number as f64).sin_cos();
                let lon = lon + shift + size * radius * cos;
                [
                    lon.clamp(-180.0, 180.0),
                    (lat + size * radius * sin).clamp(-90.0, 90.0),
                ]
            });
            let mut ring: Vec<_> = ring.collect();
            ring.extend(ring.first().copied());
            ring
        };
        // Cutting by clamping moves the border; what counts here is that a part ends at the antimeridian.
        let polygons = [0.0, -360.0, 360.0].map(|shift| vec![corners(shift)]);
        let whole: Vec<_> = polygons
            .into_iter()
            .filter(|rings| Shape::new(vec![rings.clone()]).is_ok())
            .collect();
        Shape::new(whole).ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn they_are_the_cells_of_a_loop_over_all_centres(
            lon in -180.0..180.0_f64,
            lat in -90.0..90.0_f64,
            size in 0.1..40.0_f64,
            radii in prop::collection::vec(0.2..1.0_f64, 3..12),
            resolution in 0_u8..=3,
        ) {
            let resolution = Resolution::try_from(resolution).unwrap();
            let Some(shape) = shape(lon, lat, size, &radii) else {
                return Ok(());
            };
            let mut slow: Vec<u64> = CellIndex::base_cells()
                .flat_map(|cell| cell.children(resolution))
                .filter(|cell| {
                    let centre = LatLng::from(*cell);
                    shape.contains([centre.lng(), centre.lat()])
                })
                .map(u64::from)
                .collect();
            slow.sort_unstable();
            let mut all: Vec<u64> = CellIndex::base_cells()
                .flat_map(|cell| cell.children(resolution))
                .map(u64::from)
                .collect();
            all.sort_unstable();
            let set = cell_set_of(&shape, resolution);
            prop_assert_eq!(set.count_in(&slow), slow.len());
            prop_assert_eq!(set.count_in(&all), slow.len());
            prop_assert_eq!(cells_of(&shape, resolution, 1_000_000), Ok(slow));
        }
    }

    #[test]
    fn all_cells_are_a_few_ranges_and_the_children_of_side_by_side_parents_too() {
        let earth = vec![
            [-180.0, -90.0],
            [180.0, -90.0],
            [180.0, 90.0],
            [-180.0, 90.0],
            [-180.0, -90.0],
        ];
        let earth = Shape::new(vec![vec![earth]]).unwrap();
        // Pentagons lack a child each, which parts a range where the border runs through one.
        assert!(cell_set_of(&earth, Resolution::Five).ranges().len() < 10);
        let parent = CellIndex::try_from(0x0854_11ca_3fff_ffff).unwrap();
        let under = ids_under(parent, Resolution::Nine);
        let children = parent.children(Resolution::Six);
        let by_child = CellSet::of(children.map(|child| ids_under(child, Resolution::Nine)).collect());
        assert_eq!(by_child, CellSet::from(under));
    }

    #[test]
    fn more_than_may_be_listed_is_an_error_that_says_what_to_do() {
        let ring = vec![[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0], [0.0, 0.0]];
        let shape = Shape::new(vec![vec![ring]]).unwrap();
        let error = cells_of(&shape, Resolution::Nine, 1000).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it has more than 1000 cells of resolution 9; take a coarser resolution or a smaller area"
        );
        let whole_earth = vec![
            [-180.0, -90.0],
            [180.0, -90.0],
            [180.0, 90.0],
            [-180.0, 90.0],
            [-180.0, -90.0],
        ];
        let earth = Shape::new(vec![vec![whole_earth]]).unwrap();
        assert_eq!(
            cells_of(&earth, Resolution::Three, 1 << 20).unwrap().len(),
            41_162
        );
        assert!(cells_of(&earth, Resolution::Fifteen, 1 << 20).is_err());
    }
}
