//! The tables of `public`: what was published, and of the grid the counts of layers that are open.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Int32Array, StringArray, TimestampMicrosecondArray, UInt8Array, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{DataType, Int32Type, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use riskgrid_ingest::grid::GridSnapshot;

use super::cells::CellsTable;
use super::columns::{field, time_type};
use super::filters::Narrowing;
use super::snapshot_table::{SnapshotTable, whole};
use super::visible::visible_layers;
use crate::permission::Permission;
use crate::publication::{Publication, PublishedStep};
use crate::scan_at_once::scan_at_once;
use crate::sql::{cell_field, commented};

/// `cells`, `cells_rest`, `risk` and `layers`, of the layers that are published, and of those of the grid that are open.
pub fn published_tables(
    snapshot: &Arc<GridSnapshot>,
    permission: &Arc<Permission>,
    publication: &Arc<Publication>,
) -> Vec<(String, Arc<dyn TableProvider>)> {
    let cells = PublicCells {
        published: counts("cells", publication, shown),
        open: CellsTable::new(snapshot, permission),
        has_open: visible_layers(snapshot, permission).next().is_some(),
    };
    let tables: [(&str, Arc<dyn TableProvider>); 4] = [
        ("cells", Arc::new(cells)),
        (
            "cells_rest",
            Arc::new(counts("cells_rest", publication, left_over)),
        ),
        ("risk", Arc::new(risk(publication))),
        ("layers", Arc::new(layers(snapshot, permission, publication))),
    ];
    tables
        .into_iter()
        .map(|(name, table)| (name.to_owned(), table))
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

/// The type of ids of layers, as in the grid's own tables.
fn layer_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Columns of rows of layers, while they are put together.
#[derive(Default)]
struct LayerIds {
    ids: Vec<String>,
    keys: Vec<i32>,
}

impl LayerIds {
    fn begin(&mut self, id: &str) {
        self.ids.push(id.to_owned());
    }

    /// One more row of the layer that was begun last.
    fn add(&mut self) {
        self.keys.push(self.ids.len() as i32 - 1);
    }

    fn array(self) -> Result<ArrayRef> {
        let ids = Arc::new(StringArray::from(self.ids));
        let keys = Int32Array::from(self.keys);
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, ids)?))
    }
}

fn counts(name: &'static str, publication: &Arc<Publication>, of_step: RowsOfStep) -> SnapshotTable {
    let is_rest = name == "cells_rest";
    let cell = if is_rest {
        "H3 cell that holds what is shown in no cell of its own; null for the whole layer"
    } else {
        "H3 cell: of suppressed layers that of the resolution in which they are published, of open ones that of the grid"
    };
    let schema = Arc::new(Schema::new(vec![
        field("layer", layer_type(), false, "id of the layer"),
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
            "events; of suppressed layers rounded, and cells of few events or sources are not shown",
        ),
    ]));
    let steps = publication.layers.values().flat_map(|layer| layer.steps());
    let number: usize = steps.map(|step| of_step(step).len()).sum();
    let (publication, of_batches) = (Arc::clone(publication), Arc::clone(&schema));
    let make = move |narrowing: &Narrowing| {
        let (mut layers, mut cells, mut starts, mut seconds, mut counts) = (
            LayerIds::default(),
            Vec::new(),
            Vec::new(),
            Vec::new(),
            Vec::new(),
        );
        let narrowed = publication.layers.iter();
        for (id, layer) in narrowed.filter(|(id, _)| narrowing.admits_layer(id)) {
            layers.begin(id);
            for step in layer.steps() {
                for (cell, count) in of_step(step) {
                    layers.add();
                    cells.push(cell);
                    starts.push(step.start);
                    seconds.push(step.seconds);
                    counts.push(count);
                }
            }
        }
        let columns: Vec<ArrayRef> = vec![
            layers.array()?,
            Arc::new(UInt64Array::from(cells)),
            Arc::new(TimestampMicrosecondArray::from(starts).with_timezone("UTC")),
            Arc::new(UInt32Array::from(seconds)),
            Arc::new(UInt64Array::from(counts)),
        ];
        whole(&of_batches, columns)
    };
    SnapshotTable::new(name, schema, number, Box::new(make))
}

/// `cells`: atoms of what was published, and what the grid counts of the layers that are open.
#[derive(Debug)]
struct PublicCells {
    published: SnapshotTable,
    open: CellsTable,
    has_open: bool,
}

impl PublicCells {
    fn scan_now(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let published = self.published.scan_now(state, projection, filters, limit)?;
        if !self.has_open {
            return Ok(published);
        }
        // The grid's own table begins with the same columns.
        let all: Vec<usize> = (0..self.published.schema().fields().len()).collect();
        let open = self
            .open
            .scan_now(state, Some(projection.unwrap_or(&all)), filters, limit)?;
        UnionExec::try_new(vec![published, open])
    }
}

impl TableProvider for PublicCells {
    fn schema(&self) -> SchemaRef {
        self.published.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // What narrows both; each row is asked above.
        Ok(Narrowing::support(filters))
    }

    scan_at_once!();
}

fn risk(publication: &Arc<Publication>) -> SnapshotTable {
    let schema = Arc::new(Schema::new(vec![
        commented(
            cell_field("cell", false),
            "H3 cell of the resolution in which the layer is published",
        ),
        field("layer", layer_type(), false, "id of the layer"),
        field("at", time_type(), false, "the moment of the risk"),
        field(
            "band",
            DataType::UInt8,
            false,
            "how high it was: 0 below 0.2, 1 from there, 2 from 0.4, 3 from 0.6, 4 from 0.8",
        ),
    ]));
    let steps = publication.layers.values().flat_map(|layer| layer.steps());
    let bands = steps.filter_map(|step| step.risk.as_ref());
    let number: usize = bands.map(|bands| bands.cells.len()).sum();
    let (publication, of_batches) = (Arc::clone(publication), Arc::clone(&schema));
    let make = move |narrowing: &Narrowing| {
        let (mut cells, mut layers, mut times, mut bands) =
            (Vec::new(), LayerIds::default(), Vec::new(), Vec::new());
        let narrowed = publication.layers.iter();
        for (id, layer) in narrowed.filter(|(id, _)| narrowing.admits_layer(id)) {
            layers.begin(id);
            for risk in layer.steps().filter_map(|step| step.risk.as_ref()) {
                for (cell, band) in &risk.cells {
                    cells.push(*cell);
                    layers.add();
                    times.push(risk.at);
                    bands.push(*band);
                }
            }
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from(cells)),
            layers.array()?,
            Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
            Arc::new(UInt8Array::from(bands)),
        ];
        whole(&of_batches, columns)
    };
    SnapshotTable::new("risk", schema, number, Box::new(make))
}

fn layers(snapshot: &Arc<GridSnapshot>, permission: &Permission, publication: &Publication) -> SnapshotTable {
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
    let known = Arc::clone(&snapshot.layers);
    let open = visible_layers(snapshot, permission).map(|(_, layer)| layer.id.clone());
    let ids: BTreeSet<String> = publication.layers.keys().cloned().chain(open).collect();
    let (rows, of_batches) = (ids.len(), Arc::clone(&schema));
    let make = move |_: &Narrowing| {
        let layers: Vec<_> = ids.iter().filter_map(|id| known.get(known.find(id)?)).collect();
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
