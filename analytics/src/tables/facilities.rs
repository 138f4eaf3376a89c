//! `facilities`: hospitals, fire stations and whatever else was loaded, each at its place.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, Float64Array, MapBuilder, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Schema};
use riskgrid_ingest::grid::GridSnapshot;
use riskgrid_ingest::places::Facility;

use super::columns::{cells_of, field, place_fields};
use super::filters::Narrowing;
use super::snapshot_table::{SnapshotTable, whole};
use crate::permission::Permission;

/// Texts by name.
type Properties = MapBuilder<StringBuilder, StringBuilder>;

fn properties() -> Properties {
    Properties::new(None, StringBuilder::new(), StringBuilder::new())
}

pub(super) fn table(snapshot: &Arc<GridSnapshot>, permission: &Arc<Permission>) -> SnapshotTable {
    let mut fields = vec![
        field(
            "facility",
            DataType::Utf8,
            false,
            "id of the facility, unique over all kinds",
        ),
        field("name", DataType::Utf8, false, "name for people"),
        field("kind", DataType::Utf8, false, "what it is"),
    ];
    fields.extend(place_fields(false));
    fields.push(field(
        "properties",
        properties().finish().data_type().clone(),
        false,
        "what else its file says, as texts by name: properties['BEDS']",
    ));
    let schema = Arc::new(Schema::new(fields));
    let (snapshot, of_batches) = (Arc::clone(snapshot), Arc::clone(&schema));
    let seen = Arc::clone(permission);
    let rows = snapshot.places.facilities.facilities().len();
    let make = move |narrowing: &Narrowing| {
        let all = snapshot.places.facilities.facilities().iter();
        let facilities: Vec<&Facility> = all
            .map(|facility| (facility, [facility.lon, facility.lat]))
            .filter(|(_, place)| narrowing.admits_place(*place) && seen.admits_place(Some(*place)))
            .map(|(facility, _)| facility)
            .collect();
        let cells = cells_of(
            facilities.iter().map(|facility| [facility.lon, facility.lat]),
            snapshot.resolution,
        );
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(
                facilities.iter().map(|facility| &facility.id),
            )),
            Arc::new(StringArray::from_iter_values(
                facilities.iter().map(|facility| &facility.name),
            )),
            Arc::new(StringArray::from_iter_values(
                facilities.iter().map(|facility| &facility.kind),
            )),
            Arc::new(Float64Array::from_iter_values(
                facilities.iter().map(|facility| facility.lon),
            )),
            Arc::new(Float64Array::from_iter_values(
                facilities.iter().map(|facility| facility.lat),
            )),
            Arc::new(cells),
            properties_of(&facilities)?,
        ];
        whole(&of_batches, columns)
    };
    SnapshotTable::new("facilities", schema, rows, Box::new(make)).seen_by(permission)
}

fn properties_of(facilities: &[&Facility]) -> Result<ArrayRef, arrow::error::ArrowError> {
    let mut maps = properties();
    for facility in facilities {
        for (name, text) in &facility.properties {
            maps.keys().append_value(name);
            maps.values().append_value(text);
        }
        maps.append(true)?;
    }
    Ok(Arc::new(maps.finish()))
}
