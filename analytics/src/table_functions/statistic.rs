//! A statistic of cells as a table function: what one is made of, and its way from a call to a plan.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use riskgrid_ingest::grid::GridSnapshot;

use super::arguments::Arguments;
use super::cells_question::{CellsArguments, CellsQuestion};
use super::statistic_scan::StatisticScan;
use crate::permission::Permission;
use crate::scan_at_once::scan_at_once;
use crate::sql::{NamedTableFunction, SqlError};
use crate::statistics::StatisticsError;

/// What sets one statistic apart from another.
#[derive(Debug)]
pub(super) struct Definition {
    /// Its name in SQL.
    pub(super) name: &'static str,
    /// Its arguments, in order; only `layer` must be given.
    pub(super) arguments: &'static [&'static str],
    /// The columns of its answer.
    pub(super) schema: fn() -> SchemaRef,
    /// Reads the arguments that [`CellsArguments`] does not.
    pub(super) read: fn(&Arguments<'_>) -> Result<Arc<dyn CellStatistic>, SqlError>,
}

/// A statistic whose arguments have been read. It shows them where EXPLAIN asks.
pub(super) trait CellStatistic: fmt::Debug + fmt::Display + Send + Sync {
    /// The answer for these cells, in the order of the schema.
    ///
    /// # Errors
    /// [`StatisticsError`] for what only the data show, and [`StatisticsError::Stopped`] once `stop` is set.
    fn columns(&self, observed: &Observed<'_>, stop: &AtomicBool) -> Result<Vec<ArrayRef>, StatisticsError>;

    /// How often neighbours are permuted; 0 where they are not.
    fn permutations(&self) -> u32;
}

/// What a statistic is computed from.
pub(super) struct Observed<'a> {
    /// The cells with an event in the window, ascending.
    pub(super) cells: &'a [u64],
    /// The metric of each, in whole units.
    pub(super) values: &'a [i128],
    /// What was asked.
    pub(super) question: &'a CellsQuestion,
    /// Threads to use; no digit depends on it.
    pub(super) threads: NonZeroUsize,
}

impl Definition {
    /// The function over one snapshot.
    pub(super) fn over(
        &'static self,
        snapshot: &Arc<GridSnapshot>,
        permission: &Arc<Permission>,
    ) -> NamedTableFunction {
        NamedTableFunction {
            name: self.name,
            arguments: self.arguments,
            function: Arc::new(Function {
                definition: self,
                snapshot: Arc::clone(snapshot),
                permission: Arc::clone(permission),
            }),
        }
    }

    /// A statistic's refusal as the answer to the client.
    pub(super) fn refused(&self, error: StatisticsError) -> SqlError {
        refused(self.name, error)
    }
}

/// [`Definition::refused`] for the function of this name.
pub(super) fn refused(function: &str, error: StatisticsError) -> SqlError {
    match error {
        StatisticsError::Stopped => SqlError::Cancelled,
        error => SqlError::BadRequest(format!("{function}: {error}")),
    }
}

#[derive(Debug)]
struct Function {
    definition: &'static Definition,
    snapshot: Arc<GridSnapshot>,
    permission: Arc<Permission>,
}

impl TableFunctionImpl for Function {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let args = Arguments {
            function: self.definition.name,
            names: self.definition.arguments,
            values: args.exprs(),
        };
        Ok(Arc::new(Call {
            definition: self.definition,
            snapshot: Arc::clone(&self.snapshot),
            permission: Arc::clone(&self.permission),
            cells: CellsArguments::read(&args)?,
            statistic: (self.definition.read)(&args)?,
        }))
    }
}

/// One call of a function; resolved when it is scanned.
#[derive(Debug)]
struct Call {
    definition: &'static Definition,
    snapshot: Arc<GridSnapshot>,
    permission: Arc<Permission>,
    cells: CellsArguments,
    statistic: Arc<dyn CellStatistic>,
}

impl Call {
    fn scan_now(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let threads = NonZeroUsize::new(state.config().target_partitions()).unwrap_or(NonZeroUsize::MIN);
        Ok(Arc::new(StatisticScan::new(
            self.definition,
            Arc::clone(&self.snapshot),
            self.cells.resolve(&self.snapshot, &self.permission)?,
            Arc::clone(&self.statistic),
            threads,
            projection,
        )?))
    }
}

impl TableProvider for Call {
    fn schema(&self) -> SchemaRef {
        (self.definition.schema)()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    scan_at_once!();
}
