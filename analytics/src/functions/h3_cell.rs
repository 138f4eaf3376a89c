//! `h3_cell(lon, lat, res)`: the cell that holds a point.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, UInt64Builder};
use h3o::LatLng;

use super::definition::{Definition, Kind};
use super::row_values::Arguments;
use crate::sql::SqlError;

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_cell",
    aliases: &[],
    description: "The H3 cell of resolution res that holds the point; NULL if the point is not on the globe.",
    arguments: &[("lon", Kind::Number), ("lat", Kind::Number), ("res", Kind::Whole)],
    optional: 0,
    result: Kind::Cell,
    call: |arguments| cells_at(arguments, 0, 1),
};

/// The cells at the longitudes and latitudes of these arguments, at the resolution of the third.
pub(super) fn cells_at(arguments: &Arguments<'_>, lon: usize, lat: usize) -> Result<ArrayRef, SqlError> {
    let (lons, lats) = (arguments.numbers(lon)?, arguments.numbers(lat)?);
    let resolutions = arguments.resolutions(2)?;
    let mut cells = UInt64Builder::with_capacity(arguments.rows);
    for row in 0..arguments.rows {
        let cell = match (lons.get(row), lats.get(row), resolutions.get(row)) {
            (Some(lon), Some(lat), Some(resolution)) => match point(lon, lat) {
                Some(point) => Some(u64::from(point.to_cell(resolution))),
                None => arguments.no_answer(|| {
                    format!("lon {lon}, lat {lat} is not on the globe; lon goes from -180 to 180, lat from -90 to 90")
                })?,
            },
            _ => None,
        };
        cells.append_option(cell);
    }
    Ok(Arc::new(cells.finish()))
}

fn point(lon: f64, lat: f64) -> Option<LatLng> {
    let on_globe = (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat);
    if on_globe {
        LatLng::new(lat, lon).ok()
    } else {
        None
    }
}
