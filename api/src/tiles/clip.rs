//! Polygons in the plane, cut to a box, side by side of it (Sutherland and Hodgman 1974, "Reentrant polygon clipping"); what
//! they leave as one ring with edges that run along a side to and fro is here the rings that it stands for.

/// A point of the map plane; the unit is the caller's (the world, or a tile's units). `y` grows to the south.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// An axis-parallel box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Box2 {
    pub(crate) min_x: f64,
    pub(crate) min_y: f64,
    pub(crate) max_x: f64,
    pub(crate) max_y: f64,
}

impl Box2 {
    /// The least box that holds the points; of no points, a box that meets nothing.
    pub(crate) fn around(points: &[Point]) -> Self {
        let nothing = Self {
            min_x: f64::INFINITY,
            min_y: f64::INFINITY,
            max_x: f64::NEG_INFINITY,
            max_y: f64::NEG_INFINITY,
        };
        points.iter().fold(nothing, |so_far, point| Self {
            min_x: so_far.min_x.min(point.x),
            min_y: so_far.min_y.min(point.y),
            max_x: so_far.max_x.max(point.x),
            max_y: so_far.max_y.max(point.y),
        })
    }

    /// Whether the two share at least a point.
    pub(crate) fn touches(&self, other: &Self) -> bool {
        self.min_x <= other.max_x
            && other.min_x <= self.max_x
            && self.min_y <= other.max_y
            && other.min_y <= self.max_y
    }

    /// Whether all of `other` is inside.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        self.min_x <= other.min_x
            && other.max_x <= self.max_x
            && self.min_y <= other.min_y
            && other.max_y <= self.max_y
    }
}

/// One side of a box, as the half plane that is kept.
#[derive(Clone, Copy)]
enum Side {
    Left(f64),
    Right(f64),
    Top(f64),
    Bottom(f64),
}

impl Side {
    /// How far inside the point is; negative is outside.
    fn depth(self, point: Point) -> f64 {
        match self {
            Self::Left(bound) => point.x - bound,
            Self::Right(bound) => bound - point.x,
            Self::Top(bound) => point.y - bound,
            Self::Bottom(bound) => bound - point.y,
        }
    }

    /// How far along the side the point is.
    fn along(self, point: Point) -> f64 {
        match self {
            Self::Left(_) | Self::Right(_) => point.y,
            Self::Top(_) | Self::Bottom(_) => point.x,
        }
    }

    /// Where the edge crosses this side: exactly on it, so that what is outside has exactly no area.
    fn crossing(self, from: Point, to: Point) -> Point {
        let share = self.depth(from) / (self.depth(from) - self.depth(to));
        let x = share.mul_add(to.x - from.x, from.x);
        let y = share.mul_add(to.y - from.y, from.y);
        match self {
            Self::Left(bound) | Self::Right(bound) => Point { x: bound, y },
            Self::Top(bound) | Self::Bottom(bound) => Point { x, y: bound },
        }
    }
}

/// Rings side by side in one list; none is closed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rings {
    points: Vec<Point>,
    /// Where each ring ends in `points`.
    ends: Vec<usize>,
}

impl Rings {
    pub(crate) fn clear(&mut self) {
        self.points.clear();
        self.ends.clear();
    }

    /// Adds a ring; one without a point is none.
    pub(crate) fn push(&mut self, ring: impl IntoIterator<Item = Point>) {
        self.points.extend(ring);
        self.end_ring();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[Point]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = starts.zip(&self.ends);
        ranges.filter_map(|(start, end)| self.points.get(start..*end))
    }

    /// The corners of all rings.
    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(crate) fn points_mut(&mut self) -> &mut [Point] {
        &mut self.points
    }

    /// The area that rings without a common point cover together.
    pub(crate) fn area(&self) -> f64 {
        self.iter().map(|ring| signed_area(ring).abs()).sum()
    }

    fn end_ring(&mut self) {
        if self.ends.last().copied().unwrap_or(0) < self.points.len() {
            self.ends.push(self.points.len());
        }
    }
}

/// Where a ring crosses a side: how far along it, of which of its pieces inside, and at which end of that piece.
#[derive(Clone, Copy)]
struct Crossing {
    along: f64,
    piece: usize,
    is_entry: bool,
}

