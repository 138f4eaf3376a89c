//! Arguments at which a function of `DataFusion` 55 panics or fails inside.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};

use crate::sql::delegated::scalar_named_as_inner;
use crate::sql::error::SqlError;

/// What is seen to before a function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Care {
    /// A length below 0 is 0: it panics on a column of them.
    NoNegativeLength,
    /// A size below 0 is an error by name.
    SizeFromZero,
    /// A place to start at below 1 is an error by name: the least integer panics.
    StartFromOne,
    /// Lists in the list are an error by name.
    FlatList,
}

fn care_for(name: &str) -> Option<Care> {
    Some(match name {
        "lpad" | "rpad" => Care::NoNegativeLength,
        "array_resize" => Care::SizeFromZero,
        "array_position" => Care::StartFromOne,
        "array_sum" => Care::FlatList,
        _ => return None,
    })
}

/// Wraps those of `functions` that need care; the others stay as they are.
pub(crate) fn with_checked_arguments(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    functions
        .into_iter()
        .map(|inner| match care_for(inner.name()) {
            Some(care) => Arc::new(ScalarUDF::new_from_impl(Careful { inner, care })),
            None => inner,
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Careful {
    inner: Arc<ScalarUDF>,
    care: Care,
}

impl ScalarUDFImpl for Careful {
    scalar_named_as_inner!();

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = self.name();
        match self.care {
            Care::NoNegativeLength => {
                if let Some(length) = args.args.get_mut(1) {
                    *length = not_negative(length)?;
                }
            }
            Care::SizeFromZero => check_least(name, "size", args.args.get(1), 0)?,
            Care::StartFromOne => check_least(name, "place to start at", args.args.get(2), 1)?,
            Care::FlatList => {
                if args.args.first().is_some_and(|list| has_lists(&list.data_type())) {
                    return Err(SqlError::BadRequest(format!(
                        "{name} takes a list of numbers; flatten(…) a list of lists first"
                    ))
                    .into());
                }
            }
        }
        self.inner.invoke_with_args(args)
    }
}

fn integers(value: &ColumnarValue) -> Result<Option<Int64Array>> {
    if !value.data_type().is_integer() {
        return Ok(None);
    }
    let array = match value {
        ColumnarValue::Array(array) => ArrayRef::clone(array),
        ColumnarValue::Scalar(scalar) => scalar.to_array()?,
    };
    let array = cast(&array, &DataType::Int64)?;
    Ok(array.as_primitive_opt::<Int64Type>().cloned())
}

fn not_negative(value: &ColumnarValue) -> Result<ColumnarValue> {
    let Some(integers) = integers(value)? else {
        return Ok(value.clone());
    };
    if integers.iter().flatten().all(|length| length >= 0) {
        return Ok(value.clone());
    }
    let lengths: ArrayRef = Arc::new(integers.unary::<_, Int64Type>(|length| length.max(0)));
    let lengths = cast(&lengths, &value.data_type())?;
    Ok(match value {
        ColumnarValue::Array(_) => ColumnarValue::Array(lengths),
        ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&lengths, 0)?),
    })
}

fn check_least(name: &str, what: &str, value: Option<&ColumnarValue>, least: i64) -> Result<()> {
    let integers = value.map(integers).transpose()?.flatten();
    match integers
        .iter()
        .flat_map(|all| all.iter().flatten())
        .find(|number| *number < least)
    {
        Some(number) => Err(SqlError::BadRequest(format!(
            "{name} was given {number} for its {what}; the least is {least}"
        ))
        .into()),
        None => Ok(()),
    }
}

fn has_lists(kind: &DataType) -> bool {
    match kind {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().is_nested()
        }
        _ => false,
    }
}
