//! Calls functions of `geodatafusion` so that NULL, empty and invalid values cannot hurt.
//!
//! By themselves they panic on a NULL constant, some on an empty line, and end the whole query on one row with an empty
//! point; their answers are structs and unions that joins and sorts cannot take. Here a function sees only rows that
//! have a value in every argument; geometries reach it in the one form that all of them take and come back as WKB.
//! A batch that it refuses is asked row by row, so that only the rows at fault are NULL.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray as _, BinaryArray, UInt32Array, new_null_array};
use datafusion::arrow::compute::{cast, concat, take};
use datafusion::arrow::datatypes::{Field, FieldRef};
use datafusion::common::cast::as_binary_array;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl};
use geo::HasDimensions as _;
use geodatafusion::udf::native::io::{AsBinary, GeomFromWKB};

use super::super::definition::Kind;
use super::super::geometries::Geometries;
use super::super::row_values::Arguments;
use crate::geometry::{geometry_field, read};
use crate::sql::SqlError;

/// What a function gives of an empty geometry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    /// NULL, without being asked.
    Null,
    /// Its own answer.
    Own,
}

static OPTIONS: LazyLock<Arc<ConfigOptions>> = LazyLock::new(Arc::default);

/// The answers of `inner` for all rows.
pub(super) fn call(
    arguments: &Arguments<'_>,
    inner: &dyn ScalarUDFImpl,
    empty: Empty,
) -> Result<ArrayRef, SqlError> {
    let columns = (0..arguments.kinds.len())
        .map(|index| Column::new(arguments, index))
        .collect::<Result<Vec<_>, _>>()?;
    let rows = if arguments.all_constant() {
        1
    } else {
        arguments.rows
    };
    let answered: Vec<u32> = (0..rows)
        .filter(|row| columns.iter().all(|column| column.has_value(*row, empty)))
        .map(|row| row as u32)
        .collect();
    let answers = if answered.is_empty() {
        new_null_array(&arguments.result.data_type(), 1)
    } else {
        match ask(arguments, inner, &columns, &answered) {
            Ok(answers) => answers,
            Err(reason) if arguments.all_constant() => {
                return Err(SqlError::BadRequest(format!(
                    "{}: {}",
                    arguments.function,
                    words_of(&reason)
                )));
            }
            Err(_) => row_by_row(arguments, inner, &columns, &answered)?,
        }
    };
    let mut places: Vec<Option<u32>> = vec![None; rows];
    for (place, row) in answered.iter().enumerate() {
        if let Some(slot) = places.get_mut(*row as usize) {
            *slot = Some(place as u32);
        }
    }
    places.resize(arguments.rows, places.first().copied().flatten());
    Ok(take(&answers, &UInt32Array::from(places), None)?)
}

/// Without what `DataFusion` puts in front.
fn words_of(reason: &DataFusionError) -> String {
    match reason.find_root() {
        DataFusionError::External(cause) => cause.to_string(),
        other => other.message().into_owned(),
    }
}

fn row_by_row(
    arguments: &Arguments<'_>,
    inner: &dyn ScalarUDFImpl,
    columns: &[Column],
    rows: &[u32],
) -> Result<ArrayRef, SqlError> {
    let nothing = new_null_array(&arguments.result.data_type(), 1);
    let answers: Vec<ArrayRef> = rows
        .iter()
        .map(|row| ask(arguments, inner, columns, &[*row]).unwrap_or_else(|_| ArrayRef::clone(&nothing)))
        .collect();
    let answers: Vec<&dyn Array> = answers.iter().map(AsRef::as_ref).collect();
    Ok(concat(&answers)?)
}

