//! Rings on a tile's whole-number coordinates: what is left of a polygon after rounding, as a ring that readers accept.

use super::clip::{Box2, Point, Rings};

/// A corner in tile units, `y` to the south.
pub(crate) type Corner = (i32, i32);

/// Rings after rounding, keeping their memory.
#[derive(Default)]
pub(crate) struct RoundedRings {
    rings: Vec<Vec<Corner>>,
}

/// Rounds of splitting a ring where it meets itself. Each puts a corner at a meeting, and corners are few.
const MOST_SPLITS: usize = 64;

impl RoundedRings {
    /// Rounds polygons to valid exterior rings: each with at least three corners, none twice, no edges that cross, an area
    /// above zero, and clockwise as drawn. Not closed. What rounding makes meet itself becomes the rings on both sides of the
    /// meeting; what it leaves without an area is left out, and when nothing has one, all is drawn as a box of at least one
    /// unit, moved into `0..=extent` so that it stays visible.
    pub(crate) fn of(&mut self, polygons: &Rings, extent: i32) -> &[Vec<Corner>] {
        self.rings.clear();
        for polygon in polygons.iter() {
            let ring = cleaned(
                polygon
                    .iter()
                    .map(|point| (point.x.round() as i32, point.y.round() as i32)),
            );
            if ring.len() < 3 {
                continue;
            }
            if is_convex(&ring) || is_simple(&ring) {
                self.rings.push(ring);
            } else {
                split(ring, &mut self.rings);
            }
        }
        if self.rings.is_empty() && !polygons.points().is_empty() {
            self.rings.push(box_of_a_unit(polygons.points(), extent));
        }
        &self.rings
    }
}

/// The corners without repetitions, spikes and corners within edges, clockwise; fewer than three when there is no area.
fn cleaned(corners: impl IntoIterator<Item = Corner>) -> Vec<Corner> {
    let mut ring: Vec<Corner> = Vec::new();
    for corner in corners {
        if ring.last() != Some(&corner) {
            ring.push(corner);
        }
    }
    while ring.len() > 1 && ring.first() == ring.last() {
        ring.pop();
    }
    drop_corners_within_edges(&mut ring);
    match twice_area(&ring).signum() {
        0 => ring.clear(),
        -1 => ring.reverse(),
        _ => {}
    }
    ring
}

/// Puts the simple rings that a ring which meets itself is made of into `simple`. Lobes that rounding turned over have no
/// area that is to be drawn.
fn split(ring: Vec<Corner>, simple: &mut Vec<Vec<Corner>>) {
    let mut waiting = vec![ring];
    let mut splits = 0;
    while let Some(mut ring) = waiting.pop() {
        if ring.len() < 3 || twice_area(&ring) <= 0 {
            continue;
        }
        splits += 1;
        if let Some((first, second)) = corner_twice(&ring) {
            let lobe: Vec<Corner> = ring.drain(first..second).collect();
            for part in [lobe, ring] {
                let is_clockwise = twice_area(&part) > 0;
                waiting.extend(is_clockwise.then(|| cleaned(part)));
            }
        } else if let Some((edge, corner)) = meeting(&ring).filter(|_| splits < MOST_SPLITS) {
            ring.insert(edge + 1, corner);
            // The other edge of a crossing meets the new corner in the next round.
            waiting.push(ring);
        } else if is_simple(&ring) {
            simple.push(ring);
        } else {
            simple.push(convex_hull(&ring));
        }
    }
}

/// A corner that the ring comes to twice.
fn corner_twice(ring: &[Corner]) -> Option<(usize, usize)> {
    ring.iter().enumerate().find_map(|(first, corner)| {
        let later = ring.iter().skip(first + 1).position(|other| other == corner)?;
        Some((first, first + 1 + later))
    })
}

