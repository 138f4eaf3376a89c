//! The operator `||` on texts, with the cap that other functions have: doubled thirty times over in nested queries,
//! one letter would be a gigabyte.

use std::sync::Arc;

use datafusion::arrow::array::{Array, StringArray, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::cast::as_string_array;
use datafusion::common::utils::take_function_args;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::guarded::check;
use crate::sql::bounds::value_bounds::Growth;

/// `left || right`: NULL if one of them is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TextConcat {
    signature: Signature,
}

impl Default for TextConcat {
    fn default() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for TextConcat {
    fn name(&self) -> &'static str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = take_function_args(self.name(), args)?;
        Ok(format!("{} || {}", left.schema_name(), right.schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![DataType::Utf8; arguments.len()])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check(self.name(), Growth::Sum, &args.args, args.number_rows)?;
        let rows = args.number_rows;
        let [left, right] = take_function_args(self.name(), args.args)?;
        let (left, right) = (left.into_array(rows)?, right.into_array(rows)?);
        Ok(ColumnarValue::Array(Arc::new(joined(
            as_string_array(&left)?,
            as_string_array(&right)?,
        ))))
    }
}

fn joined(left: &StringArray, right: &StringArray) -> StringArray {
    let mut builder =
        StringBuilder::with_capacity(left.len(), left.value_data().len().min(right.value_data().len()));
    let mut text = String::new();
    for pair in left.iter().zip(right.iter()) {
        if let (Some(left), Some(right)) = pair {
            text.clear();
            text.push_str(left);
            text.push_str(right);
            builder.append_value(&text);
        } else {
            builder.append_null();
        }
    }
    builder.finish()
}
