//! Finds questions that only count events by cell, such as `SELECT cell, count(*) FROM events … GROUP BY cell`, and lets
//! their scan do it: it gives a row a cell with a number. The aggregate above adds these up, to the same result.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{SchemaRef, UInt64Type};
use datafusion::catalog::default_table_source::{provider_as_source, source_as_provider};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result, internal_datafusion_err};
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::logical_expr::expr::{AggregateFunction, Alias};
use datafusion::logical_expr::{
    Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, SubqueryAlias, TableScanBuilder, lit, when,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use h3o::Resolution;

use super::cell_counter::CellCounter;
use super::pieces::FilteredEvents;
use super::shown::ShownBatch;
use super::{COUNTED, COUNTED_SCHEMA, EventsTable, Rows};
use crate::tables::filters::is_plain;
use crate::tables::scan::{Pieces, RowBatches, runs};

/// The rule. It must come after filters and projections have been pushed down.
#[derive(Debug)]
pub(crate) struct CellCounts;

impl OptimizerRule for CellCounts {
    fn name(&self) -> &'static str {
        "cell_counts"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = plan else {
            return Ok(Transformed::no(plan));
        };
        let groups_by_cell =
            !aggregate.group_expr.is_empty() && aggregate.group_expr.iter().all(is_of_a_cell);
        if groups_by_cell
            && !aggregate.aggr_expr.is_empty()
            && aggregate.aggr_expr.iter().all(counts_rows)
            && let Some(input) = counted(&aggregate.input)?
        {
            return added_up(&aggregate, input).map(Transformed::yes);
        }
        Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)))
    }
}

/// The sums of the numbers that `input` gives, under the names of the counts.
fn added_up(counts: &Aggregate, input: LogicalPlan) -> Result<LogicalPlan> {
    let number = input.schema().iter().find(|(_, field)| field.name() == COUNTED);
    let number = number
        .map(Column::from)
        .ok_or_else(|| internal_datafusion_err!("no column {COUNTED}"))?;
    let sums = Aggregate::try_new(
        Arc::new(input),
        counts.group_expr.clone(),
        vec![sum(Expr::Column(number))],
    )?;
    let groups = counts.group_expr.len();
    let of_sums: Vec<Expr> = sums
        .schema
        .iter()
        .map(|field| Expr::Column(Column::from(field)))
        .collect();
    let Some(total) = of_sums.get(groups) else {
        return Err(internal_datafusion_err!("no sum after {groups} groups"));
    };
    // A group has events, and a count is never NULL.
    let number = when(total.clone().is_not_null(), total.clone()).otherwise(lit(0_i64))?;
    let named = counts.schema.iter().skip(groups);
    let numbers =
        named.map(|(qualifier, field)| number.clone().alias_qualified(qualifier.cloned(), field.name()));
    let exprs: Vec<Expr> = of_sums.iter().take(groups).cloned().chain(numbers).collect();
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(sums))
        .project(exprs)?
        .build()
}

/// The same input with its scan counting; none where it is no plain scan of `events`.
fn counted(input: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    Ok(match input {
        LogicalPlan::SubqueryAlias(alias) => counted(&alias.input)?
            .map(|input| SubqueryAlias::try_new(Arc::new(input), alias.alias.clone()))
            .transpose()?
            .map(LogicalPlan::SubqueryAlias),
        LogicalPlan::TableScan(scan) if scan.fetch.is_none() => {
            let provider = source_as_provider(&scan.source)?;
            match (provider.as_ref() as &dyn std::any::Any).downcast_ref::<EventsTable>() {
                Some(events) if events.rows == Rows::Events => {
                    let source = provider_as_source(Arc::new(EventsTable {
                        rows: Rows::CellCounts,
                        ..events.clone()
                    }));
                    let columns = ["cell", COUNTED].map(|name| COUNTED_SCHEMA.index_of(name));
                    let columns = columns.into_iter().collect::<Result<Vec<_>, _>>()?;
                    let scan = TableScanBuilder::new(scan.table_name.clone(), source)
                        .with_projection(Some(columns))
                        .with_filters(scan.filters.clone());
                    Some(LogicalPlan::TableScan(scan.build()?))
                }
                _ => None,
            }
        }
        _ => None,
    })
}