/// An edge (by the corner that it starts from) and the place where another corner or edge meets it.
fn meeting(ring: &[Corner]) -> Option<(usize, Corner)> {
    let edges: Vec<(Corner, Corner)> = ring
        .iter()
        .copied()
        .zip(ring.iter().copied().cycle().skip(1))
        .collect();
    let within = |(a, b): (Corner, Corner), corner: Corner| {
        corner != a && corner != b && turn(a, b, corner) == 0 && lies_between(a, b, corner)
    };
    for (place, edge) in edges.iter().enumerate() {
        if let Some(corner) = ring.iter().find(|corner| within(*edge, **corner)) {
            return Some((place, *corner));
        }
    }
    for (place, edge) in edges.iter().enumerate() {
        for other in edges.iter().skip(place + 2) {
            let crossing =
                crossing(*edge, *other).filter(|crossing| *crossing != edge.0 && *crossing != edge.1);
            if let Some(crossing) = crossing {
                return Some((place, crossing));
            }
        }
    }
    None
}

/// Where two edges cross, rounded.
fn crossing((a, b): (Corner, Corner), (c, d): (Corner, Corner)) -> Option<Corner> {
    let (to_a, to_b) = (turn(c, d, a), turn(c, d, b));
    if to_a.signum() * to_b.signum() >= 0 || turn(a, b, c).signum() * turn(a, b, d).signum() >= 0 {
        return None;
    }
    let share = to_a as f64 / (to_a - to_b) as f64;
    let along = |from: i32, to: i32| share.mul_add(f64::from(to - from), f64::from(from)).round() as i32;
    Some((along(a.0, b.0), along(a.1, b.1)))
}

fn lies_between(a: Corner, b: Corner, corner: Corner) -> bool {
    (a.0.min(b.0)..=a.0.max(b.0)).contains(&corner.0) && (a.1.min(b.1)..=a.1.max(b.1)).contains(&corner.1)
}

/// Positive when `c` lies clockwise (as drawn) of the line from `a` to `b`.
fn turn(a: Corner, b: Corner, c: Corner) -> i64 {
    let (bx, by) = (i64::from(b.0) - i64::from(a.0), i64::from(b.1) - i64::from(a.1));
    let (cx, cy) = (i64::from(c.0) - i64::from(a.0), i64::from(c.1) - i64::from(a.1));
    bx * cy - cx * by
}

/// The corners of the ring with the ones before and after each.
fn neighbours(ring: &[Corner]) -> impl Iterator<Item = (Corner, Corner, Corner)> + '_ {
    let before = ring.iter().cycle().skip(ring.len().saturating_sub(1));
    let after = ring.iter().cycle().skip(1);
    ring.iter()
        .zip(before)
        .zip(after)
        .map(|((corner, before), after)| (*before, *corner, *after))
}

fn twice_area(ring: &[Corner]) -> i64 {
    let Some(first) = ring.first() else { return 0 };
    neighbours(ring)
        .map(|(_, corner, after)| turn(*first, corner, after))
        .sum()
}

/// Removes corners on a straight line between their neighbours, and spikes.
fn drop_corners_within_edges(ring: &mut Vec<Corner>) {
    while ring.len() > 2 {
        let straight = neighbours(ring).position(|(before, corner, after)| turn(before, corner, after) == 0);
        let Some(straight) = straight else { return };
        ring.remove(straight);
    }
}

/// Whether the ring turns clockwise at every corner, and once around in all.
fn is_convex(ring: &[Corner]) -> bool {
    let turns_right = neighbours(ring).all(|(before, corner, after)| turn(before, corner, after) > 0);
    // Once around means that `x` changes direction exactly twice.
    let directions = neighbours(ring).filter(|(before, corner, after)| {
        let (arriving, leaving) = (corner.0 - before.0, after.0 - corner.0);
        (arriving >= 0) != (leaving >= 0)
    });
    turns_right && directions.count() == 2
}

