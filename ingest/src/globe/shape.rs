//! What an area covers: polygons that were checked, ready to be asked about points.

use geo::{LineString, MultiPolygon, Polygon};

use super::crossing;
use super::edges::Edges;
use super::invalid_shape::{InvalidShape, RingNumber};
use crate::words::LonLat;

/// Positions `[lon, lat]` in degrees, of which the last one repeats the first.
pub type Ring = Vec<[f64; 2]>;

/// Checked polygons. Whether a point is inside is decided on its coordinates, exactly, by the even–odd rule.
///
/// **Borders.** A point on an edge or corner belongs to the side just east of it and, where the edge runs east and west,
/// just north of it. So of areas that share a border exactly one holds each of its points, and counts of areas that
/// cover a city add up to the city's. The meridian of 180° is that of -180°; a pole belongs to what is around it.
///
/// **Lines.** Edges are straight on the plane of longitude and latitude (RFC 7946, section 3.1.1). A polygon over the
/// antimeridian has to be cut there into two (section 3.1.9).
#[derive(Clone, Debug)]
pub struct Shape {
    geometry: MultiPolygon,
    parts: Vec<Part>,
    inside: [f64; 2],
}

/// One polygon of it.
#[derive(Clone, Debug)]
struct Part {
    bounds: [f64; 4],
    edges: Edges,
}

impl Shape {
    /// Checks polygons: of each its outline, then its holes.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn new(polygons: Vec<Vec<Ring>>) -> Result<Self, InvalidShape> {
        let (mut parts, mut checked) = (
            Vec::with_capacity(polygons.len()),
            Vec::with_capacity(polygons.len()),
        );
        for (index, rings) in polygons.into_iter().enumerate() {
            let number = |ring: usize| RingNumber {
                polygon: index + 1,
                ring: ring + 1,
            };
            let rings = rings
                .into_iter()
                .enumerate()
                .map(|(ring, positions)| check_ring(positions, number(ring)))
                .collect::<Result<Vec<_>, _>>()?;
            if let Some(crossing) = crossing::find(&rings) {
                return Err(InvalidShape::CrossesItself {
                    rings: crossing.rings.map(number),
                    at: crossing.at,
                });
            }
            let Some((outline, holes)) = rings.split_first() else {
                continue;
            };
            if let Some(hole) = hole_outside(outline, holes) {
                return Err(InvalidShape::HoleOutside {
                    ring: number(hole + 1),
                });
            }
            parts.push(Part::new(&rings));
            checked.push(Polygon::new(
                line(outline),
                holes.iter().map(|hole| line(hole)).collect(),
            ));
        }
        if parts.is_empty() {
            return Err(InvalidShape::Empty);
        }
        let inside = point_inside(&parts).ok_or(InvalidShape::Flat)?;
        Ok(Self {
            geometry: MultiPolygon::new(checked),
            parts,
            inside,
        })
    }

    /// The polygons, as they were checked: corners that came twice in a row are there once.
    pub const fn geometry(&self) -> &MultiPolygon {
        &self.geometry
    }

    /// A point inside, as `[lon, lat]`: the middle of the widest stretch about half way up.
    pub const fn point_inside(&self) -> [f64; 2] {
        self.inside
    }

    /// Whether it holds the point.
    pub fn contains(&self, place: LonLat) -> bool {
        let point = normalized(place);
        self.parts.iter().any(|part| part.contains(point))
    }

    /// West, south, east and north of each of its polygons, in degrees.
    pub fn boxes(&self) -> impl ExactSizeIterator<Item = [f64; 4]> {
        self.parts.iter().map(|part| part.bounds)
    }

    /// Whether its polygon of this number holds a [`normalized`] point.
    pub(crate) fn part_contains(&self, part: usize, point: [f64; 2]) -> bool {
        self.parts.get(part).is_some_and(|part| part.contains(point))
    }

    /// Whether any of it, or of its border, may be in the box `[west, south, east, north]`.
    pub(crate) fn may_meet(&self, bounds: [f64; 4]) -> bool {
        self.parts.iter().any(|part| overlap(part.bounds, bounds))
    }

    /// Whether any of its edges may be in the box. If not, it holds all points of the box, or none.
    pub(crate) fn border_may_meet(&self, bounds: [f64; 4]) -> bool {
        let near = self.parts.iter().filter(|part| overlap(part.bounds, bounds));
        near.into_iter().any(|part| part.edges.any_meets(bounds))
    }
}

