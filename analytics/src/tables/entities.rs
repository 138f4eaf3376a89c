//! `sensors`, `reports` and `units`: the newest state of each, partitions merged.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, ListBuilder, StringArray, StringBuilder, UInt8Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use riskgrid_ingest::grid::{GridSnapshot, Place};

use super::columns::{field, place_fields, time_type, times};
use super::filters::Narrowing;
use super::snapshot_table::{SnapshotTable, whole};
use super::visible::is_row_visible;
use crate::permission::Permission;

fn place_columns(places: &[Option<Place>]) -> [ArrayRef; 3] {
    let float = |of: fn(&Place) -> f64| -> ArrayRef {
        Arc::new(
            places
                .iter()
                .map(|place| place.as_ref().map(of))
                .collect::<Float64Array>(),
        )
    };
    let cells: UInt64Array = places
        .iter()
        .map(|place| place.as_ref().map(|place| place.cell))
        .collect();
    [
        float(|place| place.lon),
        float(|place| place.lat),
        Arc::new(cells),
    ]
}

/// A filter on a box is answered by the snapshot's R-tree.
pub(super) fn sensors(snapshot: &Arc<GridSnapshot>, permission: &Arc<Permission>) -> SnapshotTable {
    let mut fields = vec![
        field("sensor", DataType::Utf8, false, "the sensor"),
        field("layer", DataType::Utf8, false, "id of the layer that it measures"),
    ];
    fields.extend(place_fields(false));
    fields.push(field(
        "value",
        DataType::Float64,
        false,
        "its newest reading, in the layer's unit",
    ));
    fields.push(field(
        "last_time",
        time_type(),
        false,
        "time of its newest reading",
    ));
    let schema = Arc::new(Schema::new(fields));
    let rows = snapshot
        .partitions
        .iter()
        .map(|partition| partition.sensors.len())
        .sum();
    let (snapshot, of_batches) = (Arc::clone(snapshot), Arc::clone(&schema));
    let seen = Arc::clone(permission);
    let make = move |narrowing: &Narrowing| {
        let found = match narrowing.bounds() {
            Some(bounds) => snapshot.sensors_within(&bounds),
            None => snapshot.sensors(),
        };
        let mut rows: Vec<_> = found
            .into_iter()
            .filter(|(key, _)| narrowing.admits_layer(&key.scope))
            .filter_map(|(key, sensor)| Some((key, sensor.reading?)))
            .filter(|(key, reading)| is_row_visible(&seen, Some(&key.scope), Some(&reading.value.0)))
            .collect();
        rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let places: Vec<_> = rows.iter().map(|(_, reading)| Some(reading.value.0)).collect();
        let values = rows.iter().map(|(key, reading)| {
            let layer = snapshot
                .layers
                .find(&key.scope)
                .and_then(|index| snapshot.layers.get(index));
            layer.map_or(f64::NAN, |layer| layer.scale().value(reading.value.1 as f64))
        });
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|(key, _)| &key.name),
            )),
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|(key, _)| &key.scope),
            )),
        ];
        columns.extend(place_columns(&places));
        columns.push(Arc::new(Float64Array::from_iter_values(values)));
        columns.push(times(rows.iter().map(|(_, reading)| Some(reading.time))));
        whole(&of_batches, columns)
    };
    SnapshotTable::new("sensors", schema, rows, Box::new(make)).seen_by(permission)
}