/// The answers for these rows, one after the other.
fn ask(
    arguments: &Arguments<'_>,
    inner: &dyn ScalarUDFImpl,
    columns: &[Column],
    rows: &[u32],
) -> Result<ArrayRef> {
    let mut values = Vec::with_capacity(columns.len());
    let mut fields = Vec::with_capacity(columns.len());
    for column in columns {
        let (value, field) = column.of_rows(rows)?;
        values.push(value);
        fields.push(field);
    }
    let (answers, field) = invoke(inner, values, fields, rows.len())?;
    if arguments.result == Kind::Geometry {
        let answers = vec![ColumnarValue::Array(answers)];
        let (bytes, _) = invoke(&AsBinary::new(), answers, vec![field], rows.len())?;
        let valid = as_binary_array(&bytes)?
            .iter()
            .map(|bytes| bytes.filter(|bytes| read(bytes).is_ok()));
        return Ok(Arc::new(valid.collect::<BinaryArray>()));
    }
    Ok(cast(&answers, &arguments.result.data_type())?)
}

fn invoke(
    function: &dyn ScalarUDFImpl,
    values: Vec<ColumnarValue>,
    fields: Vec<FieldRef>,
    rows: usize,
) -> Result<(ArrayRef, FieldRef)> {
    let constants: Vec<Option<&ScalarValue>> = values
        .iter()
        .map(|value| match value {
            ColumnarValue::Scalar(value) => Some(value),
            ColumnarValue::Array(_) => None,
        })
        .collect();
    let return_field = function.return_field_from_args(ReturnFieldArgs {
        arg_fields: &fields,
        scalar_arguments: &constants,
    })?;
    let answer = function.invoke_with_args(ScalarFunctionArgs {
        args: values,
        arg_fields: fields,
        number_rows: rows,
        return_field: Arc::clone(&return_field),
        config_options: Arc::clone(&OPTIONS),
    })?;
    let answers = answer.into_array(rows)?;
    if answers.len() != rows {
        return Err(DataFusionError::Internal(format!(
            "{} gave {} answers for {rows} rows",
            function.name(),
            answers.len()
        )));
    }
    Ok((answers, return_field))
}

/// One argument.
enum Column {
    Geometries(Geometries),
    Values(ColumnarValue),
}

impl Column {
    fn new(arguments: &Arguments<'_>, index: usize) -> Result<Self, SqlError> {
        Ok(if arguments.kinds.get(index) == Some(&Kind::Geometry) {
            Self::Geometries(arguments.geometries(index)?)
        } else {
            Self::Values(arguments.value(index)?.clone())
        })
    }

    fn has_value(&self, row: usize, empty: Empty) -> bool {
        match self {
            Self::Geometries(geometries) => geometries
                .get(row)
                .is_some_and(|geometry| empty == Empty::Own || !geometry.is_empty()),
            // The decoder of geohashes does not stand an empty one.
            Self::Values(ColumnarValue::Scalar(ScalarValue::Utf8(Some(text)))) => !text.is_empty(),
            Self::Values(ColumnarValue::Scalar(value)) => !value.is_null(),
            Self::Values(ColumnarValue::Array(array)) => {
                let text = array.as_string_opt::<i32>();
                array.is_valid(row) && text.is_none_or(|texts| !texts.value(row).is_empty())
            }
        }
    }

    /// The values of these rows; a geometry in the form that every function takes.
    fn of_rows(&self, rows: &[u32]) -> Result<(ColumnarValue, FieldRef)> {
        match self {
            Self::Geometries(geometries) => {
                let bytes: BinaryArray = rows.iter().map(|row| geometries.wkb(*row as usize)).collect();
                debug_assert!((0..bytes.len()).all(|row| read(bytes.value(row)).is_ok()));
                let field = Arc::new(geometry_field("geometry", true));
                let bytes = ColumnarValue::Array(Arc::new(bytes));
                let (geometries, field) =
                    invoke(&GeomFromWKB::default(), vec![bytes], vec![field], rows.len())?;
                Ok((ColumnarValue::Array(geometries), field))
            }
            Self::Values(value) => {
                let field = Arc::new(Field::new("value", value.data_type(), true));
                let value = match value {
                    ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
                    // Some functions take constants only: asked row by row they answer columns too.
                    ColumnarValue::Array(array) => match rows {
                        [row] => ColumnarValue::Scalar(ScalarValue::try_from_array(array, *row as usize)?),
                        _ => ColumnarValue::Array(take(array, &UInt32Array::from(rows.to_vec()), None)?),
                    },
                };
                Ok((value, field))
            }
        }
    }
}