impl Part {
    /// Of an outline and its holes.
    fn new(rings: &[Ring]) -> Self {
        let outline = rings.first().map(Vec::as_slice).unwrap_or_default();
        Self {
            bounds: bounds_of(outline),
            edges: Edges::new(rings),
        }
    }

    fn contains(&self, point: [f64; 2]) -> bool {
        let [west, south, east, north] = self.bounds;
        west <= point[0]
            && point[0] <= east
            && south <= point[1]
            && point[1] <= north
            && self.edges.contain(point)
    }
}

/// A point as borders are compared with it: each on one meridian, and none on the north pole, which is north of
/// everything.
pub(crate) fn normalized([lon, lat]: LonLat) -> [f64; 2] {
    let lon = if lon >= 180.0 { -180.0 } else { lon };
    [lon, lat.min(90.0_f64.next_down())]
}

fn overlap(a: [f64; 4], b: [f64; 4]) -> bool {
    a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3]
}

#[allow(
    clippy::float_cmp,
    reason = "a ring is closed by the very position that it began with"
)]
fn check_ring(mut positions: Ring, ring: RingNumber) -> Result<Ring, InvalidShape> {
    let on_globe = |[lon, lat]: [f64; 2]| (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat);
    if let Some(position) = positions.iter().find(|position| !on_globe(**position)) {
        return Err(InvalidShape::OffTheGlobe {
            ring,
            position: *position,
        });
    }
    positions.dedup();
    let (Some(first), Some(last)) = (positions.first(), positions.last()) else {
        return Err(InvalidShape::TooFewCorners { ring });
    };
    if first != last {
        return Err(InvalidShape::Unclosed {
            ring,
            ends: [*first, *last],
        });
    }
    if positions.len() < 4 {
        return Err(InvalidShape::TooFewCorners { ring });
    }
    // An edge all around the globe is one: it would be none if it were meant the short way.
    let is_ambiguous = |[a, b]: &&[[f64; 2]; 2]| {
        let width = (a[0] - b[0]).abs();
        width > 180.0 && width < 360.0
    };
    match positions.array_windows().find(is_ambiguous) {
        Some(ends) => Err(InvalidShape::OverTheAntimeridian { ring, ends: *ends }),
        None => Ok(positions),
    }
}

fn bounds_of(ring: &[[f64; 2]]) -> [f64; 4] {
    let none = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    ring.iter().fold(none, |[west, south, east, north], [lon, lat]| {
        [west.min(*lon), south.min(*lat), east.max(*lon), north.max(*lat)]
    })
}

fn line(ring: &[[f64; 2]]) -> LineString {
    LineString::from(ring.to_vec())
}

/// The position of the first hole that is not inside of the outline. No ring crosses another, so one point tells.
fn hole_outside(outline: &Ring, holes: &[Ring]) -> Option<usize> {
    if holes.is_empty() {
        return None;
    }
    let whole = Part::new(std::slice::from_ref(outline));
    holes.iter().position(|hole| {
        let point = point_inside(&[Part::new(std::slice::from_ref(hole))]);
        point.is_some_and(|point| !whole.contains(point))
    })
}

