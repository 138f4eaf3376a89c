//! One provider for all tables over a snapshot: a schema, and a function that makes the batches of a scan.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::filters::Narrowing;

/// Makes the batches of a scan; may leave out rows that the narrowing rules out.
pub(crate) type MakeBatches =
    Box<dyn Fn(&Narrowing) -> Result<Vec<RecordBatch>, DataFusionError> + Send + Sync>;

/// A table whose rows are made when it is scanned.
pub(crate) struct SnapshotTable {
    schema: SchemaRef,
    make: Arc<MakeBatches>,
}

impl SnapshotTable {
    pub(crate) fn new(schema: SchemaRef, make: MakeBatches) -> Self {
        Self {
            schema,
            make: Arc::new(make),
        }
    }
}

impl fmt::Debug for SnapshotTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SnapshotTable")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        let support = |filter: &&Expr| {
            if Narrowing::understands(filter) {
                TableProviderFilterPushDown::Inexact
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
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let narrowing = Narrowing::of(filters);
        let batches = (self.make)(&narrowing)?;
        // Two partitions, so that the two halves of a scan run side by side.
        let mut halves = [Vec::new(), Vec::new()];
        for (number, batch) in batches.into_iter().enumerate() {
            if let Some(half) = halves.get_mut(number % 2) {
                half.push(batch);
            }
        }
        MemTable::try_new(self.schema(), halves.into())?
            .scan(state, projection, &[], limit)
            .await
    }
}
