//! Polygons that cross themselves.
//!
//! Real borders are rounded to some decimals, which makes edges cross by a hair where a border bends sharply. Such a
//! crossing cuts off next to nothing, and by the even–odd rule the two areas at a shared border still fit together. A
//! crossing that cuts off more is a mistake in the order of the corners.

use geo::kernels::Orientation;
use rstar::{AABB, RTree, RTreeObject};

use super::edges::orientation;

/// Of a ring's extent, crossings may cut off this share.
const TOLERATED: f64 = 1e-3;

/// Where edges cross.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crossing {
    /// The ring of each of the two edges.
    pub(super) rings: [usize; 2],
    /// About where.
    pub(super) at: [f64; 2],
}

/// One edge, and where it is in its ring.
#[derive(Clone, Copy, Debug)]
struct Side {
    ring: usize,
    /// Number of its first corner.
    corner: usize,
    from: [f64; 2],
    to: [f64; 2],
    /// The corner before its first.
    before: [f64; 2],
}

impl RTreeObject for Side {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        AABB::from_corners(self.from, self.to)
    }
}

/// What of the polygon crosses, beyond what rounding does.
///
/// Two edges cross where they have one point in common that is inside both; an edge and the corner of another cross
/// where the corner lies inside the edge and its ring goes on at the other side. What only touches, or runs along an
/// edge, does not cross. Rings are closed, and hold no corner twice in a row.
pub(super) fn find(rings: &[Vec<[f64; 2]>]) -> Option<Crossing> {
    let sides: Vec<Side> = rings
        .iter()
        .enumerate()
        .flat_map(|(ring, corners)| sides(ring, corners))
        .collect();
    let tree = RTree::bulk_load(sides.clone());
    let mut cut_off = vec![0.0; rings.len()];
    for side in &sides {
        for other in tree.locate_in_envelope_intersecting(&side.envelope()) {
            let Some(at) = crossing_point(side, other) else {
                continue;
            };
            let crossing = Crossing {
                rings: [side.ring, other.ring],
                at,
            };
            if side.ring != other.ring {
                return Some(crossing);
            }
            let share = rings
                .get(side.ring)
                .map_or(1.0, |ring| share_cut_off(ring, side.corner, other.corner, at));
            let total = cut_off.get_mut(side.ring)?;
            *total += share;
            if *total > TOLERATED {
                return Some(crossing);
            }
        }
    }
    None
}

fn sides(ring: usize, corners: &[[f64; 2]]) -> impl Iterator<Item = Side> {
    // The last corner is the first one again: the corner before both is the last but one.
    let before_first = corners
        .len()
        .checked_sub(2)
        .and_then(|index| corners.get(index))
        .copied();
    let before = before_first.into_iter().chain(corners.iter().copied());
    before
        .zip(corners.array_windows())
        .enumerate()
        .map(move |(corner, (before, [from, to]))| Side {
            ring,
            corner,
            from: *from,
            to: *to,
            before,
        })
}

/// Where `side` crosses `other`; each pair is found once: inner points by the first of the two, corners by theirs.
fn crossing_point(side: &Side, other: &Side) -> Option<[f64; 2]> {
    use Orientation::Collinear;
    let of_other = [
        orientation(side.from, side.to, other.from),
        orientation(side.from, side.to, other.to),
    ];
    let of_side = [
        orientation(other.from, other.to, side.from),
        orientation(other.from, other.to, side.to),
    ];
    let opposite = |[a, b]: [Orientation; 2]| a != Collinear && b != Collinear && a != b;
    if of_side[0] == Collinear {
        let before = orientation(other.from, other.to, side.before);
        let is_inside = is_strictly_between(side.from, other.from, other.to);
        return (is_inside && opposite([before, of_side[1]])).then_some(side.from);
    }
    let is_first = (side.ring, side.corner) < (other.ring, other.corner);
    (is_first && opposite(of_other) && opposite(of_side)).then(|| meeting_point(side, other))
}

/// Of a point on the line through `a` and `b`: whether it is between them and is neither.
#[allow(
    clippy::float_cmp,
    reason = "a corner is another one only if all its bits say so"
)]
fn is_strictly_between(point: [f64; 2], a: [f64; 2], b: [f64; 2]) -> bool {
    let within = |axis: usize| {
        let (p, a, b) = (point[axis], a[axis], b[axis]);
        a.min(b) <= p && p <= a.max(b)
    };
    within(0) && within(1) && point != a && point != b
}

