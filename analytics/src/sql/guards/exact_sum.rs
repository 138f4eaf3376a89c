//! `sum` of integers, decimals and durations, exact or an error.
//!
//! `DataFusion` 55 adds integers modulo 2^64 and decimals modulo 2^128 (its reports 3520, 12140 and 16406). Here they are added in numbers that
//! are wide enough for any number of rows, so the order of rows and what is added up where cannot change the answer, and the
//! sum is narrowed once, at its end. Counts, which are never negative, need no wider number: what does not fit now never will.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray, BooleanArray, PrimitiveArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Field,
    FieldRef, Int64Type, TimeUnit, UInt64Type,
};
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
};
use datafusion::physical_expr::NullState;

use super::exact_spans::{INTERVAL, IntervalSum};
use super::exact_sum_rows::{DistinctSum, RowSum};
use crate::sql::delegated::aggregate_named_as_inner;
use crate::sql::error::SqlError;

/// `sum`, to register over `DataFusion`'s.
pub(super) fn exact_sum() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(ExactSum { inner: sum_udaf() }))
}

/// `DataFusion`'s own for floats.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactSum {
    inner: Arc<AggregateUDF>,
}

/// The type in which values of a type are added up; none if they are not added here.
pub(super) fn wide(kind: &DataType) -> Option<DataType> {
    Some(match kind {
        DataType::UInt64 => DataType::UInt64,
        DataType::Int64 | DataType::Duration(_) => DataType::Decimal128(38, 0),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => DataType::Decimal256(76, *scale),
        _ => return None,
    })
}

/// Wide sums as the type of the answer.
///
/// # Errors
/// [`SqlError::BadRequest`] if one does not fit.
pub(super) fn narrowed(sums: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let done = match kind {
        DataType::Duration(_) => cast_with_options(sums, &DataType::Int64, &strict)
            .and_then(|numbers| cast_with_options(&numbers, kind, &strict)),
        _ => cast_with_options(sums, kind, &strict),
    };
    done.map_err(|_| does_not_fit(kind))
}

pub(super) fn does_not_fit(kind: &DataType) -> DataFusionError {
    SqlError::BadRequest(format!(
        "a sum does not fit {kind}; CAST the argument of sum to DOUBLE or DECIMAL(38, 0), or add up fewer rows"
    ))
    .into()
}

