//! Finds questions that only add up buckets, such as `SELECT cell, sum(count) FROM cells … GROUP BY cell`, and lets their
//! scan do it: it reads the coarsest slices that cover the window, a day's hours for its minutes, and gives one row a cell,
//! or one a cell and hour or day where they ask for these, as by `GROUP BY date_trunc('hour', bucket)`.
//!
//! The aggregate above stays as it is. It adds up fewer rows, to the same result.

use std::sync::Arc;

use datafusion::catalog::default_table_source::{provider_as_source, source_as_provider};
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::{AggregateFunction, Alias};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, SubqueryAlias, TableScan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use h3o::Resolution;

use super::filter::parent_resolution;
use super::time_bin::TimeBin;
use super::{CellsTable, Rows};
use crate::tables::filters::{is_plain, uses};

/// The rule. It must come after filters and projections have been pushed down.
#[derive(Debug)]
pub(crate) struct WholeWindow;

impl OptimizerRule for WholeWindow {
    fn name(&self) -> &'static str {
        "whole_window"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = plan else {
            return Ok(Transformed::no(plan));
        };
        let groups = &aggregate.group_expr;
        let groups_by_place_and_time = groups
            .iter()
            .all(|group| is_of(&["layer", "cell", "bucket"], group));
        let (true, Some(bins)) = (groups_by_place_and_time, uses(groups, "bucket", TimeBin::within)) else {
            return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
        };
        if !aggregate.aggr_expr.iter().all(adds_up) {
            return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
        }
        let exprs = groups.iter().chain(&aggregate.aggr_expr);
        let Some(input) = with_window(&aggregate.input, bins.into_iter().min(), exprs.collect())? else {
            return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
        };
        let mut aggregate = aggregate;
        aggregate.input = Arc::new(input);
        Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
    }
}

/// The same input with its scan summed, by `bin` where there is one; none where it is no plain scan of `cells`. `exprs` are
/// those above it.
fn with_window<'a>(
    input: &'a LogicalPlan,
    bin: Option<TimeBin>,
    mut exprs: Vec<&'a Expr>,
) -> Result<Option<LogicalPlan>> {
    Ok(match input {
        LogicalPlan::SubqueryAlias(alias) => with_window(&alias.input, bin, exprs)?
            .map(|input| SubqueryAlias::try_new(Arc::new(input), alias.alias.clone()))
            .transpose()?
            .map(LogicalPlan::SubqueryAlias),
        // A filter on places keeps or drops all buckets of a cell.
        LogicalPlan::Filter(filter) if is_of_a_place(&filter.predicate) => {
            exprs.push(&filter.predicate);
            with_window(&filter.input, bin, exprs)?
                .map(|input| Filter::try_new(filter.predicate.clone(), Arc::new(input)))
                .transpose()?
                .map(LogicalPlan::Filter)
        }
        LogicalPlan::TableScan(scan) if scan.fetch.is_none() => summed(scan, bin, exprs),
        _ => None,
    })
}

fn summed(scan: &TableScan, bin: Option<TimeBin>, exprs: Vec<&Expr>) -> Option<LogicalPlan> {
    let provider = source_as_provider(&scan.source).ok()?;
    let cells = (provider.as_ref() as &dyn std::any::Any).downcast_ref::<CellsTable>()?;
    if cells.rows != Rows::Buckets {
        return None;
    }
    let base = cells.snapshot.resolution;
    let resolution = match uses(exprs, "cell", parent_resolution) {
        // Where only parents are asked for, cells need not be told apart below them.
        Some(parents) => parents.into_iter().max().unwrap_or(Resolution::Zero).min(base),
        None => base,
    };
    let source = provider_as_source(Arc::new(CellsTable {
        rows: Rows::Window { resolution, bin },
        ..cells.clone()
    }));
    Some(LogicalPlan::TableScan(TableScan {
        source,
        ..scan.clone()
    }))
}

/// Whether an expression depends on layer and cell alone.
fn is_of_a_place(expr: &Expr) -> bool {
    is_of(&["layer", "cell"], expr)
}

/// Whether an expression depends on these columns alone.
fn is_of(columns: &[&str], expr: &Expr) -> bool {
    let mut used = expr.column_refs().into_iter();
    is_plain(expr) && used.all(|column| columns.contains(&column.name.as_str()))
}

/// Whether an aggregate over sums of buckets is the aggregate over the buckets.
fn adds_up(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(Alias { expr, .. }) => adds_up(expr),
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            let is_filtered_by_place = params.filter.as_deref().is_none_or(is_of_a_place);
            let [Expr::Column(column)] = params.args.as_slice() else {
                // Of a place, whatever the number of its rows.
                return is_filtered_by_place
                    && matches!(func.name(), "min" | "max")
                    && params.args.iter().all(is_of_a_place);
            };
            let is_plain = params.order_by.is_empty() && !params.distinct && is_filtered_by_place;
            match (func.name(), column.name.as_str()) {
                ("sum", "count" | "weight" | "sum" | "sum_squares")
                | ("min", "min" | "layer" | "cell")
                | ("max", "max" | "last_time" | "layer" | "cell")
                | ("bit_or", "sources" | "channels") => is_plain,
                ("count", "layer" | "cell") => params.distinct && is_filtered_by_place,
                _ => false,
            }
        }
        _ => false,
    }
}