/// The working memory of cutting a ring that comes back to a side again and again.
#[derive(Default)]
struct Pieces {
    /// What is inside of the ring, from crossing to crossing, both included.
    inside: Rings,
    crossings: Vec<Crossing>,
    /// The piece that goes on where each one leaves.
    next: Vec<usize>,
}

/// Cuts polygons, keeping its working memory between them.
#[derive(Default)]
pub(crate) struct Clipper {
    rings: Rings,
    next: Rings,
    pieces: Pieces,
}

impl Clipper {
    /// The parts of the rings (not closed, either winding, each simple) in `limits`; none when nothing is. A ring that
    /// leaves and comes back is as many rings as there are parts.
    pub(crate) fn clip<'a>(&mut self, rings: impl IntoIterator<Item = &'a [Point]>, limits: &Box2) -> &Rings {
        self.rings.clear();
        for ring in rings {
            self.rings.push(ring.iter().copied());
        }
        for side in [
            Side::Left(limits.min_x),
            Side::Right(limits.max_x),
            Side::Top(limits.min_y),
            Side::Bottom(limits.max_y),
        ] {
            self.keep(side);
        }
        &self.rings
    }

    fn keep(&mut self, side: Side) {
        self.next.clear();
        for ring in self.rings.iter() {
            match crossings(ring, side) {
                0 if ring.first().is_some_and(|point| side.depth(*point) < 0.0) => {}
                0 => self.next.push(ring.iter().copied()),
                2 => keep_one_part(ring, side, &mut self.next),
                _ => self.pieces.keep_all_parts(ring, side, &mut self.next),
            }
        }
        std::mem::swap(&mut self.rings, &mut self.next);
    }
}

/// Each corner with the one before it.
fn edges(ring: &[Point]) -> impl Iterator<Item = (Point, Point)> {
    let before = ring.iter().cycle().skip(ring.len().saturating_sub(1));
    before.copied().zip(ring.iter().copied())
}

fn is_crossed(side: Side, from: Point, to: Point) -> bool {
    (side.depth(from) < 0.0) != (side.depth(to) < 0.0)
}

fn crossings(ring: &[Point], side: Side) -> usize {
    edges(ring)
        .filter(|(from, to)| is_crossed(side, *from, *to))
        .count()
}

fn keep_one_part(ring: &[Point], side: Side, kept: &mut Rings) {
    for (from, to) in edges(ring) {
        if is_crossed(side, from, to) {
            kept.points.push(side.crossing(from, to));
        }
        if side.depth(to) >= 0.0 {
            kept.points.push(to);
        }
    }
    kept.end_ring();
}

impl Pieces {
    /// Along the side, a simple ring is inside from its first crossing to its second, from its third to its fourth, and so
    /// on: there its pieces are joined.
    fn keep_all_parts(&mut self, ring: &[Point], side: Side, kept: &mut Rings) {
        self.cut(ring, side);
        self.join();
        let pieces: Vec<&[Point]> = self.inside.iter().collect();
        let mut is_used = vec![false; pieces.len()];
        for first in 0..pieces.len() {
            let mut piece = first;
            while let (Some(false), Some(points)) = (is_used.get(piece), pieces.get(piece)) {
                if let Some(used) = is_used.get_mut(piece) {
                    *used = true;
                }
                kept.points.extend_from_slice(points);
                piece = self.next.get(piece).copied().unwrap_or(first);
            }
            kept.end_ring();
        }
    }

    fn cut(&mut self, ring: &[Point], side: Side) {
        self.inside.clear();
        self.crossings.clear();
        let outside = ring.iter().position(|point| side.depth(*point) < 0.0);
        let mut from_outside: Vec<Point> = ring.to_vec();
        // From a corner outside on, so that no piece is cut in two.
        from_outside.rotate_left(outside.map_or(0, |outside| (outside + 1) % ring.len()));
        for (from, to) in edges(&from_outside) {
            if is_crossed(side, from, to) {
                let crossing = side.crossing(from, to);
                self.inside.points.push(crossing);
                let is_entry = side.depth(from) < 0.0;
                self.crossings.push(Crossing {
                    along: side.along(crossing),
                    piece: self.inside.ends.len(),
                    is_entry,
                });
                if !is_entry {
                    self.inside.end_ring();
                }
            }
            if side.depth(to) >= 0.0 {
                self.inside.points.push(to);
            }
        }
    }

