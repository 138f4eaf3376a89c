//! Distances, in degrees of the plane or metres of the globe, and what is within one.

use datafusion::arrow::array::ArrayRef;
use geo::{Distance as _, Euclidean, Geometry, HasDimensions as _};

use super::super::definition::{Definition, Kind};
use super::super::geometries::{number_column, truth_column};
use super::super::row_values::Arguments;
use crate::geometry::{metres_between, point_on_globe};
use crate::sql::{NEAREST, SqlError};

pub(super) static DEFINITIONS: [Definition; 5] = [
    Definition {
        name: "st_distance",
        aliases: &[],
        description: "The shortest distance of a and b in the plane, in degrees; 0 if they meet, NULL if one is empty. For metres use st_distancesphere.",
        arguments: &[("a", Kind::Geometry), ("b", Kind::Geometry)],
        optional: 0,
        result: Kind::Number,
        call: |arguments| {
            let distances = arguments.for_each_pair(|_, a, b| Ok(planar(a, b)))?;
            Ok(number_column(distances))
        },
    },
    Definition {
        name: "st_dwithin",
        aliases: &[],
        description: "Whether the distance of a and b in the plane is at most so many degrees. For metres use st_dwithinsphere.",
        arguments: &[
            ("a", Kind::Geometry),
            ("b", Kind::Geometry),
            ("degrees", Kind::Number),
        ],
        optional: 0,
        result: Kind::Truth,
        call: |arguments| within(arguments, |a, b| Ok(planar(a, b))),
    },
    Definition {
        name: "st_distancesphere",
        aliases: &["st_distance_sphere"],
        description: "The great-circle distance of points a and b in metres, on a sphere of radius 6 371 008.7714 m as in PostGIS; NULL for what is no point on the globe.",
        arguments: &[("a", Kind::Geometry), ("b", Kind::Geometry)],
        optional: 0,
        result: Kind::Number,
        call: |arguments| {
            let distances = arguments.for_each_pair(|_, a, b| on_globe(a, b).map(Some))?;
            Ok(number_column(distances))
        },
    },
    Definition {
        name: "st_dwithinsphere",
        aliases: &["st_dwithin_sphere"],
        description: "Whether the great-circle distance of points a and b is at most so many metres.",
        arguments: &[
            ("a", Kind::Geometry),
            ("b", Kind::Geometry),
            ("metres", Kind::Number),
        ],
        optional: 0,
        result: Kind::Truth,
        call: |arguments| within(arguments, |a, b| on_globe(a, b).map(Some)),
    },
    Definition {
        name: NEAREST,
        aliases: &[],
        description: "In the ON of a join: whether point b is one of the k points of its table that are nearest to point a by great circle. Conditions on the table of b alone are applied before, so that they choose among which points.",
        arguments: &[("a", Kind::Geometry), ("b", Kind::Geometry), ("k", Kind::Whole)],
        optional: 0,
        result: Kind::Truth,
        call: |arguments| {
            Err(SqlError::BadRequest(format!(
                "{} depends on all rows of a table, so it can only be the condition of a join with a constant k: FROM sensors s JOIN facilities f ON {}(st_point(s.lon, s.lat), st_point(f.lon, f.lat), 1)",
                arguments.function, arguments.function
            )))
        },
    },
];

fn planar(a: &Geometry, b: &Geometry) -> Option<f64> {
    (!a.is_empty() && !b.is_empty()).then(|| Euclidean.distance(a, b))
}

fn on_globe(a: &Geometry, b: &Geometry) -> Result<f64, String> {
    match (point_on_globe(a), point_on_globe(b)) {
        (Some(a), Some(b)) => Ok(metres_between(a, b)),
        _ => Err("distances on the sphere are between points, of longitude -180 to 180 and latitude -90 to 90; take st_centroid of other geometries".to_owned()),
    }
}

fn within(
    arguments: &Arguments<'_>,
    distance: impl Fn(&Geometry, &Geometry) -> Result<Option<f64>, String>,
) -> Result<ArrayRef, SqlError> {
    let most = arguments.numbers(2)?;
    let truths = arguments.for_each_pair(|row, a, b| {
        let Some(most) = most.get(row) else {
            return Ok(None);
        };
        Ok(distance(a, b)?.map(|distance| distance <= most))
    })?;
    Ok(truth_column(truths))
}
