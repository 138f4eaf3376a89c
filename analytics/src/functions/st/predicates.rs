//! `st_contains(a, b)` and the other topological relations. A constant is made ready once for a batch of rows.

use datafusion::arrow::array::ArrayRef;
use geo::algorithm::validation::{InvalidMultiPolygon, InvalidPolygon, Validation as _};
use geo::{CoordsIter as _, Geometry};

use super::super::definition::{Definition, Kind};
use super::super::geometries::{Geometries, truth_column};
use super::super::row_values::Arguments;
use crate::geometry::{Prepared, Relation};
use crate::sql::SqlError;

/// Corners of a constant up to which it is looked at whether it crosses itself: every edge is compared with every other, for
/// each batch of rows.
const MOST_CORNERS: usize = 1000;

macro_rules! predicate {
    ($relation:ident, $description:literal) => {
        Definition {
            name: Relation::$relation.function(),
            aliases: &[],
            description: $description,
            arguments: &[("a", Kind::Geometry), ("b", Kind::Geometry)],
            optional: 0,
            result: Kind::Truth,
            call: |arguments| call(arguments, Relation::$relation),
        }
    };
}

pub(super) static DEFINITIONS: [Definition; 10] = [
    predicate!(
        Contains,
        "Whether no point of b is outside a, and some point of b is in the interior of a: a point on the edge is not contained."
    ),
    predicate!(CoveredBy, "Whether no point of a is outside b."),
    predicate!(Covers, "Whether no point of b is outside a."),
    predicate!(
        Crosses,
        "Whether the interiors of a and b meet in some but not all of their points, in fewer dimensions than the larger of them."
    ),
    predicate!(Disjoint, "Whether a and b have no point in common."),
    predicate!(Equals, "Whether a and b are the same set of points."),
    predicate!(Intersects, "Whether a and b have a point in common."),
    predicate!(
        Overlaps,
        "Whether a and b are of one dimension, share interior of that dimension, and each has points outside the other."
    ),
    predicate!(
        Touches,
        "Whether a and b have points in common, but none of the interior of both."
    ),
    predicate!(
        Within,
        "Whether no point of a is outside b, and some point of a is in the interior of b."
    ),
];

fn call(arguments: &Arguments<'_>, relation: Relation) -> Result<ArrayRef, SqlError> {
    let (left, right) = (arguments.geometries(0)?, arguments.geometries(1)?);
    for (name, side) in [("a", &left), ("b", &right)] {
        if let Geometries::Constant(Some((geometry, bytes))) = side
            && crosses_itself(geometry)
        {
            return Err(arguments.refused(
                name,
                bytes,
                "a polygon that does not cross itself; st_isvalidreason says what is wrong with one",
            ));
        }
    }
    let (constant, column, relation) = match (left, right) {
        (Geometries::Constant(constant), column) => (constant, column, relation),
        (column, Geometries::Constant(constant)) => (constant, column, relation.flipped()),
        (left, right) => {
            let holds = |row| Some(relation.holds(left.get(row)?.as_ref(), right.get(row)?.as_ref()));
            return Ok(truth_column((0..arguments.rows).map(holds).collect()));
        }
    };
    let constant = constant.map(|(geometry, _)| Prepared::new(geometry));
    let holds = |row| Some(constant.as_ref()?.holds(relation, column.get(row)?.as_ref()));
    Ok(truth_column((0..arguments.rows).map(holds).collect()))
}

/// What lies inside such a polygon nobody can say.
fn crosses_itself(geometry: &Geometry) -> bool {
    if geometry.coords_count() > MOST_CORNERS {
        return false;
    }
    match geometry {
        Geometry::Polygon(polygon) => {
            matches!(
                polygon.check_validation(),
                Err(InvalidPolygon::SelfIntersection(_))
            )
        }
        Geometry::MultiPolygon(polygons) => matches!(
            polygons.check_validation(),
            Err(InvalidMultiPolygon::InvalidPolygon(
                _,
                InvalidPolygon::SelfIntersection(_)
            ))
        ),
        _ => false,
    }
}