impl AggregateUDFImpl for ExactSum {
    aggregate_named_as_inner!();

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let kind = arguments.return_type().clone();
        match (wide(&kind), arguments.is_distinct) {
            (Some(_), false) => Ok(Box::new(RowSum::new(kind))),
            (Some(_), true) => Ok(Box::new(DistinctSum::new(kind))),
            (None, false) if kind == INTERVAL => Ok(Box::<IntervalSum>::default()),
            (None, _) => self.inner.accumulator(arguments),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        match wide(arguments.return_type()) {
            Some(wide) if arguments.is_distinct => {
                let items = Field::new_list_field(wide, true);
                let name = format!("{}[sum distinct]", arguments.name);
                Ok(vec![Arc::new(Field::new_list(name, items, false))])
            }
            Some(wide) => Ok(vec![Arc::new(Field::new(
                format!("{}[sum]", arguments.name),
                wide,
                true,
            ))]),
            None if *arguments.return_type() == INTERVAL && !arguments.is_distinct => {
                Ok(IntervalSum::state_fields(arguments.name))
            }
            None => self.inner.state_fields(arguments),
        }
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs<'_>) -> bool {
        *arguments.return_type() != INTERVAL && self.inner.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let result = arguments.return_type().clone();
        let Some(state) = wide(&result) else {
            return self.inner.create_groups_accumulator(arguments);
        };
        // Narrow decimals keep their width in the result.
        Ok(match &result {
            DataType::UInt64 => Box::new(GroupSums::<UInt64Type, UInt64Type>::new(result, state)),
            DataType::Int64 => Box::new(GroupSums::<Int64Type, Decimal128Type>::new(result, state)),
            DataType::Duration(TimeUnit::Second) => Box::new(
                GroupSums::<DurationSecondType, Decimal128Type>::new(result, state),
            ),
            DataType::Duration(TimeUnit::Millisecond) => Box::new(GroupSums::<
                DurationMillisecondType,
                Decimal128Type,
            >::new(result, state)),
            DataType::Duration(TimeUnit::Microsecond) => Box::new(GroupSums::<
                DurationMicrosecondType,
                Decimal128Type,
            >::new(result, state)),
            DataType::Duration(TimeUnit::Nanosecond) => Box::new(GroupSums::<
                DurationNanosecondType,
                Decimal128Type,
            >::new(result, state)),
            DataType::Decimal32(..) => {
                Box::new(GroupSums::<Decimal32Type, Decimal256Type>::new(result, state))
            }
            DataType::Decimal64(..) => {
                Box::new(GroupSums::<Decimal64Type, Decimal256Type>::new(result, state))
            }
            DataType::Decimal128(..) => {
                Box::new(GroupSums::<Decimal128Type, Decimal256Type>::new(result, state))
            }
            _ => Box::new(GroupSums::<Decimal256Type, Decimal256Type>::new(result, state)),
        })
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if wide(arguments.return_type()).is_some() || *arguments.return_type() == INTERVAL {
            return self.accumulator(arguments);
        }
        self.inner.create_sliding_accumulator(arguments)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn set_monotonicity(&self, kind: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(kind)
    }
}

/// Sums of groups: values of `I`, added up as `S`.
#[derive(Debug)]
struct GroupSums<I: ArrowPrimitiveType, S: ArrowPrimitiveType> {
    sums: Vec<S::Native>,
    nulls: NullState,
    result: DataType,
    state: DataType,
    values: std::marker::PhantomData<I>,
}

impl<I, S> GroupSums<I, S>
where
    I: ArrowPrimitiveType + Send,
    S: ArrowPrimitiveType + Send,
    S::Native: From<I::Native>,
{
    fn new(result: DataType, state: DataType) -> Self {
        Self {
            sums: Vec::new(),
            nulls: NullState::new(),
            result,
            state,
            values: std::marker::PhantomData,
        }
    }

    fn add<V>(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        number_of_groups: usize,
    ) -> Result<()>
    where
        V: ArrowPrimitiveType + Send,
        S::Native: From<V::Native>,
    {
        let values = column::<V>(values)?;
        self.sums.resize(number_of_groups, S::Native::ZERO);
        let sums = &mut self.sums;
        let mut fits = true;
        self.nulls
            .accumulate(groups, values, filter, number_of_groups, |group, value| {
                if let Some(sum) = sums.get_mut(group) {
                    match sum.add_checked(value.into()) {
                        Ok(more) => *sum = more,
                        Err(_) => fits = false,
                    }
                }
            });
        if fits {
            Ok(())
        } else {
            Err(does_not_fit(&self.result))
        }
    }

    fn wide_sums(&mut self, emit_to: EmitTo) -> ArrayRef {
        let sums = emit_to.take_needed(&mut self.sums);
        let nulls = self.nulls.build(emit_to);
        Arc::new(PrimitiveArray::<S>::new(sums.into(), nulls).with_data_type(self.state.clone()))
    }
}

fn column<T: ArrowPrimitiveType>(values: &[ArrayRef]) -> Result<&PrimitiveArray<T>> {
    values
        .first()
        .and_then(|values| values.as_primitive_opt::<T>())
        .ok_or_else(|| internal_datafusion_err!("sum was given no column of {}", T::DATA_TYPE))
}

impl<I, S> GroupsAccumulator for GroupSums<I, S>
where
    I: ArrowPrimitiveType + Send,
    S: ArrowPrimitiveType + Send,
    S::Native: From<I::Native>,
{
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        number_of_groups: usize,
    ) -> Result<()> {
        self.add::<I>(values, groups, filter, number_of_groups)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], number_of_groups: usize) -> Result<()> {
        self.add::<S>(values, groups, None, number_of_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = self.wide_sums(emit_to);
        if self.state == self.result {
            return Ok(sums);
        }
        narrowed(&sums, &self.result)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.wide_sums(emit_to)])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values = column::<I>(values)?;
        let wide = values
            .values()
            .iter()
            .map(|value| S::Native::from(*value))
            .collect::<Vec<_>>();
        let kept = filter.map(|filter| {
            let kept = filter.values().clone();
            NullBuffer::new(match filter.nulls() {
                Some(nulls) => nulls.inner() & &kept,
                None => kept,
            })
        });
        let nulls = NullBuffer::union(values.nulls(), kept.as_ref());
        Ok(vec![Arc::new(
            PrimitiveArray::<S>::new(wide.into(), nulls).with_data_type(self.state.clone()),
        )])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<S::Native>() + self.nulls.size()
    }
}
