//! `layers`: the catalogue, with what each layer's events span.

use std::sync::Arc;

use arrow::array::{Float64Array, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Schema};
use riskgrid_ingest::grid::GridSnapshot;

use super::columns::{field, time_type, times};
use super::snapshot_table::{SnapshotTable, whole};
use super::visible::visible_layers;
use crate::permission::Permission;

pub(super) fn table(snapshot: &Arc<GridSnapshot>, permission: &Arc<Permission>) -> SnapshotTable {
    let schema = Arc::new(Schema::new(vec![
        field("layer", DataType::Utf8, false, "id of the layer"),
        field("kind", DataType::Utf8, false, "observation or report"),
        field("label", DataType::Utf8, false, "name for people"),
        field("unit", DataType::Utf8, true, "UCUM code of its values"),
        field(
            "resolution",
            DataType::Float64,
            false,
            "values are multiples of this, in the unit",
        ),
        field("domain", DataType::Utf8, false, "clock domain"),
        field("first_time", time_type(), true, "earliest event time"),
        field("last_time", time_type(), true, "latest event time"),
        field("count", DataType::UInt64, false, "events that count"),
    ]));
    let rows = snapshot.layers.iter().count();
    let (snapshot, of_batches) = (Arc::clone(snapshot), Arc::clone(&schema));
    let seen = Arc::clone(permission);
    let make = move |_: &_| {
        let layers: Vec<_> = visible_layers(&snapshot, &seen)
            .map(|(index, layer)| (layer, snapshot.totals_within(index, seen.cells())))
            .collect();
        whole(
            &of_batches,
            vec![
                Arc::new(StringArray::from_iter_values(
                    layers.iter().map(|(layer, _)| &layer.id),
                )),
                Arc::new(StringArray::from_iter_values(
                    layers.iter().map(|(layer, _)| layer.kind.as_str()),
                )),
                Arc::new(StringArray::from_iter_values(
                    layers.iter().map(|(layer, _)| &layer.label),
                )),
                Arc::new(
                    layers
                        .iter()
                        .map(|(layer, _)| layer.unit.as_deref())
                        .collect::<StringArray>(),
                ),
                Arc::new(Float64Array::from_iter_values(
                    layers.iter().map(|(layer, _)| layer.resolution),
                )),
                Arc::new(StringArray::from_iter_values(
                    layers.iter().map(|(layer, _)| &layer.domain),
                )),
                times(
                    layers
                        .iter()
                        .map(|(_, totals)| totals.map(|totals| totals.first_time)),
                ),
                times(
                    layers
                        .iter()
                        .map(|(_, totals)| totals.map(|totals| totals.last_time)),
                ),
                Arc::new(UInt64Array::from_iter_values(
                    layers
                        .iter()
                        .map(|(_, totals)| totals.map_or(0, |totals| totals.count)),
                )),
            ],
        )
    };
    SnapshotTable::new("layers", schema, rows, Box::new(make)).seen_by(permission)
}
