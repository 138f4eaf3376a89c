//! The tables of `public`: what was published, and nothing of the grid.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Schema};
use datafusion::catalog::TableProvider;
use riskgrid_ingest::grid::GridSnapshot;

use super::columns::{field, time_type};
use super::filters::Narrowing;
use super::snapshot_table::{SnapshotTable, whole};
use crate::publication::{Publication, PublishedStep};
use crate::sql::{cell_field, commented};

/// `cells`, `cells_rest` and `layers`, of the layers that are published.
pub fn published_tables(
    snapshot: &Arc<GridSnapshot>,
    publication: &Arc<Publication>,
) -> Vec<(String, Arc<dyn TableProvider>)> {
    let tables = [
        ("cells", rows("cells", publication, false, shown)),
        ("cells_rest", rows("cells_rest", publication, true, left_over)),
        ("layers", layers(snapshot, publication)),
    ];
    tables
        .into_iter()
        .map(|(name, table)| (name.to_owned(), Arc::new(table) as Arc<dyn TableProvider>))
        .collect()
}

/// What a table has of a step: cells and counts.
type RowsOfStep = fn(&PublishedStep) -> Vec<(Option<u64>, u64)>;

fn shown(step: &PublishedStep) -> Vec<(Option<u64>, u64)> {
    step.cells
        .iter()
        .map(|(cell, count)| (Some(*cell), *count))
        .collect()
}

fn left_over(step: &PublishedStep) -> Vec<(Option<u64>, u64)> {
    step.rests.clone()
}

fn rows(
    name: &'static str,
    publication: &Arc<Publication>,
    is_rest: bool,
    of_step: RowsOfStep,
) -> SnapshotTable {
    let cell = if is_rest {
        "H3 cell that holds what is shown in no cell of its own; null for the whole layer"
    } else {
        "H3 cell of the resolution in which the layer is published"
    };
    let schema = Arc::new(Schema::new(vec![
        field("layer", DataType::Utf8, false, "id of the layer"),
        commented(cell_field("cell", is_rest), cell),
        field("bucket", time_type(), false, "start of the step"),
        field(
            "bucket_seconds",
            DataType::UInt32,
            false,
            "length of the step in seconds",
        ),
        field(
            "count",
            DataType::UInt64,
            false,
            "events, rounded; cells of few events or sources are not shown",
        ),
    ]));
    let steps = publication.layers.values().flat_map(|layer| layer.steps());
    let number: usize = steps
        .map(|step| {
            if is_rest {
                step.rests.len()
            } else {
                step.cells.len()
            }
        })
        .sum();
    let (publication, of_batches) = (Arc::clone(publication), Arc::clone(&schema));
    let make = move |narrowing: &Narrowing| {
        let (mut layers, mut cells, mut starts, mut seconds, mut counts) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (id, layer) in publication
            .layers
            .iter()
            .filter(|(id, _)| narrowing.admits_layer(id))
        {
            for step in layer.steps() {
                for (cell, count) in of_step(step) {
                    layers.push(id.as_str());
                    cells.push(cell);
                    starts.push(step.start);
                    seconds.push(step.seconds);
                    counts.push(count);
                }
            }
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(layers)),
            Arc::new(UInt64Array::from(cells)),
            Arc::new(TimestampMicrosecondArray::from(starts).with_timezone("UTC")),
            Arc::new(UInt32Array::from(seconds)),
            Arc::new(UInt64Array::from(counts)),
        ];
        whole(&of_batches, columns)
    };
    SnapshotTable::new(name, schema, number, Box::new(make))
}

fn layers(snapshot: &Arc<GridSnapshot>, publication: &Arc<Publication>) -> SnapshotTable {
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
    ]));
    let (known, publication) = (Arc::clone(&snapshot.layers), Arc::clone(publication));
    let (rows, of_batches) = (publication.layers.len(), Arc::clone(&schema));
    let make = move |_: &Narrowing| {
        let ids = publication.layers.keys();
        let layers: Vec<_> = ids.filter_map(|id| known.get(known.find(id)?)).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(
                layers.iter().map(|layer| &layer.id),
            )),
            Arc::new(StringArray::from_iter_values(
                layers.iter().map(|layer| layer.kind.as_str()),
            )),
            Arc::new(StringArray::from_iter_values(
                layers.iter().map(|layer| &layer.label),
            )),
            Arc::new(
                layers
                    .iter()
                    .map(|layer| layer.unit.as_deref())
                    .collect::<StringArray>(),
            ),
            Arc::new(arrow::array::Float64Array::from_iter_values(
                layers.iter().map(|layer| layer.resolution),
            )),
        ];
        whole(&of_batches, columns)
    };
    SnapshotTable::new("layers", schema, rows, Box::new(make))
}
