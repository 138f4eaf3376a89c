//! A table over rows that a store outside keeps, such as a database: plain rows in, and what a query asks of them out as plain
//! values.
//!
//! Rows are read when a query runs that scans the table. The scans of one query that ask for the same rows share one
//! reading; what is read counts as memory of the query.

mod columns;
mod conditions;
mod reading;

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::streaming::StreamingTableExec;

pub use columns::{Column, Values};
pub use conditions::{Comparison, Condition, Test, Value};
pub use reading::{Asked, Pages, pages};

use conditions::Conditional;
use reading::{Source, StoredScan};

use crate::scan_at_once::scan_at_once;

/// The table, for one query.
pub struct StoredTable<R> {
    schema: SchemaRef,
    conditional: Vec<Conditional>,
    source: Arc<Source<R>>,
}

impl<R: Send + Sync + 'static> StoredTable<R> {
    /// A table of these columns, whose rows `read` reads page by page. It may give more rows than the conditions keep, which the
    /// query applies once more, but none of those that they keep may be missing, up to the most that are asked for.
    pub fn new(
        name: &'static str,
        columns: Vec<Column<R>>,
        read: impl Fn(&Asked) -> Pages<R> + Send + Sync + 'static,
    ) -> Self {
        let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
        Self {
            conditional: columns.iter().map(Conditional::of).collect(),
            source: Arc::new(Source::new(name, Arc::clone(&schema), columns, Box::new(read))),
            schema,
        }
    }

    /// Its name in SQL.
    pub fn name(&self) -> &'static str {
        self.source.name()
    }

    /// How many readings there were for the query so far, and the rows of each that has ended.
    pub fn readings(&self) -> Vec<usize> {
        self.source.readings()
    }

    fn scan_now(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let asked = Asked {
            conditions: filters
                .iter()
                .filter_map(|filter| conditions::of(filter, &self.conditional))
                .collect(),
            most: limit,
        };
        let scan = Arc::new(StoredScan::new(Arc::clone(&self.source), asked));
        let schema = Arc::clone(&self.schema);
        let plan = StreamingTableExec::try_new(schema, vec![scan], projection, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

impl<R> fmt::Debug for StoredTable<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredTable")
            .field("name", &self.source.name())
            .finish_non_exhaustive()
    }
}

impl<R: Send + Sync + 'static> TableProvider for StoredTable<R> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match conditions::of(filter, &self.conditional) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    scan_at_once!();
}
