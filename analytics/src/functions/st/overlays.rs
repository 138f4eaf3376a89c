//! Areas put together and cut, and bands around geometries.
//!
//! Corners that are made lie on a grid of about 1e-9 of the extent of both geometries. What does not meet stays as it is.

use datafusion::arrow::array::ArrayRef;
use geo::{
    BooleanOps as _, BoundingRect as _, Buffer as _, CoordsIter as _, Geometry, HasDimensions as _,
    Intersects as _, MultiPolygon, OpType,
};

use super::super::definition::{Definition, Kind};
use super::super::row_values::Arguments;
use crate::sql::SqlError;

/// Positions that the geometries of one call may have: time and memory grow faster than they do.
const MOST_POSITIONS: usize = 100_000;
/// The widest band, in degrees.
const WIDEST: f64 = 180.0;

macro_rules! overlay {
    ($name:literal, $operation:expr, $description:literal) => {
        Definition {
            name: $name,
            aliases: &[],
            description: $description,
            arguments: &[("a", Kind::Geometry), ("b", Kind::Geometry)],
            optional: 0,
            result: Kind::Geometry,
            call: |arguments| overlay(arguments, $operation),
        }
    };
}

pub(super) static DEFINITIONS: [Definition; 5] = [
    overlay!(
        "st_intersection",
        OpType::Intersection,
        "The area that polygons a and b share, a MULTIPOLYGON; NULL for what is no polygon."
    ),
    overlay!(
        "st_union",
        OpType::Union,
        "The area that polygon a or b covers, a MULTIPOLYGON; NULL for what is no polygon."
    ),
    overlay!(
        "st_difference",
        OpType::Difference,
        "The area of polygon a that b does not cover, a MULTIPOLYGON; NULL for what is no polygon."
    ),
    overlay!(
        "st_symdifference",
        OpType::Xor,
        "The area that one of the polygons a and b covers, but not both, a MULTIPOLYGON; NULL for what is no polygon."
    ),
    Definition {
        name: "st_buffer",
        aliases: &[],
        description: "What is within so many degrees of the geometry in the plane, a MULTIPOLYGON whose arcs are cut into straight pieces; a negative number shrinks polygons.",
        arguments: &[("geometry", Kind::Geometry), ("degrees", Kind::Number)],
        optional: 0,
        result: Kind::Geometry,
        call: buffer,
    },
];

fn overlay(arguments: &Arguments<'_>, operation: OpType) -> Result<ArrayRef, SqlError> {
    let made = arguments.for_each_pair(|_, a, b| {
        let (a, b) = (polygons(a)?, polygons(b)?);
        bounded(a.coords_count() + b.coords_count())?;
        let meet = a.bounding_rect().zip(b.bounding_rect());
        Ok(Some(Geometry::MultiPolygon(
            if meet.is_some_and(|(a, b)| a.intersects(&b)) {
                a.boolean_op(&b, operation)
            } else {
                apart(a, b, operation)
            },
        )))
    })?;
    arguments.geometry_column(made)
}

/// Of areas that do not meet, of which nothing has to be rounded.
fn apart(a: MultiPolygon, b: MultiPolygon, operation: OpType) -> MultiPolygon {
    match operation {
        OpType::Intersection => MultiPolygon::new(vec![]),
        OpType::Difference => a,
        OpType::Union | OpType::Xor => a.into_iter().chain(b).collect(),
    }
}

fn buffer(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let geometries = arguments.geometries(0)?;
    let widths = arguments.numbers(1)?;
    let mut made = Vec::with_capacity(arguments.rows);
    for row in 0..arguments.rows {
        let (Some(geometry), Some(width)) = (geometries.get(row), widths.get(row)) else {
            made.push(None);
            continue;
        };
        let band = if !(-WIDEST..=WIDEST).contains(&width) {
            Err(format!("degrees is {width}, allowed is -{WIDEST} to {WIDEST}"))
        } else if geometry.is_empty() {
            Ok(MultiPolygon::new(vec![]))
        } else {
            bounded(geometry.coords_count()).map(|()| geometry.buffer(width))
        };
        let band = band.map(|band| Some(Geometry::MultiPolygon(band)));
        made.push(band.or_else(|reason| arguments.no_answer(|| reason))?);
    }
    arguments.geometry_column(made)
}

fn polygons(geometry: &Geometry) -> Result<MultiPolygon, String> {
    match geometry {
        Geometry::Polygon(polygon) if polygon.is_empty() => Ok(MultiPolygon::new(vec![])),
        Geometry::Polygon(polygon) => Ok(MultiPolygon::new(vec![polygon.clone()])),
        Geometry::MultiPolygon(polygons) => Ok(polygons.clone()),
        _ => Err("both arguments must be a POLYGON or MULTIPOLYGON".to_owned()),
    }
}

fn bounded(positions: usize) -> Result<(), String> {
    if positions > MOST_POSITIONS {
        return Err(format!(
            "the geometries have {positions} positions, allowed are {MOST_POSITIONS}; use st_simplify first"
        ));
    }
    Ok(())
}
