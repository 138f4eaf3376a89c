//! Reads arguments row by row. A constant is checked once, when it is taken up; a column gives `None` for what is not
//! valid.

use datafusion::arrow::array::{Array, Float64Array, Int64Array, StringArray, UInt64Array};
use datafusion::common::ScalarValue;
use datafusion::common::cast::{as_float64_array, as_int64_array, as_string_array, as_uint64_array};
use datafusion::logical_expr::ColumnarValue;
use h3o::{CellIndex, Resolution};
use riskgrid_ingest::places::Places;

use super::definition::{Definition, Kind};
use crate::sql::{SqlError, not_a_cell, parse_cell};

/// The arguments of one call, for `rows` rows.
pub(super) struct Arguments<'a> {
    pub(super) function: &'static str,
    pub(super) rows: usize,
    /// The reference layers.
    pub(super) places: &'a Places,
    /// What each argument that is given is.
    pub(super) kinds: Vec<Kind>,
    /// What the function gives.
    pub(super) result: Kind,
    values: &'a [ColumnarValue],
}

impl<'a> Arguments<'a> {
    pub(super) fn new(
        definition: &Definition,
        values: &'a [ColumnarValue],
        rows: usize,
        places: &'a Places,
    ) -> Self {
        Self {
            function: definition.name,
            rows,
            places,
            kinds: definition
                .arguments
                .iter()
                .zip(values)
                .map(|((_, kind), _)| *kind)
                .collect(),
            result: definition.result,
            values,
        }
    }

    /// Whether every argument is a constant.
    pub(super) fn all_constant(&self) -> bool {
        self.values
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)))
    }

    pub(super) fn value(&self, index: usize) -> Result<&'a ColumnarValue, SqlError> {
        self.values.get(index).ok_or_else(|| {
            SqlError::internal(format!(
                "{} was called without argument {}",
                self.function,
                index + 1
            ))
        })
    }

    /// What to give for a row whose arguments are valid but have no answer: NULL, or an error if all are constants.
    pub(super) fn no_answer<T>(&self, why: impl FnOnce() -> String) -> Result<Option<T>, SqlError> {
        if self.all_constant() {
            return Err(SqlError::BadRequest(format!("{}: {}", self.function, why())));
        }
        Ok(None)
    }

    pub(super) fn cells(&self, index: usize) -> Result<Cells, SqlError> {
        Ok(match self.value(index)? {
            ColumnarValue::Scalar(ScalarValue::Utf8(text)) => {
                Cells::Constant(text.as_deref().map(parse_cell).transpose()?)
            }
            ColumnarValue::Scalar(ScalarValue::UInt64(Some(id))) => Cells::Constant(Some(
                CellIndex::try_from(*id).map_err(|_| not_a_cell(&id.to_string()))?,
            )),
            ColumnarValue::Scalar(_) => Cells::Constant(None),
            ColumnarValue::Array(array) => match as_string_array(array) {
                Ok(texts) => Cells::Texts(texts.clone()),
                Err(_) => Cells::Ids(as_uint64_array(array)?.clone()),
            },
        })
    }

    pub(super) fn resolutions(&self, index: usize) -> Result<Resolutions, SqlError> {
        Ok(match self.wholes(index)? {
            Wholes::Constant(Some(number)) => match resolution(number) {
                Some(resolution) => Resolutions::Constant(Some(resolution)),
                None => {
                    return Err(SqlError::BadRequest(format!(
                        "{}: {number} is not a resolution; they go from 0 to 15",
                        self.function
                    )));
                }
            },
            Wholes::Constant(None) => Resolutions::Constant(None),
            Wholes::Column(numbers) => Resolutions::Column(numbers),
        })
    }

    pub(super) fn wholes(&self, index: usize) -> Result<Wholes, SqlError> {
        Ok(match self.value(index)? {
            ColumnarValue::Scalar(ScalarValue::Int64(number)) => Wholes::Constant(*number),
            ColumnarValue::Scalar(_) => Wholes::Constant(None),
            ColumnarValue::Array(array) => Wholes::Column(as_int64_array(array)?.clone()),
        })
    }

    pub(super) fn texts(&self, index: usize) -> Result<Texts, SqlError> {
        Ok(match self.value(index)? {
            ColumnarValue::Scalar(ScalarValue::Utf8(text)) => Texts::Constant(text.clone()),
            ColumnarValue::Scalar(_) => Texts::Constant(None),
            ColumnarValue::Array(array) => Texts::Column(as_string_array(array)?.clone()),
        })
    }

    pub(super) fn numbers(&self, index: usize) -> Result<Numbers, SqlError> {
        Ok(match self.value(index)? {
            ColumnarValue::Scalar(ScalarValue::Float64(number)) => Numbers::Constant(*number),
            ColumnarValue::Scalar(_) => Numbers::Constant(None),
            ColumnarValue::Array(array) => Numbers::Column(as_float64_array(array)?.clone()),
        })
    }
}

fn resolution(number: i64) -> Option<Resolution> {
    u8::try_from(number)
        .ok()
        .and_then(|number| Resolution::try_from(number).ok())
}

/// Cells from numbers or texts.
pub(super) enum Cells {
    Constant(Option<CellIndex>),
    Ids(UInt64Array),
    Texts(StringArray),
}

impl Cells {
    pub(super) fn get(&self, row: usize) -> Option<CellIndex> {
        match self {
            Self::Constant(cell) => *cell,
            Self::Ids(ids) if ids.is_valid(row) => CellIndex::try_from(ids.value(row)).ok(),
            Self::Texts(texts) if texts.is_valid(row) => texts.value(row).parse().ok(),
            Self::Ids(_) | Self::Texts(_) => None,
        }
    }
}

/// Texts.
pub(super) enum Texts {
    Constant(Option<String>),
    Column(StringArray),
}

/// Integers.
pub(super) enum Wholes {
    Constant(Option<i64>),
    Column(Int64Array),
}

impl Wholes {
    pub(super) fn get(&self, row: usize) -> Option<i64> {
        match self {
            Self::Constant(number) => *number,
            Self::Column(numbers) => numbers.is_valid(row).then(|| numbers.value(row)),
        }
    }
}

/// H3 resolutions, 0 to 15.
pub(super) enum Resolutions {
    Constant(Option<Resolution>),
    Column(Int64Array),
}

impl Resolutions {
    pub(super) fn get(&self, row: usize) -> Option<Resolution> {
        match self {
            Self::Constant(resolution) => *resolution,
            Self::Column(numbers) if numbers.is_valid(row) => resolution(numbers.value(row)),
            Self::Column(_) => None,
        }
    }
}

/// Numbers.
pub(super) enum Numbers {
    Constant(Option<f64>),
    Column(Float64Array),
}

impl Numbers {
    pub(super) fn get(&self, row: usize) -> Option<f64> {
        match self {
            Self::Constant(number) => *number,
            Self::Column(numbers) => numbers.is_valid(row).then(|| numbers.value(row)),
        }
    }
}
