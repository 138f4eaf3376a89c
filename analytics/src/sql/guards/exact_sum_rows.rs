//! The exact sum of one group, row by row: of whole queries, of windows, and of distinct values.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal256Array, ListArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal256Type, Field, Int64Type, UInt64Type, i256};
use datafusion::common::{Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::Accumulator;

use super::exact_sum::{does_not_fit, narrowed, wide};

/// The values of a column as numbers of 256 bits, whatever their type.
fn numbers(values: &[ArrayRef]) -> Result<Decimal256Array> {
    let values = values
        .first()
        .ok_or_else(|| internal_datafusion_err!("sum was given no column"))?;
    let scale = match values.data_type() {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => *scale,
        _ => 0,
    };
    let values = match values.data_type() {
        DataType::Duration(_) => cast(values, &DataType::Int64)?,
        _ => ArrayRef::clone(values),
    };
    let numbers = cast(&values, &DataType::Decimal256(76, scale))?;
    Ok(numbers.as_primitive::<Decimal256Type>().clone())
}

/// The sum of a column and how many of its values it is the sum of.
fn total(values: &[ArrayRef], kind: &DataType) -> Result<(i256, usize)> {
    let column = values.first();
    // A batch of 64-bit integers cannot outgrow 128 bits.
    if let Some(values) = column.and_then(|values| values.as_primitive_opt::<Int64Type>()) {
        let sum = i256::from_i128(values.iter().flatten().map(i128::from).sum());
        return Ok((sum, values.len() - values.null_count()));
    }
    if let Some(values) = column.and_then(|values| values.as_primitive_opt::<UInt64Type>()) {
        let sum = i256::from_i128(values.iter().flatten().map(i128::from).sum());
        return Ok((sum, values.len() - values.null_count()));
    }
    let numbers = numbers(values)?;
    let sum = numbers
        .iter()
        .flatten()
        .try_fold(i256::ZERO, i256::checked_add)
        .ok_or_else(|| does_not_fit(kind))?;
    Ok((sum, numbers.len() - numbers.null_count()))
}

/// A sum as a value of a type; NULL if nothing was added.
fn value(sum: Option<i256>, kind: &DataType) -> Result<ScalarValue> {
    let fits = |sum: i256| sum.to_i128().and_then(|sum| i64::try_from(sum).ok());
    match (kind, sum) {
        (DataType::Int64, None) => Ok(ScalarValue::Int64(None)),
        (DataType::Int64, Some(sum)) => fits(sum)
            .map(|sum| ScalarValue::Int64(Some(sum)))
            .ok_or_else(|| does_not_fit(kind)),
        _ => {
            let scale = match wide(kind) {
                Some(DataType::Decimal256(_, scale)) => scale,
                _ => 0,
            };
            let sums: ArrayRef =
                Arc::new(Decimal256Array::from(vec![sum]).with_data_type(DataType::Decimal256(76, scale)));
            ScalarValue::try_from_array(&narrowed(&sums, kind)?, 0)
        }
    }
}

/// The sum of rows that come and go.
#[derive(Debug)]
pub(super) struct RowSum {
    sum: i256,
    rows: usize,
    kind: DataType,
}

impl RowSum {
    pub(super) fn new(kind: DataType) -> Self {
        Self {
            sum: i256::ZERO,
            rows: 0,
            kind,
        }
    }

    fn current(&self) -> Option<i256> {
        (self.rows > 0).then_some(self.sum)
    }
}

impl Accumulator for RowSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (more, rows) = total(values, &self.kind)?;
        self.sum = self
            .sum
            .checked_add(more)
            .ok_or_else(|| does_not_fit(&self.kind))?;
        self.rows += rows;
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (less, rows) = total(values, &self.kind)?;
        self.sum = self
            .sum
            .checked_sub(less)
            .ok_or_else(|| does_not_fit(&self.kind))?;
        self.rows = self.rows.saturating_sub(rows);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        // A state is a sum, or NULL of no rows.
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        value(self.current(), &self.kind)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let kind = wide(&self.kind).unwrap_or_else(|| self.kind.clone());
        Ok(vec![value(self.current(), &kind)?])
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

/// The sum of distinct values that come and go.
#[derive(Debug)]
pub(super) struct DistinctSum {
    times: HashMap<i256, usize>,
    kind: DataType,
}

impl DistinctSum {
    pub(super) fn new(kind: DataType) -> Self {
        Self {
            times: HashMap::new(),
            kind,
        }
    }
}

impl Accumulator for DistinctSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for number in numbers(values)?.iter().flatten() {
            *self.times.entry(number).or_default() += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for number in numbers(values)?.iter().flatten() {
            if let Some(times) = self.times.get_mut(&number) {
                *times -= 1;
                if *times == 0 {
                    self.times.remove(&number);
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first() else {
            return Ok(());
        };
        for list in lists.as_list::<i32>().iter().flatten() {
            self.update_batch(&[list])?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut distinct = self.times.keys().copied();
        let sum = distinct
            .try_fold(i256::ZERO, i256::checked_add)
            .ok_or_else(|| does_not_fit(&self.kind))?;
        value((!self.times.is_empty()).then_some(sum), &self.kind)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let kind = wide(&self.kind).unwrap_or_else(|| self.kind.clone());
        let scale = match &kind {
            DataType::Decimal256(_, scale) => *scale,
            _ => 0,
        };
        let distinct = Decimal256Array::from_iter_values(self.times.keys().copied())
            .with_data_type(DataType::Decimal256(76, scale));
        let distinct: ArrayRef = Arc::new(distinct);
        let items = narrowed(&distinct, &kind)?;
        let list = ListArray::new(
            Arc::new(Field::new_list_field(kind, true)),
            OffsetBuffer::from_lengths([items.len()]),
            items,
            None,
        );
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.times.capacity() * (size_of::<(i256, usize)>() + 1)
    }
}
