//! `events`: the raw events of the window that is kept, as the batches that hold them: those are left out that by their
//! times, cells and places have no row for a filter.
//!
//! A question that only counts them by cell is answered by the scan: see [`cell_counts`].

mod cell_counter;
pub(crate) mod cell_counts;
mod pieces;
mod shown;

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, project_schema};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::ExecutionPlan;
use riskgrid_ingest::grid::{EVENT_SCHEMA, GridSnapshot};

use self::cell_counts::CountPieces;
use self::pieces::{EventFilter, EventPieces, FilteredEvents};
use self::shown::{ShownBatch, Spans, shows_all};
use super::filters::{Narrowing, condition, is_plain};
use super::scan::{Known, Pieces, SnapshotScan, statistics_of};
use super::time_filters::{EventsWithin, events_of};
use crate::permission::Permission;
use crate::scan_at_once::scan_at_once;
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

/// Its columns for who sees no units.
static WITHOUT_UNITS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = SCHEMA.fields().iter().filter(|field| field.name() != "unit");
    Arc::new(Schema::new(fields.map(Arc::clone).collect::<Vec<_>>()))
});

/// The column after those of the table in which a scan says how many events a row stands for.
const COUNTED: &str = "counted";

/// The columns of a scan that counts.
static COUNTED_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let counted = Arc::new(Field::new(COUNTED, DataType::Int64, false));
    let fields = SCHEMA.fields().iter().map(Arc::clone).chain([counted]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// The table over one snapshot.
#[derive(Clone, Debug)]
pub(super) struct EventsTable {
    snapshot: Arc<GridSnapshot>,
    /// Other events are as if they did not exist.
    permission: Arc<Permission>,
    rows: Rows,
}

/// What a scan gives a row for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// Each event.
    Events,
    /// Each cell of some of them, with their number. There are no columns but `cell` and [`COUNTED`].
    CellCounts,
}

impl EventsTable {
    pub(super) fn new(snapshot: &Arc<GridSnapshot>, permission: &Arc<Permission>) -> Self {
        Self {
            snapshot: Arc::clone(snapshot),
            permission: Arc::clone(permission),
            rows: Rows::Events,
        }
    }

    /// The columns of events that are seen.
    fn columns(&self) -> &'static SchemaRef {
        if self.permission.sees_units() {
            &SCHEMA
        } else {
            &WITHOUT_UNITS
        }
    }

    /// All that is seen, by partition, without the batches that have none of it.
    fn shown(&self) -> Result<Vec<Vec<ShownBatch>>> {
        let partitions = self.snapshot.partitions.iter();
        let shown = partitions.map(|partition| {
            let batches = partition.events.iter();
            let mut shown: Vec<ShownBatch> = batches
                .map(|batch| ShownBatch::of(batch, &self.permission))
                .collect::<Result<_>>()?;
            shown.retain(|batch| batch.rows() > 0);
            Ok(shown)
        });
        shown.collect()
    }

    /// What is told of the scan before it reads: the batches that may match, one by one. Where some events are not seen, where
    /// batches begin and end is not told either, and all of a partition's are one.
    fn told(&self, shown: &[Vec<ShownBatch>]) -> Vec<(usize, Spans)> {
        let all = shown
            .iter()
            .map(|batches| batches.iter().map(|batch| (batch.rows(), batch.spans())));
        if shows_all(&self.permission) {
            return all.flatten().collect();
        }
        all.filter_map(|batches| batches.reduce(|a, b| (a.0 + b.0, a.1.with(b.1))))
            .collect()
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

impl EventsTable {
    fn scan_now(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let narrowing = Narrowing::of(filters);
        let shown = self.shown()?;
        let mut told = self.told(&shown);
        let mut batches: Vec<ShownBatch> = shown.into_iter().flatten().collect();
        let all_rows: usize = told.iter().map(|(rows, _)| rows).sum();
        told.retain(|(_, spans)| spans.may_match(&narrowing));
        batches.retain(|batch| batch.spans().may_match(&narrowing));
        let schema = project_schema(&self.schema(), projection)?;
        // All filters are asked of the rows, those too that an optimizer rewrote after they were taken.
        let (spans, others): (Vec<Expr>, Vec<Expr>) = filters
            .iter()
            .cloned()
            .partition(|filter| events_of(filter).is_some());
        let inside = spans
            .iter()
            .filter_map(events_of)
            .fold(narrowing.times, EventsWithin::and);
        let rows = told.iter().map(|(rows, _)| rows).sum();
        let is_exact = self.rows == Rows::Events
            && others.is_empty()
            && told.iter().all(|(_, spans)| spans.are_inside(inside));
        let number = if is_exact {
            Precision::Exact(rows)
        } else {
            Precision::Inexact(rows)
        };
        let counted = match self.rows {
            Rows::Events => "",
            Rows::CellCounts => ", counted by cell",
        };
        let known = Known {
            table: "events",
            pruned: format!("rows={rows} of {all_rows}{counted}"),
            statistics: statistics_of(&schema, number),
            properties: EquivalenceProperties::new(Arc::clone(&schema)),
            apart: None,
        };
        // What is read of a batch: what is asked for, and what filters look at.
        let wanted = schema.fields().iter().map(|field| field.name().as_str());
        let of_filters = filters.iter().flat_map(Expr::column_refs);
        let mut columns: Vec<usize> = wanted
            .filter(|name| *name != COUNTED)
            .chain(of_filters.map(|column| column.name.as_str()))
            .map(|name| SCHEMA.index_of(name))
            .collect::<Result<_, _>>()?;
        columns.sort_unstable();
        columns.dedup();
        let read = Arc::new(SCHEMA.project(&columns)?);
        let of_read = DFSchema::try_from(Arc::clone(&read))?;
        let filter = EventFilter {
            inside,
            of_times: condition(state, spans, &of_read)?,
            of_others: condition(state, others, &of_read)?,
        };
        let events = FilteredEvents {
            batches,
            columns,
            read,
            filter,
        };
        let partitions = state.config().target_partitions();
        let pieces: Arc<dyn Pieces> = match self.rows {
            Rows::Events => Arc::new(EventPieces { events, schema }),
            Rows::CellCounts => Arc::new(CountPieces::new(
                events,
                self.snapshot.resolution,
                partitions,
                schema,
            )),
        };
        Ok(Arc::new(SnapshotScan::new(known, pieces, partitions, limit)))
    }
}

impl TableProvider for EventsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(match self.rows {
            Rows::Events => self.columns(),
            Rows::CellCounts => &COUNTED_SCHEMA,
        })
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

    scan_at_once!();
}
