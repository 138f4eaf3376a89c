//! `events`: the raw events of the window that is kept, pruned by the times that each batch spans.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use riskgrid_ingest::grid::{EVENT_SCHEMA, GridSnapshot};

use super::filters::Narrowing;
use super::snapshot_table::SnapshotTable;
use crate::sql::{commented, mark_cell};

fn comment_of(column: &str) -> &'static str {
    match column {
        "source" => "CloudEvents source",
        "id" => "CloudEvents id",
        "type" => "CloudEvents type",
        "layer" => "id of the layer; null for positions, and for updates that name no category",
        "time" => "event time",
        "lon" => "degrees east",
        "lat" => "degrees north",
        "cell" => "H3 cell of the base resolution",
        "value" => "the reading, in the layer's unit",
        "severity" => "reports: 0 unknown, 1 minor, 2 moderate, 3 major, 4 critical",
        "report" => "which report",
        "op" => "open, update or close",
        "sensor" => "which sensor",
        "unit" => "which response unit",
        "areas" => "ids of the areas that hold the point; null while no areas are loaded",
        "received" => "when the log received it",
        _ => "",
    }
}

pub(super) fn table(snapshot: &Arc<GridSnapshot>) -> SnapshotTable {
    let fields = EVENT_SCHEMA.fields().iter().map(|field| {
        let field: Field = field.as_ref().clone();
        let comment = comment_of(field.name());
        commented(
            if field.name() == "cell" {
                mark_cell(field)
            } else {
                field
            },
            comment,
        )
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let (snapshot, of_batches) = (Arc::clone(snapshot), Arc::clone(&schema));
    let make = move |narrowing: &Narrowing| {
        let all = snapshot.partitions.iter().flat_map(|partition| &partition.events);
        let admitted = all.filter(|events| events.last >= narrowing.from && events.first <= narrowing.to);
        admitted
            .map(|events| {
                Ok(RecordBatch::try_new(
                    Arc::clone(&of_batches),
                    events.batch.columns().to_vec(),
                )?)
            })
            .collect()
    };
    SnapshotTable::new(schema, Box::new(make))
}