/// At some latitudes, the half first, the widest stretch of any part; of the first latitude that gives one.
fn point_inside(parts: &[Part]) -> Option<[f64; 2]> {
    let shares = [
        1.0 / 2.0,
        1.0 / 3.0,
        2.0 / 3.0,
        1.0 / 7.0,
        6.0 / 7.0,
        1.0 / 31.0,
        30.0 / 31.0,
    ];
    shares.into_iter().find_map(|share| {
        let of_part = |part: &Part| {
            let [_, south, _, north] = part.bounds;
            let lat = south + share * (north - south);
            let (lon, width) = part.edges.widest_stretch(lat)?;
            let point = [lon, lat];
            part.contains(point).then_some((point, width))
        };
        let widest = parts
            .iter()
            .filter_map(of_part)
            .max_by(|(_, a), (_, b)| a.total_cmp(b));
        widest.map(|(point, _)| point)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rectangle([west, south, east, north]: [f64; 4]) -> Ring {
        vec![
            [west, south],
            [east, south],
            [east, north],
            [west, north],
            [west, south],
        ]
    }

    fn refusal(polygons: Vec<Vec<Ring>>) -> String {
        Shape::new(polygons).unwrap_err().to_string()
    }

    /// By the even–odd rule in whole numbers: edges that hold the point's latitude and pass east of it.
    fn is_inside(rings: &[Vec<[i64; 2]>], [x, y]: [i64; 2]) -> bool {
        let mut east = 0;
        for ring in rings {
            for (a, b) in ring.iter().zip(ring.iter().skip(1)) {
                let (low, high) = if a[1] <= b[1] { (a, b) } else { (b, a) };
                // The edge at latitude y is at low + (high - low) (y - low) / height; all is multiplied by the height.
                let height = high[1] - low[1];
                let distance = (low[0] - x) * height + (high[0] - low[0]) * (y - low[1]);
                if low[1] <= y && y < high[1] && distance > 0 {
                    east += 1;
                }
            }
        }
        east % 2 == 1
    }

    fn degrees(rings: &[Vec<[i64; 2]>]) -> Vec<Ring> {
        let position = |[x, y]: &[i64; 2]| [*x as f64, *y as f64];
        rings
            .iter()
            .map(|ring| ring.iter().map(position).collect())
            .collect()
    }

    proptest! {
        #[test]
        fn a_shape_holds_what_whole_numbers_say_on_its_borders_too(
            corners in prop::collection::vec((-9..=9_i64, -9..=9_i64), 3..9),
        ) {
            let mut ring: Vec<[i64; 2]> = corners.into_iter().map(|(x, y)| [x, y]).collect();
            ring.extend(ring.first().copied());
            let hole = vec![[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]];
            for rings in [vec![ring.clone()], vec![ring.clone(), hole]] {
                let Ok(shape) = Shape::new(vec![degrees(&rings)]) else {
                    continue;
                };
                for (x, y) in (-10..=10).flat_map(|x| (-10..=10).map(move |y| (x, y))) {
                    prop_assert_eq!(shape.contains([x as f64, y as f64]), is_inside(&rings, [x, y]), "{} {}", x, y);
                }
                prop_assert!(shape.contains(shape.point_inside()));
            }
        }

        #[test]
        fn of_areas_that_share_borders_exactly_one_holds_each_point(
            shifts in prop::collection::vec((-1..=1_i64, -1..=1_i64), 49),
        ) {
            // A raster of 6 × 6 quadrangles, 4 wide, whose corners are shifted.
            let corner = |column: i64, row: i64| {
                let (x, y) = shifts[(row * 7 + column) as usize];
                [4 * column + x, 4 * row + y]
            };
            let shapes: Vec<Shape> = (0..6)
                .flat_map(|row| (0..6).map(move |column| (column, row)))
                .map(|(column, row)| {
                    let corners = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)];
                    let ring = corners.map(|(right, up)| corner(column + right, row + up)).to_vec();
                    Shape::new(vec![degrees(&[ring])]).unwrap()
                })
                .collect();
            // In halves, which are on many edges; two away from the outer border.
            for (x, y) in (4..=44).flat_map(|x| (4..=44).map(move |y| (f64::from(x) / 2.0, f64::from(y) / 2.0))) {
                let holders = shapes.iter().filter(|shape| shape.contains([x, y])).count();
                prop_assert_eq!(holders, 1, "{} {}", x, y);
            }
        }

        #[test]
        fn a_box_that_no_edge_may_meet_is_inside_or_outside_as_a_whole(
            corners in prop::collection::vec((-90.0..90.0_f64, -90.0..90.0_f64), 3..9),
            bounds in (-90.0..90.0_f64, -90.0..90.0_f64, 0.0..20.0_f64, 0.0..20.0_f64),
            shares in prop::collection::vec((0.0..=1.0_f64, 0.0..=1.0_f64), 8),
        ) {
            let mut ring: Ring = corners.into_iter().map(|(lon, lat)| [lon, lat]).collect();
            ring.extend(ring.first().copied());
            let Ok(shape) = Shape::new(vec![vec![ring]]) else {
                return Ok(());
            };
            let (west, south, width, height) = bounds;
            if shape.border_may_meet([west, south, west + width, south + height]) {
                return Ok(());
            }
            let first = shape.contains([west, south]);
            for (right, up) in shares {
                prop_assert_eq!(shape.contains([west + right * width, south + up * height]), first);
            }
        }
    }

    #[test]
    fn a_point_on_a_border_is_of_the_area_to_its_east_and_north() {
        let [left, right] = [[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0]]
            .map(|bounds| Shape::new(vec![vec![rectangle(bounds)]]).unwrap());
        assert!(!left.contains([1.0, 0.5]) && right.contains([1.0, 0.5]));
        assert!(left.contains([0.0, 0.0]) && left.contains([0.5, 0.0]) && !left.contains([0.5, 1.0]));
        assert!(!right.contains([2.0, 0.5]));
    }

    #[test]
    fn the_two_names_of_the_antimeridian_are_one_place_and_poles_are_of_what_is_around_them() {
        let fiji = Shape::new(vec![
            vec![rectangle([177.0, -20.0, 180.0, -15.0])],
            vec![rectangle([-180.0, -20.0, -178.0, -15.0])],
        ])
        .unwrap();
        assert!(
            fiji.contains([180.0, -17.0]) && fiji.contains([-180.0, -17.0]) && fiji.contains([179.9, -17.0])
        );
        assert!(!fiji.contains([-177.9, -17.0]) && !fiji.contains([0.0, -17.0]));
        let arctic = Shape::new(vec![vec![rectangle([-180.0, 66.0, 180.0, 90.0])]]).unwrap();
        let antarctic = Shape::new(vec![vec![rectangle([-180.0, -90.0, 180.0, -60.0])]]).unwrap();
        for lon in [-180.0, -7.0, 180.0] {
            assert!(
                arctic.contains([lon, 90.0]) && antarctic.contains([lon, -90.0]),
                "{lon}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_to_do() {
        let mut open = rectangle([0.0, 0.0, 1.0, 1.0]);
        open.pop();
        let swapped = rectangle([22.0, 113.0, 23.0, 114.0]);
        let good = || vec![rectangle([5.0, 5.0, 6.0, 6.0])];
        for (polygons, expected) in [
            (vec![], "it has no polygon"),
            (
                vec![good(), vec![open]],
                "ring 1 of polygon 2 is not closed: it begins at lon 0, lat 0 and ends at lon 0, lat 1; repeat",
            ),
            (
                vec![vec![swapped]],
                "ring 1 of polygon 1: lon 22, lat 113 is off the globe: lon goes from -180 to 180",
            ),
            (vec![vec![vec![[0.0, f64::NAN]; 5]]], "lat NaN is off the globe"),
            (
                vec![vec![vec![[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]],
                "ring 1 of polygon 1 has fewer than three different corners",
            ),
            (vec![vec![vec![]]], "fewer than three"),
            (
                vec![vec![vec![[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [0.0, 0.0]]]],
                "it encloses nothing",
            ),
            (
                vec![vec![vec![
                    [0.0, 0.0],
                    [2.0, 2.0],
                    [2.0, 0.0],
                    [0.0, 2.0],
                    [0.0, 0.0],
                ]]],
                "ring 1 of polygon 1 crosses itself near lon 1, lat 1; put its corners right",
            ),
            (
                vec![vec![
                    rectangle([0.0, 0.0, 4.0, 4.0]),
                    rectangle([1.0, 1.0, 5.0, 2.0]),
                ]],
                "ring 1 of polygon 1 crosses ring 2 of polygon 1 near lon 4, lat",
            ),
            (
                vec![vec![
                    rectangle([0.0, 0.0, 4.0, 4.0]),
                    rectangle([5.0, 1.0, 6.0, 2.0]),
                ]],
                "ring 2 of polygon 1 is a hole and lies outside of ring 1",
            ),
            (
                vec![vec![vec![
                    [179.0, 0.0],
                    [-179.0, 0.0],
                    [-179.0, 1.0],
                    [179.0, 1.0],
                    [179.0, 0.0],
                ]]],
                "goes around more than half of the globe; cut a polygon that crosses the antimeridian there into two",
            ),
        ] {
            let said = refusal(polygons);
            assert!(said.contains(expected), "{said}");
        }
    }
}
