//! `lead` and `lag` with `IGNORE NULLS`, over whole partitions.
//!
//! `DataFusion` 55 computes them row by row with a memory of how far the next values are, and loses count behind two NULLs in
//! a row; with a LIMIT it also reads too few rows (its report 25471). Whole partitions it computes right.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_window::lead_lag::{lag_udwf, lead_udwf};
use datafusion::logical_expr::function::{ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{Documentation, PartitionEvaluator, Signature, WindowUDF, WindowUDFImpl};
use datafusion::physical_expr::PhysicalExpr;

/// `lead` and `lag`, to register over `DataFusion`'s.
pub(super) fn shifts() -> [Arc<WindowUDF>; 2] {
    [lead_udwf(), lag_udwf()].map(|inner| Arc::new(WindowUDF::new_from_impl(Shift { inner })))
}

/// That it can be reversed or reads so many rows ahead is not passed on: both lead back to the other evaluation.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Shift {
    inner: Arc<WindowUDF>,
}

impl WindowUDFImpl for Shift {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn expressions(&self, arguments: ExpressionArgs<'_>) -> Vec<Arc<dyn PhysicalExpr>> {
        self.inner.expressions(arguments)
    }

    fn partition_evaluator(
        &self,
        arguments: PartitionEvaluatorArgs<'_>,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let ignores_nulls = arguments.ignore_nulls();
        let inner = self.inner.inner().partition_evaluator(arguments)?;
        Ok(if ignores_nulls {
            Box::new(WholePartition { inner })
        } else {
            inner
        })
    }

    fn field(&self, arguments: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.field(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// An evaluator that is given whole partitions only.
#[derive(Debug)]
struct WholePartition {
    inner: Box<dyn PartitionEvaluator>,
}

impl PartitionEvaluator for WholePartition {
    fn get_range(&self, index: usize, rows: usize) -> Result<Range<usize>> {
        self.inner.get_range(index, rows)
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        self.inner.evaluate_all(values, rows)
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        self.inner.evaluate(values, range)
    }
}