/// Whether no two edges meet except neighbours in their common corner.
fn is_simple(ring: &[Corner]) -> bool {
    let edges: Vec<(Corner, Corner)> = neighbours(ring)
        .map(|(_, corner, after)| (corner, after))
        .collect();
    let last = edges.len().saturating_sub(1);
    edges.iter().enumerate().all(|(i, edge)| {
        edges
            .iter()
            .enumerate()
            .skip(i + 2)
            .all(|(j, other)| (i == 0 && j == last) || !edges_meet(*edge, *other))
    })
}

fn edges_meet((a, b): (Corner, Corner), (c, d): (Corner, Corner)) -> bool {
    let within = |p: Corner, q: Corner, r: Corner| turn(p, q, r) == 0 && lies_between(p, q, r);
    let sides_differ = |p, q, r, s| turn(p, q, r).signum() * turn(p, q, s).signum() < 0;
    (sides_differ(a, b, c, d) && sides_differ(c, d, a, b))
        || within(a, b, c)
        || within(a, b, d)
        || within(c, d, a)
        || within(c, d, b)
}

/// The convex hull, clockwise as drawn (Andrew 1979, the monotone chain).
fn convex_hull(corners: &[Corner]) -> Vec<Corner> {
    let mut sorted = corners.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let chain = |corners: &mut dyn Iterator<Item = Corner>| {
        let mut chain: Vec<Corner> = Vec::new();
        for corner in corners {
            while let [.., a, b] = chain.as_slice() {
                if turn(*a, *b, corner) > 0 {
                    break;
                }
                chain.pop();
            }
            chain.push(corner);
        }
        chain.pop();
        chain
    };
    let mut hull = chain(&mut sorted.iter().copied());
    hull.extend(chain(&mut sorted.iter().rev().copied()));
    hull
}

fn box_of_a_unit(points: &[Point], extent: i32) -> Vec<Corner> {
    let around = Box2::around(points);
    let (min_x, max_x) = span_of_a_unit(around.min_x, around.max_x, extent);
    let (min_y, max_y) = span_of_a_unit(around.min_y, around.max_y, extent);
    vec![(min_x, min_y), (max_x, min_y), (max_x, max_y), (min_x, max_y)]
}

