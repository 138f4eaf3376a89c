//! `avg` of durations by [`DurationAverage`]; of all else by `DataFusion`'s own, which widens decimals by itself.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF,
};

use super::exact_spans::DurationAverage;
use crate::sql::delegated::aggregate_named_as_inner;

/// `avg`, to register over `DataFusion`'s.
pub(super) fn exact_average() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(ExactAverage { inner: avg_udaf() }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactAverage {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for ExactAverage {
    aggregate_named_as_inner!();

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match arguments.return_type() {
            kind @ DataType::Duration(_) if !arguments.is_distinct => {
                Ok(Box::new(DurationAverage::new(kind.clone())))
            }
            _ => self.inner.accumulator(arguments),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        match arguments.return_type() {
            DataType::Duration(_) if !arguments.is_distinct => {
                Ok(DurationAverage::state_fields(arguments.name))
            }
            _ => self.inner.state_fields(arguments),
        }
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs<'_>) -> bool {
        !matches!(arguments.return_type(), DataType::Duration(_))
            && self.inner.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(arguments)
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if matches!(arguments.return_type(), DataType::Duration(_)) {
            return self.accumulator(arguments);
        }
        self.inner.create_sliding_accumulator(arguments)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}
