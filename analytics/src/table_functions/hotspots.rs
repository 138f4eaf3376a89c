//! `hotspots(layer => 'noise', resolution => 8, window => INTERVAL '24 hours', k => 1)`: Getis-Ord Gi* of each cell.
//!
//! One row a cell of the study area, cells ascending: `cell, value, z, p, q, class, neighbours, n, method, runs_needed`.
//! The window is `[at - window, at)`, snapped outward to what the grid still keeps; EXPLAIN shows the actual one.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use riskgrid_ingest::grid::GridSnapshot;

use super::hotspots_question::HotspotArguments;
use super::hotspots_scan::HotspotsScan;
use crate::sql::{cell_field, commented};

/// Its name in SQL.
pub const NAME: &str = "hotspots";

/// Its arguments, in order; only `layer` must be given.
pub const ARGUMENTS: [&str; 13] = [
    "layer",
    "metric",
    "resolution",
    "window",
    "at",
    "domain",
    "k",
    "weights",
    "distance",
    "method",
    "permutations",
    "seed",
    "fdr",
];

/// The columns of its answer.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let field = |name: &str, data_type, nullable, comment: &str| {
        commented(Field::new(name, data_type, nullable), comment)
    };
    Arc::new(Schema::new(vec![
        commented(cell_field("cell", false), "H3 cell of the study area"),
        field("value", DataType::Float64, false, "the metric, in its unit"),
        field(
            "z",
            DataType::Float64,
            true,
            "Gi*; null where it is undefined: a constant field, fewer than 3 cells, a neighbourhood that is everything",
        ),
        field(
            "p",
            DataType::Float64,
            false,
            "two-sided p, 1 where z is undefined",
        ),
        field(
            "q",
            DataType::Float64,
            false,
            "false discovery rate over the study area",
        ),
        field(
            "class",
            DataType::Utf8,
            false,
            "hot_99, hot_95, hot_90, none, cold_90, cold_95 or cold_99, by q",
        ),
        field(
            "neighbours",
            DataType::UInt32,
            false,
            "neighbours inside the study area",
        ),
        field(
            "n",
            DataType::UInt64,
            false,
            "cells of the study area; below 30 the answer is coarse",
        ),
        field(
            "method",
            DataType::Utf8,
            false,
            "where p comes from: analytic, exact or permutation",
        ),
        field(
            "runs_needed",
            DataType::UInt64,
            true,
            "permutations with which a cell at the least p could pass q of .05",
        ),
    ]))
});

/// The function over one snapshot.
pub fn function(snapshot: Arc<GridSnapshot>) -> Arc<dyn TableFunctionImpl> {
    Arc::new(Hotspots { snapshot })
}

#[derive(Debug)]
struct Hotspots {
    snapshot: Arc<GridSnapshot>,
}

impl TableFunctionImpl for Hotspots {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(HotspotsTable {
            snapshot: Arc::clone(&self.snapshot),
            arguments: HotspotArguments::read(args.exprs())?,
        }))
    }
}

/// One call of the function; resolved when it is scanned.
#[derive(Debug)]
struct HotspotsTable {
    snapshot: Arc<GridSnapshot>,
    arguments: HotspotArguments,
}

#[async_trait]
impl TableProvider for HotspotsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let threads = NonZeroUsize::new(state.config().target_partitions()).unwrap_or(NonZeroUsize::MIN);
        let question = self.arguments.resolve(&self.snapshot, threads)?;
        Ok(Arc::new(HotspotsScan::new(
            Arc::clone(&self.snapshot),
            question,
            projection,
        )?))
    }
}
