//! How large the result of a call can get, added up from its arguments without making it.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

/// How a function's result grows with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Growth {
    /// First argument, second times.
    Repeat,
    /// A text padded to as many characters as the second argument says.
    Pad,
    /// A list made as long as the second argument says.
    Resize,
    /// The numbers or instants from the first argument to the second by the third.
    Series,
    /// First argument, each second argument in it replaced by the third.
    Replace,
    /// The same with a pattern, of which every match may be empty.
    ReplacePattern,
    /// A list, each second argument in it replaced by the third.
    ReplaceItem,
    /// All arguments one after the other.
    Sum,
    /// All arguments, with the first between them.
    SumSeparated,
    /// The items of a list as texts, with the second and third argument for each.
    ListText,
    /// A text taken apart into a list.
    Split,
    /// Two bytes for each, and a little.
    Doubled,
    /// A text made by a format, of which two letters can stand for a whole date.
    Format,
}

/// The largest value and all values of one call, in bytes.
pub(crate) struct ResultSize {
    pub(crate) largest: u128,
    pub(crate) total: u128,
}

/// An upper bound of what the call makes.
pub(crate) fn size_of_result(growth: Growth, arguments: &[ColumnarValue], rows: usize) -> Result<ResultSize> {
    let arguments = arguments.iter().map(Argument::new).collect::<Result<Vec<_>>>()?;
    let all_constant = arguments.iter().all(|argument| argument.constant);
    let estimator = Estimator::new(growth, arguments)?;
    let mut size = ResultSize { largest: 0, total: 0 };
    for row in 0..if all_constant { rows.min(1) } else { rows } {
        let bytes = estimator.bytes(row);
        size.largest = size.largest.max(bytes);
        size.total = size.total.saturating_add(bytes);
    }
    Ok(size)
}

/// One argument of a call.
pub(crate) struct Argument {
    pub(crate) array: ArrayRef,
    pub(crate) constant: bool,
}

impl Argument {
    pub(crate) fn new(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(array) => Self {
                array: ArrayRef::clone(array),
                constant: false,
            },
            ColumnarValue::Scalar(value) => Self {
                array: value.to_array_of_size(1)?,
                constant: true,
            },
        })
    }

    pub(crate) fn row(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }

    pub(crate) fn bytes(&self, row: usize) -> u128 {
        bytes_at(self.array.as_ref(), self.row(row))
    }

    pub(crate) fn items(&self, row: usize) -> u128 {
        items_at(self.array.as_ref(), self.row(row))
    }
}

struct Estimator {
    growth: Growth,
    arguments: Vec<Argument>,
    /// Those arguments that are counts, as `Int64`.
    counts: Vec<Option<Argument>>,
}

impl Estimator {
    fn new(growth: Growth, arguments: Vec<Argument>) -> Result<Self> {
        let counted = matches!(
            growth,
            Growth::Repeat | Growth::Pad | Growth::Resize | Growth::Series
        );
        let counts = arguments
            .iter()
            .map(|argument| {
                if !counted || !argument.array.data_type().is_integer() {
                    return Ok(None);
                }
                let array = cast(&argument.array, &DataType::Int64)?;
                Ok(Some(Argument {
                    array,
                    constant: argument.constant,
                }))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            growth,
            arguments,
            counts,
        })
    }

    fn bytes(&self, row: usize) -> u128 {
        let bytes = |index: usize| {
            self.arguments
                .get(index)
                .map_or(0, |argument| argument.bytes(row))
        };
        let items = |index: usize| {
            self.arguments
                .get(index)
                .map_or(0, |argument| argument.items(row))
        };
        let count = |index: usize| {
            self.count(index, row)
                .and_then(|n| u128::try_from(n).ok())
                .unwrap_or(0)
        };
        match self.growth {
            Growth::Repeat => bytes(0).max(1).saturating_mul(count(1)),
            Growth::Pad => count(1).saturating_mul(4),
            Growth::Resize => bytes(0).saturating_add(count(1).saturating_mul(bytes(2).max(8))),
            Growth::Series => self.series(row).saturating_mul(16),
            Growth::Replace => {
                let places = bytes(0) / bytes(1).max(1) + 1;
                bytes(0).saturating_add(places.saturating_mul(bytes(2)))
            }
            Growth::ReplacePattern => {
                let places = if self.replaces_all(row) { bytes(0) + 1 } else { 1 };
                // A replacement of two letters, such as \1, may stand for the whole text.
                let copies = (bytes(2) / 2).saturating_mul(bytes(0));
                bytes(0)
                    .saturating_add(places.saturating_mul(bytes(2)))
                    .saturating_add(copies)
            }
            Growth::ReplaceItem => bytes(0).saturating_add(items(0).saturating_mul(bytes(2))),
            Growth::Sum => (0..self.arguments.len()).map(bytes).sum(),
            Growth::SumSeparated => {
                let values: u128 = (1..self.arguments.len()).map(bytes).sum();
                let places: u128 = (1..self.arguments.len()).map(|index| items(index).max(1)).sum();
                values.saturating_add(places.saturating_mul(bytes(0)))
            }
            Growth::ListText => {
                let each = bytes(1).saturating_add(bytes(2));
                bytes(0)
                    .saturating_mul(3)
                    .saturating_add(items(0).saturating_mul(each))
            }
            Growth::Split => bytes(0).saturating_mul(8),
            Growth::Doubled => bytes(0).saturating_mul(2),
            Growth::Format => bytes(1).saturating_mul(20),
        }
    }

