//! `risk`: the newest risk surface, a row a cell and layer, and one for all layers together (`layer = '*'`). A scan reads
//! only the cells and layers that it is asked for, and makes only the columns.

mod columns;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result, project_schema};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::ExecutionPlan;

use self::columns::{ALL, LayerRows, column_of_all, fields};
use super::filters::Narrowing;
use super::scan::{Known, Pieces, RowBatches, SnapshotScan, statistics_of};
use crate::risk::Surface;
use crate::scan_at_once::scan_at_once;

/// Rows of a batch.
const BATCH: usize = 4096;
/// Bytes of a row while it is explained.
const ROW_BYTES: usize = 512;

/// The table over a surface.
pub fn risk_table(surface: &Arc<Surface>) -> Arc<dyn TableProvider> {
    Arc::new(RiskTable {
        surface: Arc::clone(surface),
        schema: Arc::new(Schema::new(fields())),
    })
}

struct RiskTable {
    surface: Arc<Surface>,
    schema: SchemaRef,
}

impl fmt::Debug for RiskTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RiskTable").finish_non_exhaustive()
    }
}

impl RiskTable {
    fn scan_now(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = project_schema(&self.schema, projection)?;
        let narrowing = Narrowing::of(filters);
        let parts = parts(&self.surface, &narrowing);
        let rows: usize = parts.iter().map(|part| part.rows.len()).sum();
        let known = Known {
            table: "risk",
            pruned: narrowing.to_string(),
            statistics: statistics_of(&schema, Precision::Inexact(rows)),
            properties: EquivalenceProperties::new(Arc::clone(&schema)),
            apart: None,
        };
        let pieces = RiskRows {
            surface: Arc::clone(&self.surface),
            schema,
            parts,
        };
        Ok(Arc::new(SnapshotScan::new(known, Arc::new(pieces), 1, limit)))
    }
}

impl TableProvider for RiskTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(Narrowing::support(filters))
    }

    scan_at_once!();
}

/// Whose rows.
#[derive(Clone, Copy, Debug)]
enum Of {
    Layer(usize),
    All(usize),
}

/// Some rows of one layer, or of all together.
#[derive(Clone, Debug)]
struct Part {
    of: Of,
    rows: Range<usize>,
}

fn parts(surface: &Surface, narrowing: &Narrowing) -> Vec<Part> {
    let mut parts = Vec::new();
    if narrowing.admits_layer(ALL) {
        for (position, all) in surface.all.iter().enumerate() {
            let rows = within(&all.rows, |row| row.cell, narrowing);
            parts.push(Part {
                of: Of::All(position),
                rows,
            });
        }
    }
    for (position, layer) in surface.layers.iter().enumerate() {
        let model = surface.model_of(layer);
        if model.is_some_and(|model| narrowing.admits_layer(&model.id)) {
            let rows = within(&layer.rows, |row| row.cell, narrowing);
            parts.push(Part {
                of: Of::Layer(position),
                rows,
            });
        }
    }
    parts
}

/// Rows ascend by cell.
fn within<R>(rows: &[R], cell: impl Fn(&R) -> u64, narrowing: &Narrowing) -> Range<usize> {
    let start = rows.partition_point(|row| cell(row) < narrowing.first_cell);
    let end = rows.partition_point(|row| cell(row) <= narrowing.last_cell);
    start..end.max(start)
}

/// A piece a part.
struct RiskRows {
    surface: Arc<Surface>,
    /// Of the columns that are read.
    schema: SchemaRef,
    parts: Vec<Part>,
}

impl fmt::Debug for RiskRows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RiskRows")
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

impl Pieces for RiskRows {
    fn number(&self) -> usize {
        self.parts.len()
    }

    fn rows(&self, piece: usize) -> usize {
        self.parts.get(piece).map_or(0, |part| part.rows.len())
    }

    fn read(&self, piece: usize) -> Result<RowBatches> {
        let Some(Part { of, rows }) = self.parts.get(piece).cloned() else {
            return Ok(Box::new(std::iter::empty()));
        };
        let (surface, schema) = (Arc::clone(&self.surface), Arc::clone(&self.schema));
        let starts = rows.clone().step_by(BATCH);
        Ok(Box::new(starts.map(move |start| {
            batch(&surface, &schema, of, start..rows.end.min(start + BATCH))
        })))
    }

    fn bytes(&self, piece: usize) -> usize {
        self.rows(piece).min(BATCH) * ROW_BYTES
    }
}

fn batch(surface: &Surface, schema: &SchemaRef, of: Of, rows: Range<usize>) -> Result<RecordBatch> {
    let number = rows.len();
    let columns: Option<Vec<ArrayRef>> = match of {
        Of::Layer(position) => surface.layers.get(position).and_then(|layer| {
            let rows = LayerRows::new(surface, layer, layer.rows.get(rows)?);
            Some(schema.fields().iter().map(|field| rows.column(field)).collect())
        }),
        Of::All(position) => surface.all.get(position).and_then(|all| {
            let rows = all.rows.get(rows)?;
            let columns = schema.fields().iter();
            Some(
                columns
                    .map(|field| column_of_all(surface, all, rows, field))
                    .collect(),
            )
        }),
    };
    match columns {
        // Where no column is asked for, how many rows there are is.
        Some(columns) => {
            let options = RecordBatchOptions::new().with_row_count(Some(number));
            Ok(RecordBatch::try_new_with_options(
                Arc::clone(schema),
                columns,
                &options,
            )?)
        }
        None => Ok(RecordBatch::new_empty(Arc::clone(schema))),
    }
}
