//! `population`: people at points, as they were loaded. Figures of whole areas are in `areas`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::{DataType, Schema};
use riskgrid_ingest::grid::GridSnapshot;

use super::columns::{cells_of, field, place_fields};
use super::filters::Narrowing;
use super::snapshot_table::{SnapshotTable, whole};
use crate::permission::Permission;

pub(super) fn table(snapshot: &Arc<GridSnapshot>, permission: &Arc<Permission>) -> SnapshotTable {
    let mut fields = Vec::from(place_fields(false));
    fields.push(field(
        "people",
        DataType::Float64,
        false,
        "how many people live at this point",
    ));
    let schema = Arc::new(Schema::new(fields));
    let (snapshot, of_batches) = (Arc::clone(snapshot), Arc::clone(&schema));
    let seen = Arc::clone(permission);
    let rows = snapshot.places.population.len();
    let make = move |narrowing: &Narrowing| {
        let all = snapshot.places.population.iter();
        let points: Vec<_> = all
            .map(|point| (point, [point.lon, point.lat]))
            .filter(|(_, place)| narrowing.admits_place(*place) && seen.admits_place(Some(*place)))
            .map(|(point, _)| point)
            .collect();
        let cells = cells_of(
            points.iter().map(|point| [point.lon, point.lat]),
            snapshot.resolution,
        );
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Float64Array::from_iter_values(
                points.iter().map(|point| point.lon),
            )),
            Arc::new(Float64Array::from_iter_values(
                points.iter().map(|point| point.lat),
            )),
            Arc::new(cells),
            Arc::new(Float64Array::from_iter_values(
                points.iter().map(|point| point.people),
            )),
        ];
        whole(&of_batches, columns)
    };
    SnapshotTable::new("population", schema, rows, Box::new(make)).seen_by(permission)
}
