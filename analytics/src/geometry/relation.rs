//! The topological relations between two geometries (OGC 06-103r4, section 6.1.15), and a geometry made ready for many
//! questions.

use geo::relate::IntersectionMatrix;
use geo::{Geometry, Intersects as _, Rect, Relate as _};

use super::bounds_of;
use riskgrid_ingest::globe::{Locator, Side, polygons_of, side_in};

/// A relation between a left and a right geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Relation {
    Contains,
    CoveredBy,
    Covers,
    Crosses,
    Disjoint,
    Equals,
    Intersects,
    Overlaps,
    Touches,
    Within,
}

impl Relation {
    /// All, in the order of their names.
    pub(crate) const ALL: [Self; 10] = [
        Self::Contains,
        Self::CoveredBy,
        Self::Covers,
        Self::Crosses,
        Self::Disjoint,
        Self::Equals,
        Self::Intersects,
        Self::Overlaps,
        Self::Touches,
        Self::Within,
    ];

    /// The name of its function in SQL.
    pub(crate) const fn function(self) -> &'static str {
        match self {
            Self::Contains => "st_contains",
            Self::CoveredBy => "st_coveredby",
            Self::Covers => "st_covers",
            Self::Crosses => "st_crosses",
            Self::Disjoint => "st_disjoint",
            Self::Equals => "st_equals",
            Self::Intersects => "st_intersects",
            Self::Overlaps => "st_overlaps",
            Self::Touches => "st_touches",
            Self::Within => "st_within",
        }
    }

    /// The relation from right to left.
    pub(crate) const fn flipped(self) -> Self {
        match self {
            Self::Contains => Self::Within,
            Self::Within => Self::Contains,
            Self::Covers => Self::CoveredBy,
            Self::CoveredBy => Self::Covers,
            symmetric => symmetric,
        }
    }

    /// Whether it can hold only where the boxes of both meet. Two empty geometries, which have none, are equal.
    pub(crate) const fn needs_meeting(self) -> bool {
        !matches!(self, Self::Disjoint | Self::Equals)
    }

    /// Whether it holds between two geometries of which neither will be asked about again.
    pub(crate) fn holds(self, left: &Geometry, right: &Geometry) -> bool {
        let bounds = bounds_of(left).zip(bounds_of(right));
        if let Some(answer) = self.by_boxes(bounds, left, right) {
            return answer;
        }
        match (left, right, polygons_of(left), polygons_of(right)) {
            (Geometry::Point(point), _, _, Some(polygons)) => {
                self.flipped().of_area_and_point(side_in(polygons, point.0))
            }
            (_, Geometry::Point(point), Some(polygons), _) => {
                self.of_area_and_point(side_in(polygons, point.0))
            }
            _ => self.in_matrix(&left.relate(right)),
        }
    }

    /// The answer where boxes alone decide: one is empty, or they do not meet.
    fn by_boxes(self, bounds: Option<(Rect, Rect)>, left: &Geometry, right: &Geometry) -> Option<bool> {
        match bounds {
            None => Some(match self {
                Self::Disjoint => true,
                Self::Equals => bounds_of(left).is_none() && bounds_of(right).is_none(),
                _ => false,
            }),
            Some((left, right)) if !left.intersects(&right) => Some(self == Self::Disjoint),
            Some(_) => None,
        }
    }

    /// With an area on the left and a point on the right.
    fn of_area_and_point(self, side: Side) -> bool {
        match self {
            Self::Contains => side == Side::Inside,
            Self::Covers | Self::Intersects => side != Side::Outside,
            Self::Touches => side == Side::OnEdge,
            Self::Disjoint => side == Side::Outside,
            Self::Within | Self::CoveredBy | Self::Equals | Self::Crosses | Self::Overlaps => false,
        }
    }

    fn in_matrix(self, matrix: &IntersectionMatrix) -> bool {
        match self {
            Self::Contains => matrix.is_contains(),
            Self::CoveredBy => matrix.is_coveredby(),
            Self::Covers => matrix.is_covers(),
            Self::Crosses => matrix.is_crosses(),
            Self::Disjoint => matrix.is_disjoint(),
            Self::Equals => matrix.is_equal_topo(),
            Self::Intersects => matrix.is_intersects(),
            Self::Overlaps => matrix.is_overlaps(),
            Self::Touches => matrix.is_touches(),
            Self::Within => matrix.is_within(),
        }
    }
}

