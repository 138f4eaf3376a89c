//! Polygons in the plane, cut to a box (Sutherland and Hodgman 1974, "Reentrant polygon clipping").

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

/// Cuts polygons, keeping its working memory between them.
#[derive(Default)]
pub(crate) struct Clipper {
    ring: Vec<Point>,
    next: Vec<Point>,
}

impl Clipper {
    /// The part of `ring` (not closed, either winding) in `limits`; empty when nothing is.
    ///
    /// A ring that is not convex may come back with edges that run along the border to and fro; its area is right.
    pub(crate) fn clip(&mut self, ring: &[Point], limits: &Box2) -> &[Point] {
        self.ring.clear();
        self.ring.extend_from_slice(ring);
        for side in [
            Side::Left(limits.min_x),
            Side::Right(limits.max_x),
            Side::Top(limits.min_y),
            Side::Bottom(limits.max_y),
        ] {
            self.keep(side);
        }
        &self.ring
    }

    fn keep(&mut self, side: Side) {
        self.next.clear();
        let mut previous = self.ring.last().copied();
        for &point in &self.ring {
            if let Some(from) = previous
                && (side.depth(from) < 0.0) != (side.depth(point) < 0.0)
            {
                self.next.push(side.crossing(from, point));
            }
            if side.depth(point) >= 0.0 {
                self.next.push(point);
            }
            previous = Some(point);
        }
        std::mem::swap(&mut self.ring, &mut self.next);
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

    #[test]
    fn a_triangle_over_a_corner_loses_what_is_outside() {
        let mut clipper = Clipper::default();
        let clipped = clipper.clip(&ring(&[(0.5, 0.5), (1.5, 0.5), (0.5, 1.5)]), &UNIT);
        assert!((signed_area(clipped) - 0.25).abs() < 1e-12);
        assert!(UNIT.contains(&Box2::around(clipped)));
    }

    #[test]
    fn what_only_touches_a_side_has_no_area() {
        let mut clipper = Clipper::default();
        for outside in [
            [(1.0, 0.1), (2.0, 0.3), (1.0, 0.9)],
            [(0.3, -2.0), (0.7, 0.0), (0.1, 0.0)],
        ] {
            let area = signed_area(clipper.clip(&ring(&outside), &UNIT));
            assert!(area.abs() <= 0.0, "{area}");
        }
    }

    #[test]
    fn a_ring_around_the_box_becomes_the_box() {
        let mut clipper = Clipper::default();
        let clipped = clipper.clip(
            &ring(&[(-9.0, -9.0), (9.0, -9.0), (9.0, 9.0), (-9.0, 9.0)]),
            &UNIT,
        );
        assert!((signed_area(clipped) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_left_of_what_is_elsewhere() {
        let mut clipper = Clipper::default();
        assert!(
            clipper
                .clip(&ring(&[(2.0, 2.0), (3.0, 2.0), (3.0, 3.0)]), &UNIT)
                .is_empty()
        );
        assert!(clipper.clip(&[], &UNIT).is_empty());
    }
}
