//! The types of geometries, and whether they are valid.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};

use geo::Validation as _;

use super::super::definition::{Definition, Kind};
use super::super::geometries::truth_column;
use super::super::row_values::Arguments;
use crate::geometry::type_of;
use crate::sql::SqlError;

/// What PostGIS says.
const VALID: &str = "Valid Geometry";

pub(super) static DEFINITIONS: [Definition; 4] = [
    Definition {
        name: "geometrytype",
        aliases: &[],
        description: "The type of the geometry, as in MULTIPOINT.",
        arguments: &[("geometry", Kind::Geometry)],
        optional: 0,
        result: Kind::Text,
        call: |arguments| names(arguments, str::to_uppercase),
    },
    Definition {
        name: "st_geometrytype",
        aliases: &[],
        description: "The type of the geometry, as in ST_MultiPoint.",
        arguments: &[("geometry", Kind::Geometry)],
        optional: 0,
        result: Kind::Text,
        call: |arguments| names(arguments, |name| format!("ST_{name}")),
    },
    Definition {
        name: "st_isvalid",
        aliases: &[],
        description: "Whether the geometry is valid: for instance no ring crosses itself or another.",
        arguments: &[("geometry", Kind::Geometry)],
        optional: 0,
        result: Kind::Truth,
        call: |arguments| {
            let valid = arguments.for_each(|geometry| Ok(Some(geometry.is_valid())))?;
            Ok(truth_column(valid))
        },
    },
    Definition {
        name: "st_isvalidreason",
        aliases: &[],
        description: "Why the geometry is not valid, or 'Valid Geometry'.",
        arguments: &[("geometry", Kind::Geometry)],
        optional: 0,
        result: Kind::Text,
        call: |arguments| {
            let reasons = arguments.for_each(|geometry| {
                let check = geometry.check_validation();
                Ok(Some(
                    check.map_or_else(|reason| reason.to_string(), |()| VALID.to_owned()),
                ))
            })?;
            Ok(Arc::new(StringArray::from(reasons)))
        },
    },
];

fn names(arguments: &Arguments<'_>, written: fn(&str) -> String) -> Result<ArrayRef, SqlError> {
    let geometries = arguments.geometries(0)?;
    let name = |row| {
        geometries
            .wkb(row)
            .and_then(|bytes| type_of(&bytes).ok())
            .map(written)
    };
    Ok(Arc::new((0..arguments.rows).map(name).collect::<StringArray>()))
}
