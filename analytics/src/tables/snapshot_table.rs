//! A provider for small tables over a snapshot: a schema, and a function that makes all rows when the scan runs.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result, project_schema};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::ExecutionPlan;

use super::filters::Narrowing;
use super::scan::{Known, Pieces, RowBatches, SnapshotScan, statistics_of};
use crate::permission::Permission;
use crate::scan_at_once::scan_at_once;

/// Makes the rows of a scan; may leave out what the narrowing rules out.
pub(crate) type MakeRows = Box<dyn Fn(&Narrowing) -> Result<RowBatches> + Send + Sync>;

/// All rows in one batch.
pub(crate) fn whole(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RowBatches> {
    let batch = RecordBatch::try_new(Arc::clone(schema), columns)?;
    Ok(Box::new(std::iter::once(Ok(batch))))
}

/// A table whose rows are made when it is read.
pub(crate) struct SnapshotTable {
    name: &'static str,
    schema: SchemaRef,
    make: Arc<MakeRows>,
    /// About how many rows there are before any are ruled out.
    rows: usize,
    /// Whether all of these are seen: else their number is not told before they are read.
    shows_all: bool,
}

impl SnapshotTable {
    pub(crate) fn new(name: &'static str, schema: SchemaRef, rows: usize, make: MakeRows) -> Self {
        Self {
            name,
            schema,
            make: Arc::new(make),
            rows,
            shows_all: true,
        }
    }

    /// The same table, of which `make` leaves out what the permission does not admit.
    pub(crate) fn seen_by(self, permission: &Permission) -> Self {
        Self {
            shows_all: permission.is_whole(),
            ..self
        }
    }
}

impl fmt::Debug for SnapshotTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SnapshotTable")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl SnapshotTable {
    pub(super) fn scan_now(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = project_schema(&self.schema, projection)?;
        let narrowing = Narrowing::of(filters);
        let known = Known {
            table: self.name,
            pruned: narrowing.to_string(),
            statistics: statistics_of(
                &schema,
                if self.shows_all {
                    Precision::Inexact(self.rows)
                } else {
                    Precision::Absent
                },
            ),
            properties: EquivalenceProperties::new(schema),
            apart: None,
        };
        let pieces = MadeRows {
            make: Arc::clone(&self.make),
            narrowing,
            projection: projection.cloned(),
            rows: self.rows,
        };
        Ok(Arc::new(SnapshotScan::new(known, Arc::new(pieces), 1, limit)))
    }
}

impl TableProvider for SnapshotTable {
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

/// One piece: all rows.
struct MadeRows {
    make: Arc<MakeRows>,
    narrowing: Narrowing,
    projection: Option<Vec<usize>>,
    rows: usize,
}

impl fmt::Debug for MadeRows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MadeRows")
            .field("narrowing", &self.narrowing)
            .finish_non_exhaustive()
    }
}

impl Pieces for MadeRows {
    fn number(&self) -> usize {
        1
    }

    fn rows(&self, _: usize) -> usize {
        self.rows
    }

    fn read(&self, _: usize) -> Result<RowBatches> {
        let batches = (self.make)(&self.narrowing)?;
        let Some(projection) = self.projection.clone() else {
            return Ok(batches);
        };
        Ok(Box::new(
            batches.map(move |batch| Ok(batch?.project(&projection)?)),
        ))
    }

    fn bytes(&self, _: usize) -> usize {
        // A row of an entity: a few numbers and short texts.
        self.rows.saturating_mul(256)
    }
}
