//! `events`: the raw events of the window that is kept, as the batches that hold them: those are left out that by their
//! times, cells and places have no row for a filter.

use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, project_schema};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::ExecutionPlan;
use riskgrid_ingest::grid::{EVENT_SCHEMA, EventBatch, GridSnapshot};

use super::filters::{Narrowing, is_plain, time_span};
use super::scan::{Known, Pieces, RowBatches, SnapshotScan, statistics_of};
use crate::sql::{commented, mark_cell};

/// Columns of which filters are applied here; by the first five whole batches are left out too. Other filters are
/// DataFusion's.
const FILTERED_BY: [&str; 6] = ["time", "layer", "cell", "lon", "lat", "areas"];

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

/// Its columns: those of the log, cells marked as such.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = EVENT_SCHEMA.fields().iter().map(|field| {
        let field: Field = field.as_ref().clone();
        let comment = comment_of(field.name());
        let field = if field.name() == "cell" {
            mark_cell(field)
        } else {
            field
        };
        commented(field, comment)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// The table over one snapshot.
#[derive(Debug)]
pub(super) struct EventsTable {
    snapshot: Arc<GridSnapshot>,
}

impl EventsTable {
    pub(super) fn new(snapshot: &Arc<GridSnapshot>) -> Self {
        Self {
            snapshot: Arc::clone(snapshot),
        }
    }
}

fn takes(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    is_plain(filter)
        && !columns.is_empty()
        && columns
            .iter()
            .all(|column| FILTERED_BY.contains(&column.name.as_str()))
}

#[async_trait]
impl TableProvider for EventsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| {
            if takes(filter) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let narrowing = Narrowing::of(filters);
        let all = self
            .snapshot
            .partitions
            .iter()
            .flat_map(|partition| &partition.events);
        let number_of_all = all.clone().count();
        let batches: Vec<Arc<EventBatch>> = all
            .filter(|batch| {
                batch.last >= narrowing.from
                    && batch.first <= narrowing.to
                    && narrowing.may_hold(batch.cells, batch.bounds)
            })
            .map(Arc::clone)
            .collect();
        let schema = project_schema(&SCHEMA, projection)?;
        let of_filters = DFSchema::try_from(Arc::clone(&SCHEMA))?;
        let physical = |filters: Vec<Expr>| {
            conjunction(filters)
                .map(|filter| state.create_physical_expr(filter, &of_filters))
                .transpose()
        };
        let (spans, others): (Vec<Expr>, Vec<Expr>) = filters
            .iter()
            .cloned()
            .partition(|filter| time_span(filter).is_some());
        let inside = spans
            .iter()
            .filter_map(time_span)
            .fold((narrowing.from, narrowing.to), |(from, to), (first, last)| {
                (from.max(first), to.min(last))
            });
        let rows = batches.iter().map(|batch| batch.batch.num_rows()).sum();
        let is_whole = others.is_empty()
            && batches
                .iter()
                .all(|batch| inside.0 <= batch.first && batch.last <= inside.1);
        let known = Known {
            table: "events",
            pruned: format!("batches={} of {number_of_all}, rows={rows}", batches.len()),
            statistics: statistics_of(
                &schema,
                if is_whole {
                    Precision::Exact(rows)
                } else {
                    Precision::Inexact(rows)
                },
            ),
            properties: EquivalenceProperties::new(Arc::clone(&schema)),
        };
        let pieces = EventPieces {
            batches,
            inside,
            of_times: physical(spans)?,
            of_others: physical(others)?,
            projection: projection.cloned(),
            schema,
        };
        let partitions = state.config().target_partitions();
        Ok(Arc::new(SnapshotScan::new(
            known,
            Arc::new(pieces),
            partitions,
            limit,
        )))
    }
}

/// The batches of a scan, and what of their rows it keeps.
#[derive(Debug)]
struct EventPieces {
    batches: Vec<Arc<EventBatch>>,
    /// The times that `of_times` keeps: a batch inside them need not be looked at.
    inside: (riskgrid_ingest::EventTime, riskgrid_ingest::EventTime),
    of_times: Option<Arc<dyn PhysicalExpr>>,
    of_others: Option<Arc<dyn PhysicalExpr>>,
    projection: Option<Vec<usize>>,
    schema: SchemaRef,
}

impl Pieces for EventPieces {
    fn number(&self) -> usize {
        self.batches.len()
    }

    fn rows(&self, piece: usize) -> usize {
        self.batches.get(piece).map_or(0, |batch| batch.batch.num_rows())
    }

    fn read(&self, piece: usize) -> Result<RowBatches> {
        let Some(events) = self.batches.get(piece) else {
            return Ok(Box::new(std::iter::empty()));
        };
        let projected = match &self.projection {
            Some(projection) => events.batch.project(projection)?,
            None => events.batch.clone(),
        };
        let mut kept = projected.with_schema(Arc::clone(&self.schema))?;
        let is_inside = self.inside.0 <= events.first && events.last <= self.inside.1;
        let filters = [
            self.of_times.as_ref().filter(|_| !is_inside),
            self.of_others.as_ref(),
        ];
        let masks = filters.into_iter().flatten().map(|filter| {
            filter
                .evaluate(&events.batch)?
                .into_array(events.batch.num_rows())
        });
        let mut mask: Option<arrow::array::BooleanArray> = None;
        for of_filter in masks {
            let of_filter = of_filter?.as_boolean().clone();
            mask = Some(match mask {
                Some(mask) => arrow::compute::and_kleene(&mask, &of_filter)?,
                None => of_filter,
            });
        }
        if let Some(mask) = mask {
            kept = filter_record_batch(&kept, &mask)?;
        }
        Ok(Box::new(std::iter::once(Ok::<RecordBatch, _>(kept))))
    }

    fn bytes(&self, piece: usize) -> usize {
        let filters = self.of_times.is_some() || self.of_others.is_some();
        match self.batches.get(piece) {
            Some(batch) if filters => batch.bytes,
            _ => 0,
        }
    }
}
