//! `areas`: the areas of all levels, as they were loaded.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Schema};
use riskgrid_ingest::grid::GridSnapshot;

use super::columns::{field, shape_field};
use super::snapshot_table::{SnapshotTable, whole};

pub(super) fn table(snapshot: &Arc<GridSnapshot>) -> SnapshotTable {
    let schema = Arc::new(Schema::new(vec![
        field(
            "area",
            DataType::Utf8,
            false,
            "id of the area, unique over all levels",
        ),
        field("name", DataType::Utf8, false, "name for people"),
        field(
            "level",
            DataType::Utf8,
            false,
            "level of the hierarchy that it belongs to",
        ),
        field(
            "parent",
            DataType::Utf8,
            true,
            "id of the area of the level above that it belongs to",
        ),
        field(
            "population",
            DataType::UInt64,
            true,
            "people who live there: the figure loaded for it, else the sum of the points of population inside",
        ),
        field("lon", DataType::Float64, false, "degrees east of a point inside"),
        field("lat", DataType::Float64, false, "degrees north of that point"),
        shape_field(
            "geometry",
            "the multi-polygon in well-known binary, longitude first",
        ),
    ]));
    let (places, of_batches) = (Arc::clone(&snapshot.places), Arc::clone(&schema));
    let rows = places.areas.areas().len();
    let make = move |_: &_| {
        let areas = places.areas.areas();
        let parents: StringArray = areas.iter().map(|area| area.parent.as_deref()).collect();
        let populations: UInt64Array = areas.iter().map(|area| area.population).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(areas.iter().map(|area| &area.id))),
            Arc::new(StringArray::from_iter_values(areas.iter().map(|area| &area.name))),
            Arc::new(StringArray::from_iter_values(
                areas.iter().map(|area| &area.level),
            )),
            Arc::new(parents),
            Arc::new(populations),
            Arc::new(Float64Array::from_iter_values(
                areas.iter().map(|area| area.shape.point_inside()[0]),
            )),
            Arc::new(Float64Array::from_iter_values(
                areas.iter().map(|area| area.shape.point_inside()[1]),
            )),
            Arc::new(places.areas.well_known_binary().clone()),
        ];
        whole(&of_batches, columns)
    };
    SnapshotTable::new("areas", schema, rows, Box::new(make))
}