/// A geometry with what makes many questions about it fast: its box and, of an area, its edges in an R-tree.
#[derive(Debug)]
pub(crate) struct Prepared {
    geometry: Geometry,
    bounds: Option<Rect>,
    locator: Option<Locator>,
}

impl Prepared {
    pub(crate) fn new(geometry: Geometry) -> Self {
        Self {
            bounds: bounds_of(&geometry),
            locator: polygons_of(&geometry).map(Locator::new),
            geometry,
        }
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// `None` if it is empty.
    pub(crate) fn bounds(&self) -> Option<Rect> {
        self.bounds
    }

    /// Whether the relation holds from this geometry to another; the same answer as [`Relation::holds`].
    pub(crate) fn holds(&self, relation: Relation, right: &Geometry) -> bool {
        let bounds = self.bounds.zip(bounds_of(right));
        if let Some(answer) = relation.by_boxes(bounds, &self.geometry, right) {
            return answer;
        }
        match (&self.locator, right) {
            (Some(locator), Geometry::Point(point)) => relation.of_area_and_point(locator.side(point.0)),
            _ => relation.holds(&self.geometry, right),
        }
    }

    /// Bytes that it holds beside the geometry as WKB, about.
    pub(crate) fn bytes(&self) -> usize {
        use geo::CoordsIter as _;
        let positions = self.geometry.coords_count() * size_of::<geo::Coord>();
        size_of::<Self>() + positions + self.locator.as_ref().map_or(0, Locator::bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::super::wkb_of_text;
    use super::*;

    fn geometry(text: &str) -> Geometry {
        read(&wkb_of_text(text).expect(text)).expect(text)
    }

    const TEXTS: [&str; 12] = [
        "POINT(1 1)",
        "POINT(2 2)",
        "POINT(0 1)",
        "POINT EMPTY",
        "MULTIPOINT((1 1),(9 9))",
        "LINESTRING(0 0,2 2)",
        "LINESTRING(-1 1,3 1)",
        "POLYGON((0 0,2 0,2 2,0 2,0 0))",
        "POLYGON((0 0,4 0,4 4,0 4,0 0),(1 1,3 1,3 3,1 3,1 1))",
        "MULTIPOLYGON(((2 0,4 0,4 2,2 2,2 0)),((5 5,6 5,6 6,5 5)))",
        "GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,2 2))",
        "POLYGON EMPTY",
    ];

    #[test]
    fn short_cuts_give_what_the_matrix_says() {
        for left in TEXTS.map(geometry) {
            let prepared = Prepared::new(left.clone());
            for right in TEXTS.map(geometry) {
                for relation in Relation::ALL {
                    let answer = relation.holds(&left, &right);
                    let name = relation.function();
                    if bounds_of(&left).is_some() && bounds_of(&right).is_some() {
                        let matrix = left.relate(&right);
                        assert_eq!(answer, relation.in_matrix(&matrix), "{name} {left:?} {right:?}");
                    }
                    assert_eq!(
                        answer,
                        prepared.holds(relation, &right),
                        "{name} {left:?} {right:?}"
                    );
                    assert_eq!(
                        answer,
                        relation.flipped().holds(&right, &left),
                        "{name} {left:?} {right:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_empty_meets_nothing() {
        let (empty, point) = (geometry("POINT EMPTY"), geometry("POINT(1 1)"));
        for relation in Relation::ALL {
            assert_eq!(relation.holds(&empty, &point), relation == Relation::Disjoint);
        }
        assert!(Relation::Equals.holds(&empty, &geometry("POLYGON EMPTY")));
    }
}
