//! `h3_in_area(cell, area)`: whether an area holds the centre of a cell.

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, BooleanBuilder};
use h3o::LatLng;
use riskgrid_ingest::places::Area;

use super::definition::{Definition, Kind};
use super::row_values::{Arguments, Texts};
use crate::named_area::named_area;
use crate::sql::SqlError;

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_in_area",
    aliases: &[],
    description: "Whether the area, by id or by a name that no other area has, holds the centre of the cell; NULL if there is no such area.",
    arguments: &[("cell", Kind::Cell), ("area", Kind::Text)],
    optional: 0,
    result: Kind::Truth,
    call,
};

fn call(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    let cells = arguments.cells(0)?;
    let areas = &arguments.places.areas;
    let texts = arguments.texts(1)?;
    let constant = match &texts {
        Texts::Constant(Some(text)) => Some(named_area(areas, text).map_err(|allowed| {
            SqlError::BadRequest(format!(
                "{}: area is '{text}', allowed is {allowed}",
                arguments.function
            ))
        })?),
        Texts::Constant(None) | Texts::Column(_) => None,
    };
    let area_of = |row: usize| -> Option<&Area> {
        match &texts {
            Texts::Constant(_) => constant,
            Texts::Column(texts) => texts.is_valid(row).then(|| areas.find(texts.value(row)).ok())?,
        }
    };
    let mut truths = BooleanBuilder::with_capacity(arguments.rows);
    for row in 0..arguments.rows {
        let holds = cells.get(row).zip(area_of(row)).map(|(cell, area)| {
            let centre = LatLng::from(cell);
            area.shape.contains([centre.lng(), centre.lat()])
        });
        truths.append_option(holds);
    }
    Ok(Arc::new(truths.finish()))
}
