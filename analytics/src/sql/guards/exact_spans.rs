//! The average of durations and the sum of intervals, exact or an error.
//!
//! `DataFusion` 55 adds both up modulo 2^64 nanoseconds and 2^32 months: the average of ten thousand spans of eleven days is negative.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Field, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, UInt64Type,
};
use datafusion::common::{Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::Accumulator;

use super::exact_sum::does_not_fit;

const WIDE: DataType = DataType::Decimal128(38, 0);

fn column(values: &[ArrayRef], index: usize) -> Result<&ArrayRef> {
    values
        .get(index)
        .ok_or_else(|| internal_datafusion_err!("an aggregate was given no column {index}"))
}

/// A sum as a state of 38 digits.
fn wide(sum: i128) -> Result<ScalarValue> {
    let sum: ArrayRef = Arc::new(Decimal128Array::from(vec![sum]).with_data_type(WIDE));
    ScalarValue::try_from_array(&sum, 0)
}

fn total(states: &ArrayRef) -> i128 {
    let sums = states.as_primitive_opt::<Decimal128Type>();
    sums.map_or(0, |sums| sums.iter().flatten().sum())
}

/// The average of durations of a unit.
#[derive(Debug)]
pub(super) struct DurationAverage {
    sum: i128,
    rows: i128,
    kind: DataType,
}

impl DurationAverage {
    pub(super) fn new(kind: DataType) -> Self {
        Self {
            sum: 0,
            rows: 0,
            kind,
        }
    }

    pub(super) fn state_fields(name: &str) -> Vec<FieldRef> {
        vec![
            Arc::new(Field::new(format!("{name}[count]"), DataType::UInt64, true)),
            Arc::new(Field::new(format!("{name}[sum]"), WIDE, true)),
        ]
    }

    fn add(&mut self, values: &[ArrayRef], sign: i128) -> Result<()> {
        let values = cast(column(values, 0)?, &DataType::Int64)?;
        let numbers = values.as_primitive::<Int64Type>();
        self.sum += sign * numbers.iter().flatten().map(i128::from).sum::<i128>();
        self.rows += sign * (numbers.len() - numbers.null_count()) as i128;
        Ok(())
    }
}

impl Accumulator for DurationAverage {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        if let Some(rows) = column(states, 0)?.as_primitive_opt::<UInt64Type>() {
            self.rows += rows.iter().flatten().map(i128::from).sum::<i128>();
        }
        self.sum += total(column(states, 1)?);
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // An average lies between two durations, so it fits.
        let average = if self.rows > 0 {
            i64::try_from(self.sum / self.rows).ok()
        } else {
            None
        };
        ScalarValue::Int64(average).cast_to(&self.kind)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::UInt64(u64::try_from(self.rows).ok()),
            wide(self.sum)?,
        ])
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

/// The sum of intervals: months, days and nanoseconds each by themselves.
#[derive(Debug, Default)]
pub(super) struct IntervalSum {
    parts: [i128; 3],
    rows: i128,
}

/// The type of intervals that SQL makes.
pub(super) const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

impl IntervalSum {
    pub(super) fn state_fields(name: &str) -> Vec<FieldRef> {
        ["rows", "months", "days", "nanoseconds"]
            .map(|part| Arc::new(Field::new(format!("{name}[{part}]"), WIDE, true)))
            .to_vec()
    }

    fn add(&mut self, values: &[ArrayRef], sign: i128) -> Result<()> {
        let values = column(values, 0)?;
        let Some(intervals) = values.as_primitive_opt::<IntervalMonthDayNanoType>() else {
            return Err(internal_datafusion_err!("sum was given {}", values.data_type()));
        };
        let [months, days, nanoseconds] = &mut self.parts;
        for interval in intervals.iter().flatten() {
            *months += sign * i128::from(interval.months);
            *days += sign * i128::from(interval.days);
            *nanoseconds += sign * i128::from(interval.nanoseconds);
            self.rows += sign;
        }
        Ok(())
    }
}

impl Accumulator for IntervalSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.rows += total(column(states, 0)?);
        for (index, part) in self.parts.iter_mut().enumerate() {
            *part += total(column(states, index + 1)?);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.rows <= 0 {
            return Ok(ScalarValue::IntervalMonthDayNano(None));
        }
        let [months, days, nanoseconds] = self.parts;
        match (months.try_into(), days.try_into(), nanoseconds.try_into()) {
            (Ok(months), Ok(days), Ok(nanoseconds)) => {
                Ok(ScalarValue::new_interval_mdn(months, days, nanoseconds))
            }
            _ => Err(does_not_fit(&INTERVAL)),
        }
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let [months, days, nanoseconds] = self.parts;
        [self.rows, months, days, nanoseconds]
            .into_iter()
            .map(wide)
            .collect()
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}