    fn join(&mut self) {
        self.crossings.sort_by(|a, b| a.along.total_cmp(&b.along));
        self.next.clear();
        self.next.resize(self.inside.ends.len(), 0);
        for first in (0..self.crossings.len()).step_by(2) {
            // Of crossings in one place the order is not known: what enters goes with what leaves.
            let Some(&one) = self.crossings.get(first) else {
                return;
            };
            let others = self.crossings.iter().skip(first + 1);
            let Some(other) = others.clone().position(|other| other.is_entry != one.is_entry) else {
                return;
            };
            self.crossings.swap(first + 1, first + 1 + other);
            let Some(&other) = self.crossings.get(first + 1) else {
                return;
            };
            let (entry, exit) = if one.is_entry { (one, other) } else { (other, one) };
            if let Some(next) = self.next.get_mut(exit.piece) {
                *next = entry.piece;
            }
        }
    }
}

/// Area of the ring by the surveyor's formula; positive for rings that turn clockwise as drawn (`y` to the south).
///
/// Taken from the first corner, so a ring squeezed onto one side of a box has exactly none.
pub(crate) fn signed_area(ring: &[Point]) -> f64 {
    let Some(first) = ring.first() else { return 0.0 };
    let twice: f64 = ring
        .windows(2)
        .map(|edge| match edge {
            [a, b] => (a.x - first.x) * (b.y - first.y) - (b.x - first.x) * (a.y - first.y),
            _ => 0.0,
        })
        .sum();
    twice / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Box2 = Box2 {
        min_x: 0.0,
        min_y: 0.0,
        max_x: 1.0,
        max_y: 1.0,
    };

    fn ring(points: &[(f64, f64)]) -> Vec<Point> {
        points.iter().map(|&(x, y)| Point { x, y }).collect()
    }

    fn clipped(points: &[(f64, f64)]) -> Rings {
        Clipper::default().clip([&*ring(points)], &UNIT).clone()
    }

    #[test]
    fn a_triangle_over_a_corner_loses_what_is_outside() {
        let clipped = clipped(&[(0.5, 0.5), (1.5, 0.5), (0.5, 1.5)]);
        assert!((clipped.area() - 0.25).abs() < 1e-12);
        assert!(UNIT.contains(&Box2::around(clipped.points())));
    }

    #[test]
    fn what_only_touches_a_side_has_no_area() {
        for outside in [
            [(1.0, 0.1), (2.0, 0.3), (1.0, 0.9)],
            [(0.3, -2.0), (0.7, 0.0), (0.1, 0.0)],
        ] {
            let area = clipped(&outside).area();
            assert!(area.abs() <= 0.0, "{area}");
        }
    }

    #[test]
    fn a_ring_around_the_box_becomes_the_box() {
        let clipped = clipped(&[(-9.0, -9.0), (9.0, -9.0), (9.0, 9.0), (-9.0, 9.0)]);
        assert!((clipped.area() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_left_of_what_is_elsewhere() {
        assert_eq!(clipped(&[(2.0, 2.0), (3.0, 2.0), (3.0, 3.0)]).iter().count(), 0);
        assert_eq!(clipped(&[]).iter().count(), 0);
    }

    #[test]
    fn a_comb_is_as_many_rings_as_it_has_teeth_inside() {
        // Its back is left of the box, its teeth reach in; both windings, and from each corner on.
        let mut comb = vec![
            (-1.0, 0.05),
            (0.5, 0.1),
            (-0.5, 0.2),
            (0.7, 0.3),
            (-0.5, 0.4),
            (0.9, 0.5),
            (-1.0, 0.9),
        ];
        for _ in 0..2 {
            for _ in 0..comb.len() {
                comb.rotate_left(1);
                let clipped = clipped(&comb);
                assert_eq!(clipped.iter().count(), 3);
                assert!(clipped.iter().all(|part| signed_area(part).abs() > 0.0));
            }
            comb.reverse();
        }
    }

    #[test]
    fn a_dent_that_reaches_the_side_parts_a_ring_and_one_that_does_not_leaves_it_whole() {
        for (depth, parts) in [(0.9, 1), (-0.1, 2)] {
            let dented = [
                (0.1, -0.5),
                (0.9, -0.5),
                (0.9, 0.5),
                (0.5, depth - 0.4),
                (0.1, 0.5),
            ];
            assert_eq!(clipped(&dented).iter().count(), parts);
        }
    }
}
