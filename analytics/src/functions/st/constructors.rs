//! Geometries from numbers, texts and bytes.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BinaryBuilder};
use geo::{Coord, Geometry, Polygon, Rect};

use super::super::definition::{Definition, Kind};
use super::super::row_values::Arguments;
use crate::geometry::point_wkb;
use crate::sql::SqlError;

pub(super) static DEFINITIONS: [Definition; 4] = [
    Definition {
        name: "st_point",
        aliases: &["st_makepoint"],
        description: "The point of longitude x and latitude y; NULL if one is not finite. The only srid is 4326.",
        arguments: &[("x", Kind::Number), ("y", Kind::Number), ("srid", Kind::Whole)],
        optional: 1,
        result: Kind::Geometry,
        call: point,
    },
    Definition {
        name: "st_makeenvelope",
        aliases: &[],
        description: "The rectangle from (xmin, ymin) to (xmax, ymax); NULL if it is not finite or a least value is above a greatest.",
        arguments: &[
            ("xmin", Kind::Number),
            ("ymin", Kind::Number),
            ("xmax", Kind::Number),
            ("ymax", Kind::Number),
            ("srid", Kind::Whole),
        ],
        optional: 1,
        result: Kind::Geometry,
        call: envelope,
    },
    Definition {
        name: "st_geomfromtext",
        aliases: &["st_geometryfromtext", "st_wkttosql"],
        description: "The geometry that a well-known text says; NULL if it says none.",
        arguments: &[("text", Kind::Geometry), ("srid", Kind::Whole)],
        optional: 1,
        result: Kind::Geometry,
        call: same,
    },
    Definition {
        name: "st_geomfromwkb",
        aliases: &["st_wkbtosql"],
        description: "The geometry that well-known binary says; NULL if it says none.",
        arguments: &[("bytes", Kind::Geometry), ("srid", Kind::Whole)],
        optional: 1,
        result: Kind::Geometry,
        call: same,
    },
];

/// Whether each row has a system of coordinates, which it has where none is asked for.
///
/// # Errors
/// [`SqlError::BadRequest`] for any other system than longitudes and latitudes of WGS 84.
fn with_srid(arguments: &Arguments<'_>, index: usize) -> Result<Vec<bool>, SqlError> {
    if arguments.kinds.len() <= index {
        return Ok(vec![true; arguments.rows]);
    }
    let srids = arguments.wholes(index)?;
    let has_srid = |row| match srids.get(row) {
        Some(0 | 4326) => Ok(true),
        Some(srid) => Err(SqlError::BadRequest(format!(
            "{}: srid is {srid}, allowed is 4326 (longitude and latitude of WGS 84)",
            arguments.function
        ))),
        None => Ok(false),
    };
    (0..arguments.rows).map(has_srid).collect()
}

fn point(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let with_srid = with_srid(arguments, 2)?;
    let (xs, ys) = (arguments.numbers(0)?, arguments.numbers(1)?);
    let mut points = BinaryBuilder::with_capacity(arguments.rows, arguments.rows * point_wkb(0.0, 0.0).len());
    for (row, with_srid) in with_srid.into_iter().enumerate() {
        points.append_option(match (xs.get(row), ys.get(row)) {
            (Some(x), Some(y)) if with_srid && x.is_finite() && y.is_finite() => Some(point_wkb(x, y)),
            _ => None,
        });
    }
    Ok(Arc::new(points.finish()))
}

fn envelope(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let with_srid = with_srid(arguments, 4)?;
    let edges = [0, 1, 2, 3].map(|index| arguments.numbers(index));
    let [west, south, east, north] = edges;
    let (west, south, east, north) = (west?, south?, east?, north?);
    let mut envelopes = Vec::with_capacity(arguments.rows);
    for (row, with_srid) in with_srid.into_iter().enumerate() {
        let (true, Some(west), Some(south), Some(east), Some(north)) = (
            with_srid,
            west.get(row),
            south.get(row),
            east.get(row),
            north.get(row),
        ) else {
            envelopes.push(None);
            continue;
        };
        let finite = [west, south, east, north].iter().all(|edge| edge.is_finite());
        envelopes.push(if finite && west <= east && south <= north {
            Some(Geometry::Polygon(rectangle(Rect::new(
                Coord { x: west, y: south },
                Coord { x: east, y: north },
            ))))
        } else {
            arguments.no_answer(|| {
                format!("xmin {west}, ymin {south}, xmax {east}, ymax {north} is no rectangle; a least value must not be above a greatest")
            })?
        });
    }
    arguments.geometry_column(envelopes)
}

/// Its corners in the order of PostGIS: from the lower left one clockwise.
pub(super) fn rectangle(rect: Rect) -> Polygon {
    let (min, max) = (rect.min(), rect.max());
    let ring = vec![
        (min.x, min.y),
        (min.x, max.y),
        (max.x, max.y),
        (max.x, min.y),
        (min.x, min.y),
    ];
    Polygon::new(ring.into(), vec![])
}

fn same(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let with_srid = with_srid(arguments, 1)?;
    let geometries = arguments.geometries(0)?;
    let mut column = BinaryBuilder::new();
    let mut total = 0;
    for (row, with_srid) in with_srid.into_iter().enumerate() {
        let bytes = geometries.wkb(row).filter(|_| with_srid);
        let length = bytes.as_ref().map_or(0, |bytes| bytes.len());
        total += length;
        arguments.check_size(length, total)?;
        column.append_option(bytes);
    }
    Ok(Arc::new(column.finish()))
}
