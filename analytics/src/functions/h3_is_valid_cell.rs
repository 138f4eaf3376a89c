//! `h3_is_valid_cell(cell)`: whether a number or text is a cell.

use datafusion::arrow::array::{Array as _, ArrayRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ColumnarValue;
use h3o::CellIndex;

use super::definition::{Definition, Kind};
use super::geometries::truth_column;
use super::row_values::{Arguments, Cells};
use crate::sql::SqlError;

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_is_valid_cell",
    aliases: &["h3isvalid"],
    description: "Whether the number or text is an H3 cell; NULL only of NULL.",
    arguments: &[("cell", Kind::Cell)],
    optional: 0,
    result: Kind::Truth,
    call,
};

fn call(arguments: &Arguments<'_>) -> Result<ArrayRef, SqlError> {
    // A constant that is no cell is a mistake elsewhere; here it is the question.
    let constant = match arguments.value(0)? {
        ColumnarValue::Scalar(ScalarValue::Utf8(text)) => {
            Some(text.as_ref().map(|text| text.parse::<CellIndex>().is_ok()))
        }
        ColumnarValue::Scalar(ScalarValue::UInt64(id)) => Some(id.map(|id| CellIndex::try_from(id).is_ok())),
        ColumnarValue::Scalar(_) => Some(None),
        ColumnarValue::Array(_) => None,
    };
    if let Some(constant) = constant {
        return Ok(truth_column(vec![constant; arguments.rows]));
    }
    let cells = arguments.cells(0)?;
    let is_given = |row| match &cells {
        Cells::Ids(ids) => ids.is_valid(row),
        Cells::Texts(texts) => texts.is_valid(row),
        Cells::Constant(constant) => constant.is_some(),
    };
    let valid = (0..arguments.rows).map(|row| is_given(row).then(|| cells.get(row).is_some()));
    Ok(truth_column(valid.collect()))
}