pub(super) fn reports(snapshot: &Arc<GridSnapshot>, permission: &Arc<Permission>) -> SnapshotTable {
    let mut fields = vec![
        field("report", DataType::Utf8, false, "the report"),
        field("source", DataType::Utf8, false, "CloudEvents source"),
        field("layer", DataType::Utf8, true, "id of the layer of its category"),
        field(
            "status",
            DataType::Utf8,
            false,
            "open, closed, or unknown when neither was seen",
        ),
        field(
            "severity",
            DataType::UInt8,
            true,
            "0 unknown, 1 minor, 2 moderate, 3 major, 4 critical",
        ),
    ];
    fields.extend(place_fields(true));
    fields.extend([
        field("opened", time_type(), true, "when it was first opened"),
        field("updated", time_type(), true, "its newest event"),
        field("closed", time_type(), true, "when it was closed"),
        field(
            "outcome",
            DataType::Utf8,
            true,
            "confirmed, false, duplicate or unknown",
        ),
    ]);
    let schema = Arc::new(Schema::new(fields));
    let rows = snapshot
        .partitions
        .iter()
        .map(|partition| partition.reports.len())
        .sum();
    let (snapshot, of_batches) = (Arc::clone(snapshot), Arc::clone(&schema));
    let seen = Arc::clone(permission);
    let make = move |_: &Narrowing| {
        let mut rows = snapshot.reports();
        rows.retain(|(_, report)| {
            let layer = report.layer.as_ref().map(|layer| layer.value.as_str());
            let place = report.place.as_ref().map(|place| &place.value);
            is_row_visible(&seen, layer, place)
        });
        rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let places: Vec<_> = rows
            .iter()
            .map(|(_, report)| report.place.map(|place| place.value))
            .collect();
        let layers: StringArray = rows
            .iter()
            .map(|(_, report)| report.layer.as_ref().map(|layer| layer.value.as_str()))
            .collect();
        let severities: UInt8Array = rows
            .iter()
            .map(|(_, report)| Some(report.severity.map_or(0, |severity| severity.value)))
            .collect();
        let outcomes: StringArray = rows
            .iter()
            .map(|(_, report)| report.outcome.as_ref().map(|outcome| outcome.value.as_str()))
            .collect();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|(key, _)| &key.name),
            )),
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|(key, _)| &key.scope),
            )),
            Arc::new(layers),
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|(_, report)| report.status()),
            )),
            Arc::new(severities),
        ];
        columns.extend(place_columns(&places));
        columns.push(times(rows.iter().map(|(_, report)| report.opened)));
        columns.push(times(rows.iter().map(|(_, report)| report.updated)));
        columns.push(times(rows.iter().map(|(_, report)| report.closed_at())));
        columns.push(Arc::new(outcomes));
        whole(&of_batches, columns)
    };
    SnapshotTable::new("reports", schema, rows, Box::new(make)).seen_by(permission)
}

pub(super) fn units(snapshot: &Arc<GridSnapshot>, permission: &Arc<Permission>) -> SnapshotTable {
    let mut fields = vec![field("unit", DataType::Utf8, false, "the response unit")];
    fields.extend(place_fields(true));
    let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
    fields.extend([
        field("status", DataType::Utf8, true, "what it is doing"),
        field("skills", DataType::List(item), false, "what it can do"),
        field("last_time", time_type(), true, "time of its newest position"),
    ]);
    let schema = Arc::new(Schema::new(fields));
    let rows = snapshot
        .partitions
        .iter()
        .map(|partition| partition.units.len())
        .sum();
    let (snapshot, of_batches) = (Arc::clone(snapshot), Arc::clone(&schema));
    let seen = Arc::clone(permission);
    let make = move |_: &Narrowing| {
        let mut rows = snapshot.units();
        // A unit is of no layer.
        rows.retain(|(_, unit)| is_row_visible(&seen, None, unit.place.as_ref().map(|place| &place.value)));
        rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let places: Vec<_> = rows
            .iter()
            .map(|(_, unit)| unit.place.map(|place| place.value))
            .collect();
        let statuses: StringArray = rows
            .iter()
            .map(|(_, unit)| unit.status.as_ref().map(|status| status.value.as_str()))
            .collect();
        let mut skills = ListBuilder::new(StringBuilder::new());
        for (_, unit) in &rows {
            for skill in unit.skills.iter().flat_map(|skills| &skills.value) {
                skills.values().append_value(skill);
            }
            skills.append(true);
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from_iter_values(
            rows.iter().map(|(key, _)| &key.name),
        ))];
        columns.extend(place_columns(&places));
        columns.push(Arc::new(statuses));
        columns.push(Arc::new(skills.finish()));
        columns.push(times(
            rows.iter().map(|(_, unit)| unit.place.map(|place| place.time)),
        ));
        whole(&of_batches, columns)
    };
    SnapshotTable::new("units", schema, rows, Box::new(make)).seen_by(permission)
}
