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
use riskgrid_ingest::LayerIndex;
use riskgrid_ingest::grid::{GridSnapshot, Span};

use super::arguments::{Arguments, Length};
use super::cells_question::{AskedWindow, CellsArguments, CellsQuestion};
use super::statistic_scan::StatisticScan;
use crate::permission::Permission;
use crate::scan_at_once::scan_at_once;
use crate::series::Reading;
use crate::sql::{NamedTableFunction, SqlError};
use crate::statistics::StatisticsError;

/// Bytes that one cell takes, an observed one or one of a named area, while the answer is made: its sum, its place in the study area, its row.
pub(super) const BYTES_OF_A_CELL: usize = 256;

/// What sets one statistic apart from another.
#[derive(Debug)]
pub(super) struct Definition {
    /// Its name in SQL.
    pub(super) name: &'static str,
    /// Its arguments, in order; only `layer` must be given.
    pub(super) arguments: &'static [&'static str],
    /// How long its window is where nobody says.
    pub(super) usual_window: Length,
    /// The columns of its answer.
    pub(super) schema: fn() -> SchemaRef,
    /// Reads the arguments that [`CellsArguments`] does not.
    pub(super) read: fn(&Arguments<'_>) -> Result<Arc<dyn CellStatistic>, SqlError>,
}

/// A statistic whose arguments have been read. It shows them where EXPLAIN asks.
pub(super) trait CellStatistic: fmt::Debug + fmt::Display + Send + Sync {
    /// The window that is looked at: where nothing else is said as much as is asked for, snapped outward to what the grid
    /// keeps.
    fn window(&self, snapshot: &GridSnapshot, layer: LayerIndex, asked: AskedWindow) -> Span {
        asked.snapped(snapshot, layer)
    }

    /// The answer, in the order of the schema; `None` where it has no rows.
    ///
    /// # Errors
    /// [`StatisticsError`] for what only the data show, and [`StatisticsError::Stopped`] once the call is to stop.
    fn columns(&self, call: &AnsweredCall<'_>) -> Result<Option<Vec<ArrayRef>>, StatisticsError>;

    /// How often neighbours are permuted; 0 where they are not.
    fn permutations(&self) -> u32;
}

/// Cells, ascending, and a value of each.
type CellsAndValues = (Vec<u64>, Vec<i128>);

/// A call while it is answered.
pub(super) struct AnsweredCall<'a> {
    /// What was asked.
    pub(super) question: &'a CellsQuestion,
    /// Of which state.
    pub(super) snapshot: &'a GridSnapshot,
    /// Threads to use; no digit depends on it.
    pub(super) threads: NonZeroUsize,
    /// Set once nobody reads the answer any more.
    pub(super) stop: &'a AtomicBool,
    /// Takes so many bytes of what the query may use.
    pub(super) reserve: &'a dyn Fn(usize) -> Result<(), StatisticsError>,
}

impl AnsweredCall<'_> {
    /// What is read for statistics over time.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading {
            snapshot: self.snapshot,
            layer: self.question.layer,
            metric: self.question.metric,
            resolution: self.question.resolution,
            cells: &self.question.seen,
            domain: &self.question.domain,
            absent: self.question.absent,
            threads: self.threads,
            stop: self.stop,
            reserve: self.reserve,
        }
    }

    /// The cells with an event in the window, ascending, and the metric of each in whole units; `None` where that leaves
    /// nothing to say.
    pub(super) fn observed(&self) -> Result<Option<CellsAndValues>, StatisticsError> {
        let (cells, values) = self.question.observed(self.snapshot, self.threads);
        if cells.is_empty() && !self.question.has_cells_without_events() {
            return Ok(None);
        }
        (self.reserve)(
            cells
                .len()
                .max(self.question.cells_of_area())
                .saturating_mul(BYTES_OF_A_CELL),
        )?;
        Ok(Some((cells, values)))
    }
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
        StatisticsError::Memory { reason } => SqlError::ResourcesExhausted(reason),
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
            cells: CellsArguments::read(&args, self.definition.usual_window)?,
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
            self.cells
                .resolve(&self.snapshot, &self.permission, &*self.statistic)?,
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