/// The rounded span; if that is empty, the unit that holds its middle, within `0..=extent`.
fn span_of_a_unit(min: f64, max: f64, extent: i32) -> (i32, i32) {
    let (low, high) = (min.round() as i32, max.round() as i32);
    if low < high {
        return (low, high);
    }
    let low = (f64::midpoint(min, max).floor() as i32).clamp(0, extent - 1);
    (low, low + 1)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all_rounded(points: &[(f64, f64)]) -> Vec<Vec<Corner>> {
        let mut polygon = Rings::default();
        polygon.push(points.iter().map(|&(x, y)| Point { x, y }));
        RoundedRings::default().of(&polygon, 4096).to_vec()
    }

    fn rounded(points: &[(f64, f64)]) -> Vec<Corner> {
        let rings = all_rounded(points);
        assert_eq!(rings.len(), 1, "{rings:?}");
        rings[0].clone()
    }

    /// Fails unless the ring is what a reader of vector tiles accepts as an exterior one.
    pub(crate) fn assert_valid_exterior(ring: &[Corner]) {
        assert!(ring.len() >= 3, "{ring:?}");
        let mut distinct = ring.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), ring.len(), "a corner twice: {ring:?}");
        assert!(twice_area(ring) > 0, "winding: {ring:?}");
        assert!(is_simple(ring), "edges meet: {ring:?}");
    }

    #[test]
    fn a_point_becomes_a_unit_square_around_it() {
        assert_eq!(rounded(&[(7.2, 9.9); 6]), [(7, 9), (8, 9), (8, 10), (7, 10)]);
        assert_eq!(
            rounded(&[(4096.0, -0.3); 3]),
            [(4095, 0), (4096, 0), (4096, 1), (4095, 1)]
        );
    }

    #[test]
    fn a_line_becomes_a_box() {
        assert_eq!(
            rounded(&[(1.0, 5.1), (9.0, 5.2), (4.0, 5.3)]),
            [(1, 5), (9, 5), (9, 6), (1, 6)]
        );
    }

    #[test]
    fn winding_is_clockwise_as_drawn_whatever_it_was() {
        let clockwise = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)];
        let mut counter = clockwise;
        counter.reverse();
        assert_valid_exterior(&rounded(&clockwise));
        assert_valid_exterior(&rounded(&counter));
    }

    #[test]
    fn a_dent_stays_a_dent() {
        let dented = [
            (0.0, 0.0),
            (50.0, 10.0),
            (100.0, 0.0),
            (100.0, 100.0),
            (0.0, 100.0),
        ];
        let ring = rounded(&dented);
        assert_eq!(ring.len(), 5);
        assert_valid_exterior(&ring);
    }

    #[test]
    fn a_neck_that_rounding_closes_leaves_both_sides_of_it() {
        let hourglass = [
            (0.0, 0.0),
            (100.0, 0.0),
            (50.3, 50.0),
            (100.0, 100.0),
            (0.0, 100.0),
            (49.7, 50.0),
        ];
        let rings = all_rounded(&hourglass);
        assert_eq!(rings.len(), 2, "{rings:?}");
        for ring in &rings {
            assert_valid_exterior(ring);
        }
        assert_eq!(rings.iter().map(|ring| twice_area(ring)).sum::<i64>(), 2 * 5_000);
    }

    #[test]
    fn a_neck_along_an_edge_leaves_both_sides_of_it() {
        // Two blocks that a passage less than half a unit high joins.
        let blocks = [
            (0.0, 0.0),
            (40.0, 0.0),
            (40.0, 20.0),
            (60.0, 20.0),
            (60.0, 0.0),
            (100.0, 0.0),
            (100.0, 40.0),
            (60.0, 40.0),
            (60.0, 20.4),
            (40.0, 20.4),
            (40.0, 40.0),
            (0.0, 40.0),
        ];
        let rings = all_rounded(&blocks);
        assert_eq!(rings.len(), 2, "{rings:?}");
        for ring in &rings {
            assert_valid_exterior(ring);
        }
        assert_eq!(
            rings.iter().map(|ring| twice_area(ring)).sum::<i64>(),
            2 * 2 * 1_600
        );
    }

    #[test]
    fn edges_that_run_to_and_fro_are_no_longer_there() {
        let two_bumps = [
            (0.0, 0.0),
            (3.0, 0.0),
            (3.0, 5.0),
            (3.0, 0.0),
            (9.0, 0.0),
            (9.0, 4.0),
            (5.0, 0.0),
            (0.0, 4.0),
        ];
        for ring in all_rounded(&two_bumps) {
            assert_valid_exterior(&ring);
        }
    }

    proptest! {
        #[test]
        fn any_polygon_gives_a_valid_ring(
            points in prop::collection::vec((-64.0..4160.0_f64, -64.0..4160.0_f64), 0..12),
            scale in prop::sample::select(vec![1.0, 0.01, 0.001, 0.0001]),
        ) {
            let points: Vec<_> = points.iter().map(|&(x, y)| (x * scale + 20.0, y * scale + 20.0)).collect();
            let rings = all_rounded(&points);
            prop_assert_eq!(rings.is_empty(), points.is_empty());
            for ring in &rings {
            assert_valid_exterior(ring);
        }
        }

        #[test]
        fn hexagons_keep_their_area(x in 0.0..4000.0_f64, y in 0.0..4000.0_f64, radius in 20.0..90.0_f64) {
            let corners: Vec<_> = (0..6)
                .map(|k| f64::from(k) * std::f64::consts::FRAC_PI_3)
                .map(|angle| (radius.mul_add(angle.cos(), x), radius.mul_add(angle.sin(), y)))
                .collect();
            let ring = rounded(&corners);
            assert_valid_exterior(&ring);
            let area = twice_area(&ring) as f64 / 2.0;
            let expected = 1.5 * 3_f64.sqrt() * radius * radius;
            prop_assert!((area - expected).abs() < 6.0 * radius, "{area} for {expected}");
        }
    }
}