    fn count(&self, index: usize, row: usize) -> Option<i64> {
        let argument = self.counts.get(index)?.as_ref()?;
        let row = argument.row(row);
        let array = argument.array.as_primitive_opt::<Int64Type>()?;
        array.is_valid(row).then(|| array.value(row))
    }

    fn replaces_all(&self, row: usize) -> bool {
        self.arguments.get(3).is_some_and(|flags| {
            let text = flags
                .array
                .as_string_view_opt()
                .map(|array| array.value(flags.row(row)));
            let text = text.or_else(|| {
                flags
                    .array
                    .as_string_opt::<i32>()
                    .map(|array| array.value(flags.row(row)))
            });
            text.is_none_or(|text| text.contains('g'))
        })
    }

    /// How many steps there are from the first argument to the second by the third.
    fn series(&self, row: usize) -> u128 {
        let (start, stop, step) = match self.arguments.as_slice() {
            [_] => (Some(0), self.count(0, row).map(i128::from), Some(1)),
            [_, _] => (
                self.count(0, row).map(i128::from),
                self.count(1, row).map(i128::from),
                Some(1),
            ),
            [start, stop, step, ..] => {
                if let (Some(start), Some(stop), Some(step)) =
                    (self.count(0, row), self.count(1, row), self.count(2, row))
                {
                    (Some(start.into()), Some(stop.into()), Some(i128::from(step)))
                } else {
                    (
                        start.nanoseconds(row),
                        stop.nanoseconds(row),
                        step.step_nanoseconds(row),
                    )
                }
            }
            [] => (None, None, None),
        };
        match (start, stop, step) {
            (Some(start), Some(stop), Some(step)) if step != 0 => {
                stop.saturating_sub(start).unsigned_abs() / step.unsigned_abs() + 1
            }
            _ => 0,
        }
    }
}

impl Argument {
    fn nanoseconds(&self, row: usize) -> Option<i128> {
        let row = self.row(row);
        let unit: i128 = match self.array.data_type() {
            DataType::Date32 => 86_400_000_000_000,
            DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
            DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
            DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
            _ => return None,
        };
        let numbers = cast(&self.array, &DataType::Int64).ok()?;
        let numbers = numbers.as_primitive_opt::<Int64Type>()?;
        numbers
            .is_valid(row)
            .then(|| i128::from(numbers.value(row)) * unit)
    }

    /// The shortest that the step can be. Months and days of different signs could make a step of next to nothing.
    fn step_nanoseconds(&self, row: usize) -> Option<i128> {
        let row = self.row(row);
        let steps = self.array.as_primitive_opt::<IntervalMonthDayNanoType>()?;
        if steps.is_null(row) {
            return None;
        }
        let step = steps.value(row);
        let parts = [i128::from(step.months) * 28 * 24, i128::from(step.days) * 24]
            .map(|hours| hours * 3_600_000_000_000);
        let parts = [parts[0], parts[1], i128::from(step.nanoseconds)];
        let mixed = parts.iter().any(|part| *part < 0) && parts.iter().any(|part| *part > 0);
        Some(if mixed { 1 } else { parts.iter().sum() })
    }
}

/// Bytes of the value in this row; a NULL has none.
pub(crate) fn bytes_at(array: &dyn Array, row: usize) -> u128 {
    if array.is_null(row) {
        return 0;
    }
    let kind = array.data_type();
    if let Some(texts) = array.as_string_opt::<i32>() {
        return texts.value_length(row).try_into().unwrap_or(0);
    }
    if let Some(texts) = array.as_string_view_opt() {
        return texts.value(row).len() as u128;
    }
    if let Some(width) = kind.primitive_width() {
        return width as u128;
    }
    if let Some(items) = list_at(array, row) {
        let data = items.to_data();
        return data
            .get_slice_memory_size()
            .unwrap_or_else(|_| items.get_array_memory_size()) as u128;
    }
    let data = array.slice(row, 1).to_data();
    data.get_slice_memory_size()
        .unwrap_or_else(|_| array.get_array_memory_size()) as u128
}

/// Items of the list in this row; 1 for what is not a list.
fn items_at(array: &dyn Array, row: usize) -> u128 {
    if array.is_null(row) {
        return 0;
    }
    list_at(array, row).map_or(1, |items| items.len() as u128)
}

fn list_at(array: &dyn Array, row: usize) -> Option<ArrayRef> {
    array
        .as_list_opt::<i32>()
        .map(|lists| lists.value(row))
        .or_else(|| array.as_list_opt::<i64>().map(|lists| lists.value(row)))
        .or_else(|| array.as_fixed_size_list_opt().map(|lists| lists.value(row)))
}
