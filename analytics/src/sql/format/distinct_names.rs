//! A JSON object has each name once: an answer that would lose a column in one is refused.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::{DataType, Fields, Schema};

use super::AnswerFormat;
use crate::sql::error::SqlError;

/// # Errors
/// [`SqlError::BadRequest`] that names the columns, or the fields of a struct, of one name that would be names of one
/// object in this format. Rows of JSON and CSV are no objects, and Arrow keeps everything.
pub(super) fn check(schema: &Schema, format: AnswerFormat) -> Result<(), SqlError> {
    if format == AnswerFormat::Arrow {
        return Ok(());
    }
    if format == AnswerFormat::NdJson
        && let Some(names) = repeated(schema.fields())
    {
        return Err(SqlError::BadRequest(format!(
            "the answer has several columns named {names}, and an object of NDJSON has each name once; give them names \
             of their own (… AS …), or ask for application/json, text/csv or application/vnd.apache.arrow.stream"
        )));
    }
    for field in schema.fields() {
        if let Some(names) = repeated_within(field.data_type()) {
            return Err(SqlError::BadRequest(format!(
                "column {} holds structs with several fields named {names}, and an object of JSON has each name once; \
                 give them names of their own, or ask for application/vnd.apache.arrow.stream",
                field.name()
            )));
        }
    }
    Ok(())
}

/// The names that come more than once, for people.
fn repeated(fields: &Fields) -> Option<String> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&str> = fields
        .iter()
        .map(|field| field.name().as_str())
        .filter(|name| !seen.insert(*name))
        .collect();
    let names: Vec<String> = twice.into_iter().map(|name| format!("'{name}'")).collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

fn repeated_within(kind: &DataType) -> Option<String> {
    match kind {
        DataType::Struct(fields) => repeated(fields).or_else(|| {
            let mut within = fields.iter().map(|field| field.data_type());
            within.find_map(repeated_within)
        }),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::Map(item, _) => repeated_within(item.data_type()),
        DataType::Dictionary(_, values) => repeated_within(values),
        _ => None,
    }
}