/// Where the lines of two crossing edges meet, as near as floating point has it.
fn meeting_point(one: &Side, other: &Side) -> [f64; 2] {
    let vector = |side: &Side| [side.to[0] - side.from[0], side.to[1] - side.from[1]];
    let cross = |a: [f64; 2], b: [f64; 2]| a[0] * b[1] - a[1] * b[0];
    let (along, across) = (vector(one), vector(other));
    let between = [other.from[0] - one.from[0], other.from[1] - one.from[1]];
    let share = (cross(between, across) / cross(along, across)).clamp(0.0, 1.0);
    [one.from[0] + share * along[0], one.from[1] + share * along[1]]
}

/// A crossing of the edges that begin at corners `one` and `other` makes two loops of a ring: the share that the smaller
/// one has of the extent of both.
fn share_cut_off(ring: &[[f64; 2]], one: usize, other: usize, at: [f64; 2]) -> f64 {
    let (first, last) = (one.min(other), one.max(other));
    let inner = ring.get(first + 1..=last).unwrap_or_default();
    let (head, tail) = (
        ring.get(..=first).unwrap_or_default(),
        ring.get(last + 1..).unwrap_or_default(),
    );
    let inner = extent(at, inner.iter());
    let outer = extent(at, tail.iter().chain(head));
    if inner + outer > 0.0 {
        inner.min(outer) / (inner + outer)
    } else {
        0.0
    }
}

/// What the loop from `at` over `corners` and back encloses, in square degrees, by the shoelace formula.
fn extent<'a>(at: [f64; 2], corners: impl Iterator<Item = &'a [f64; 2]>) -> f64 {
    let mut last = [0.0; 2];
    let mut double = 0.0;
    for corner in corners {
        let next = [corner[0] - at[0], corner[1] - at[1]];
        double += last[0] * next[1] - last[1] * next[0];
        last = next;
    }
    double.abs() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(corners: &[[f64; 2]]) -> Vec<[f64; 2]> {
        corners.iter().chain(corners.first()).copied().collect()
    }

    #[test]
    fn a_bow_tie_crosses_in_its_middle() {
        let tie = closed(&[[0.0, 0.0], [2.0, 2.0], [2.0, 0.0], [0.0, 2.0]]);
        let crossing = find(&[tie]).unwrap();
        assert_eq!((crossing.rings, crossing.at), ([0, 0], [1.0, 1.0]));
    }

    #[test]
    fn a_ring_that_goes_through_an_edge_at_a_corner_crosses() {
        let ring = closed(&[[0.0, 0.0], [2.0, 2.0], [2.0, 0.0], [1.0, 1.0], [0.0, 2.0]]);
        assert_eq!(
            find(&[ring]).unwrap().at.map(f64::to_bits),
            [1.0_f64.to_bits(); 2]
        );
    }

    #[test]
    fn touching_is_not_crossing() {
        // A corner that touches an edge from within; two corners in one place; an edge that runs back along another.
        for corners in [
            &[[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [2.0, 0.0], [0.0, 4.0]][..],
            &[
                [0.0, 0.0],
                [2.0, 0.0],
                [1.0, 1.0],
                [2.0, 2.0],
                [0.0, 2.0],
                [1.0, 1.0],
            ],
            &[
                [0.0, 0.0],
                [4.0, 0.0],
                [4.0, 1.0],
                [4.0, 0.0],
                [4.0, 4.0],
                [0.0, 4.0],
            ],
        ] {
            assert_eq!(find(&[closed(corners)]), None, "{corners:?}");
        }
    }

    #[test]
    fn a_hole_that_leaves_its_polygon_crosses_it() {
        let shell = closed(&[[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]);
        let hole = |east: f64| closed(&[[1.0, 1.0], [1.0, 2.0], [east, 2.0], [east, 1.0]]);
        assert_eq!(find(&[shell.clone(), hole(3.0)]), None);
        assert_eq!(find(&[shell.clone(), hole(4.0)]), None);
        assert_eq!(find(&[shell, hole(5.0)]).unwrap().rings, [0, 1]);
    }

    #[test]
    fn a_crossing_of_a_hair_is_what_rounding_does_and_many_of_them_are_not() {
        // Waves whose rising and falling edges cross below their tops, which are too wide by `width` at either side.
        let ring = |waves: usize, width: f64| {
            let wave = |at: f64| [[at, 0.0], [at + 0.5 + width, 0.1], [at + 0.5 - width, 0.1]];
            let mut corners: Vec<[f64; 2]> = (0..waves).flat_map(|number| wave(number as f64)).collect();
            corners.extend([[waves as f64, 0.0], [waves as f64, 1.0], [0.0, 1.0]]);
            closed(&corners)
        };
        assert_eq!(find(&[ring(1, 0.06)]), None);
        assert_eq!(find(&[ring(9, 0.06)]), None);
        assert!(find(&[ring(1, 0.2)]).is_some());
        assert!(find(&[ring(2, 0.08)]).is_some());
    }
}
