//! Columns of H3 cells: `UInt64` whose field says so.
//!
//! The mark is field metadata, which projections, aliases, group keys, joins and unions pass on. It is lost in
//! arithmetic, CASE and CAST; `min` and `max` pass it on because of [`super::min_max`].

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::common::metadata::FieldMetadata;
use datafusion::logical_expr::Expr;
use h3o::CellIndex;

use crate::sql::error::SqlError;

/// The key of the field metadata that marks a column's type where Arrow has none for it.
pub const TYPE_KEY: &str = "riskgrid:type";
/// The value under [`TYPE_KEY`] of a column of H3 cells.
pub const CELL_TYPE: &str = "h3_cell";
/// The key of the field metadata that holds the comment of a column, shown in `information_schema.columns`.
pub const COMMENT_KEY: &str = "comment";

/// A field of H3 cells.
pub fn cell_field(name: impl Into<String>, nullable: bool) -> Field {
    mark_cell(Field::new(name, DataType::UInt64, nullable))
}

/// The same field, marked as one of H3 cells; other metadata stays.
#[must_use]
pub fn mark_cell(mut field: Field) -> Field {
    field
        .metadata_mut()
        .insert(TYPE_KEY.to_owned(), CELL_TYPE.to_owned());
    field
}

/// The same field with a comment for `information_schema.columns`.
#[must_use]
pub fn commented(mut field: Field, comment: &str) -> Field {
    field
        .metadata_mut()
        .insert(COMMENT_KEY.to_owned(), comment.to_owned());
    field
}

/// Whether the field is one of H3 cells.
pub fn is_cell(field: &Field) -> bool {
    field.data_type() == &DataType::UInt64
        && field
            .metadata()
            .get(TYPE_KEY)
            .is_some_and(|kind| kind == CELL_TYPE)
}

/// A nullable list of cells.
pub(crate) fn cell_list_type() -> DataType {
    DataType::List(cell_item())
}

/// The item of a list of cells.
pub(crate) fn cell_item() -> FieldRef {
    Arc::new(cell_field("item", true))
}

/// The literal of one cell, marked.
pub(crate) fn cell_literal(cell: Option<CellIndex>) -> Expr {
    let metadata = FieldMetadata::new_from_field(&cell_field("cell", true));
    Expr::Literal(ScalarValue::UInt64(cell.map(u64::from)), Some(metadata))
}

/// The cell that a text names.
///
/// # Errors
/// [`SqlError::BadRequest`] if it names none.
pub(crate) fn parse_cell(text: &str) -> Result<CellIndex, SqlError> {
    text.parse().map_err(|_| not_a_cell(text))
}

/// What is said about a text or number that was taken for a cell.
pub(crate) fn not_a_cell(value: &str) -> SqlError {
    SqlError::BadRequest(format!(
        "'{value}' is not an H3 cell; one looks like '89283082803ffff'"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_and_the_comment_live_together() {
        let field = commented(cell_field("cell", false), "where");
        assert!(is_cell(&field));
        assert_eq!(
            field.metadata().get(COMMENT_KEY).map(String::as_str),
            Some("where")
        );
        assert!(!is_cell(&Field::new("count", DataType::UInt64, false)));
        assert!(!is_cell(&field.with_data_type(DataType::Int64)));
    }

    #[test]
    fn only_cells_parse() {
        assert!(parse_cell("89283082803ffff").is_ok());
        for text in ["", "noise", "617700169958293503", "ffffffffffffffff"] {
            assert!(parse_cell(text).is_err(), "{text}");
        }
    }
}
