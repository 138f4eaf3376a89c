//! `cells`: the aggregates of each (layer, cell, bucket), one row each, at the finest step that is kept.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
    new_null_array,
};
use arrow::datatypes::{DataType, Int32Type, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use riskgrid_ingest::grid::{GridSnapshot, KindColumns, LayerSlice};
use riskgrid_ingest::{EventTime, Layer};

use super::columns::{field, time_type, times};
use super::filters::Narrowing;
use super::snapshot_table::SnapshotTable;
use crate::sql::{cell_field, commented};

fn schema() -> SchemaRef {
    let layer = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(Schema::new(vec![
        field("layer", layer, false, "id of the layer"),
        commented(cell_field("cell", false), "H3 cell of the base resolution"),
        field("bucket", time_type(), false, "start of the bucket"),
        field(
            "bucket_seconds",
            DataType::UInt32,
            false,
            "length of the bucket in seconds",
        ),
        field("count", DataType::UInt64, false, "events"),
        field(
            "weight",
            DataType::UInt64,
            false,
            "sum of severities of reports; the count of observations",
        ),
        field(
            "sum",
            DataType::Float64,
            true,
            "sum of values, in the layer's unit",
        ),
        field("sum_squares", DataType::Float64, true, "sum of squared values"),
        field("min", DataType::Float64, true, "least value"),
        field("max", DataType::Float64, true, "greatest value"),
        field("last", DataType::Float64, true, "newest value"),
        field("last_time", time_type(), true, "time of the newest value"),
        field(
            "sources",
            DataType::UInt64,
            false,
            "linear-counting bitmap of the distinct sources",
        ),
        field(
            "channels",
            DataType::UInt64,
            true,
            "reports: bitmap of channels and sources",
        ),
        field(
            "revision",
            DataType::UInt32,
            false,
            "how often late events changed the slice",
        ),
    ]))
}

pub(super) fn table(snapshot: &Arc<GridSnapshot>) -> SnapshotTable {
    let schema = schema();
    let (snapshot, of_batches) = (Arc::clone(snapshot), Arc::clone(&schema));
    let make = move |narrowing: &Narrowing| {
        let mut batches = Vec::new();
        for (index, layer) in snapshot
            .layers
            .iter()
            .filter(|(_, layer)| narrowing.admits_layer(&layer.id))
        {
            // A slice whose start is the last admitted time still matches.
            let range = narrowing.from..EventTime::from_micros(narrowing.to.micros().saturating_add(1));
            for slice in snapshot.slices(index, range) {
                batches.extend(batch(&of_batches, layer, &slice, narrowing)?);
            }
        }
        Ok(batches)
    };
    SnapshotTable::new(schema, Box::new(make))
}

/// The rows of one slice whose cells are admitted. Integer columns share the slice's memory.
fn batch(
    schema: &SchemaRef,
    layer: &Layer,
    slice: &LayerSlice,
    narrowing: &Narrowing,
) -> Result<Option<RecordBatch>, DataFusionError> {
    let columns = &slice.slice;
    let rows = columns.rows_in(narrowing.first_cell..narrowing.last_cell.saturating_add(1));
    if rows.is_empty() {
        return Ok(None);
    }
    let (start, length) = (rows.start, rows.len());
    let shared = |buffer: &arrow::buffer::ScalarBuffer<u64>| -> ArrayRef {
        Arc::new(UInt64Array::new(buffer.slice(start, length), None))
    };
    let scale = layer.scale();
    let count = shared(&columns.count);
    let null = |data_type: DataType| new_null_array(&data_type, length);
    let (weight, values, channels) = match &columns.columns {
        KindColumns::Report { weight, channels } => {
            let mut values: Vec<ArrayRef> = (0..5).map(|_| null(DataType::Float64)).collect();
            values.push(null(time_type()));
            (shared(weight), values, shared(channels))
        }
        KindColumns::Observation(observed) => {
            let float = |of: &dyn Fn(usize) -> f64| -> ArrayRef {
                Arc::new(Float64Array::from_iter_values(rows.clone().map(of)))
            };
            let values = vec![
                float(&|row| scale.value(observed.sum[row] as f64)),
                float(&|row| scale.square(observed.sum_squares[row] as f64)),
                float(&|row| scale.value(observed.min[row] as f64)),
                float(&|row| scale.value(observed.max[row] as f64)),
                float(&|row| scale.value(observed.last[row] as f64)),
                times(
                    rows.clone()
                        .map(|row| Some(EventTime::from_micros(observed.last_time[row]))),
                ),
            ];
            (Arc::clone(&count), values, null(DataType::UInt64))
        }
    };
    let names = StringArray::from(vec![layer.id.as_str()]);
    let layers = DictionaryArray::<Int32Type>::try_new(Int32Array::from(vec![0; length]), Arc::new(names))?;
    let seconds = u32::try_from(slice.span.seconds()).unwrap_or(u32::MAX);
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(layers),
        shared(&columns.cells),
        times(std::iter::repeat_n(Some(slice.span.start), length)),
        Arc::new(UInt32Array::from(vec![seconds; length])),
        count,
        weight,
    ];
    arrays.extend(values);
    arrays.push(shared(&columns.sources));
    arrays.push(channels);
    arrays.push(Arc::new(UInt32Array::from(vec![slice.revision; length])));
    Ok(Some(RecordBatch::try_new(Arc::clone(schema), arrays)?))
}