/// Whether an expression depends on the cell alone.
fn is_of_a_cell(expr: &Expr) -> bool {
    let columns = expr.column_refs();
    is_plain(expr) && !columns.is_empty() && columns.iter().all(|column| column.name == "cell")
}

/// Whether an aggregate is the number of rows.
fn counts_rows(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(Alias { expr, .. }) => counts_rows(expr),
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            func.name() == "count"
                && !params.distinct
                && params.filter.is_none()
                && params.order_by.is_empty()
                && matches!(params.args.as_slice(), [Expr::Literal(value, _)] if !value.is_null())
        }
        _ => false,
    }
}

/// Rows past which counts are given out and begun anew: a batch more, and they still fit their numbers.
const MOST_ROWS: usize = 1 << 31;
/// Bytes of counts past which they are given to the aggregate above, and counting starts anew.
const MOST_BYTES: usize = 32 << 20;

/// Bytes of counts for a row of which no other has the cell, at most.
const BYTES_OF_A_ROW: usize = 64;

/// The batches of a scan, those of each core together.
#[derive(Debug)]
pub(super) struct CountPieces {
    all: Arc<Counted>,
    pieces: Vec<Range<usize>>,
}

/// What is counted.
#[derive(Debug)]
struct Counted {
    events: FilteredEvents,
    resolution: Resolution,
    schema: SchemaRef,
}

impl Counted {
    /// The counts of the next batches: of all, or of as many as fit.
    fn next(&self, left: &mut Range<usize>) -> Result<Option<RecordBatch>> {
        let mut counter = CellCounter::new(self.resolution);
        let mut without_place = 0;
        for batch in left.by_ref() {
            let rows = self.events.rows_of(batch)?;
            let Some(cells) = rows.as_ref().and_then(|rows| rows.column_by_name("cell")) else {
                continue;
            };
            let cells = cells.as_primitive::<UInt64Type>();
            if cells.null_count() == 0 {
                counter.add(cells.values());
            } else {
                without_place += cells.null_count() as i64;
                let placed: Vec<u64> = cells.iter().flatten().collect();
                counter.add(&placed);
            }
            if counter.bytes() > MOST_BYTES || counter.rows() > MOST_ROWS {
                break;
            }
        }
        let (cells, mut counts) = counter.counts();
        let mut cells: Vec<Option<u64>> = cells.into_iter().map(Some).collect();
        if without_place > 0 {
            cells.push(None);
            counts.push(without_place);
        }
        if cells.is_empty() {
            return Ok(None);
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from(cells)),
            Arc::new(Int64Array::from(counts)),
        ];
        Ok(Some(RecordBatch::try_new(Arc::clone(&self.schema), columns)?))
    }
}

impl CountPieces {
    pub(super) fn new(
        events: FilteredEvents,
        resolution: Resolution,
        cores: usize,
        schema: SchemaRef,
    ) -> Self {
        let rows: Vec<usize> = events.batches.iter().map(ShownBatch::rows).collect();
        Self {
            pieces: runs(&rows, cores),
            all: Arc::new(Counted {
                events,
                resolution,
                schema,
            }),
        }
    }

    fn batches(&self, piece: usize) -> Range<usize> {
        self.pieces.get(piece).cloned().unwrap_or_default()
    }
}

impl Pieces for CountPieces {
    fn number(&self) -> usize {
        self.pieces.len()
    }

    fn rows(&self, piece: usize) -> usize {
        let batches = self.all.events.batches.get(self.batches(piece));
        batches.unwrap_or_default().iter().map(ShownBatch::rows).sum()
    }

    fn read(&self, piece: usize) -> Result<RowBatches> {
        let all = Arc::clone(&self.all);
        let mut left = self.batches(piece);
        Ok(Box::new(std::iter::from_fn(move || {
            while !left.is_empty() {
                if let Some(counts) = all.next(&mut left).transpose() {
                    return Some(counts);
                }
            }
            None
        })))
    }

    fn bytes(&self, piece: usize) -> usize {
        let filtered = self.batches(piece).map(|batch| self.all.events.bytes(batch));
        // Counts, and then they as columns.
        filtered.max().unwrap_or(0) + 2 * MOST_BYTES.min(self.rows(piece).saturating_mul(BYTES_OF_A_ROW))
    }
}
