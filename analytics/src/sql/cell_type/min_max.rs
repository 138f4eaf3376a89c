//! `min` and `max` that pass on what a column's field says about its type, so that `max(cell)` is still a cell.
//! Everything else is `DataFusion`'s own.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, SetMonotonicity, StatisticsArgs,
};

use super::column::{is_cell, mark_cell};
use crate::sql::delegated::{accumulates_as_inner, aggregate_named_as_inner};

/// `min` and `max`, to register over `DataFusion`'s.
pub(crate) fn cell_min_max() -> Vec<Arc<AggregateUDF>> {
    [min_udaf(), max_udaf()]
        .into_iter()
        .map(|inner| Arc::new(AggregateUDF::new_from_impl(KeepsCell { inner })))
        .collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct KeepsCell {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for KeepsCell {
    aggregate_named_as_inner!(own return_field);
    accumulates_as_inner!();

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        let field = self.inner.return_field(arguments)?;
        Ok(match arguments {
            [argument] if is_cell(argument) => Arc::new(mark_cell(field.as_ref().clone())),
            _ => field,
        })
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(arguments)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_udf()
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn value_from_stats(&self, arguments: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        self.inner.value_from_stats(arguments)
    }

    fn set_monotonicity(&self, kind: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(kind)
    }
}
