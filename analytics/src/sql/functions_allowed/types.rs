//! Types as they are written: a type sizes memory (`FixedSizeList(2000000000 x Int64)`) and recursion (a list of lists,
//! two thousand deep) before there is a value.

use datafusion::arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, DataType as AstType, StructField};

use crate::sql::error::SqlError;

/// Letters of the name of a type.
const LETTERS: usize = 1_024;
/// Types in one another.
const DEEPEST: usize = 16;
/// Types in one type, those in structs counted wherever they are used: structs of structs double what they hold.
const MOST_TYPES: usize = 1_024;
/// Items of a list whose type says how many, those of inner ones multiplied. A NULL takes as much as a value.
const FIXED_ITEMS: u64 = 1_024;

/// The name of a type as `arrow_cast` takes it, before it is parsed.
///
/// # Errors
/// [`SqlError::BadRequest`] if it is too long, too deep or of too many items.
pub(super) fn check_text(function: &str, text: Option<&str>) -> Result<(), SqlError> {
    let text = text.unwrap_or_default();
    let refused = |why: String| Err(SqlError::BadRequest(format!("{function}: the type {why}")));
    if text.len() > LETTERS {
        return refused(format!("has {} letters, allowed are {LETTERS}", text.len()));
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'<' | b'[' | b'{' => depth += 1,
            b')' | b'>' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > DEEPEST {
        return refused(format!("is nested {deepest} deep, allowed are {DEEPEST}"));
    }
    // Parsing is safe now; what it gives can still be large.
    match text.parse::<DataType>() {
        Ok(parsed) => check(&parsed),
        // The function itself says what is wrong.
        Err(_) => Ok(()),
    }
}

/// # Errors
/// [`SqlError::BadRequest`] if the type is too deep, holds too many types, or fixes too many items.
pub(super) fn check(of: &DataType) -> Result<(), SqlError> {
    let mut types = 0;
    visit(of, 0, 1, &mut types)
}

fn visit(of: &DataType, depth: usize, items: u64, types: &mut usize) -> Result<(), SqlError> {
    *types += 1;
    if depth > DEEPEST || *types > MOST_TYPES {
        return Err(SqlError::BadRequest(format!(
            "a type is nested more than {DEEPEST} deep or holds more than {MOST_TYPES} types; use flatter lists and structs"
        )));
    }
    let fixed = |count: i32| {
        let items = items.saturating_mul(u64::try_from(count).unwrap_or(0).max(1));
        if items > FIXED_ITEMS {
            return Err(too_many_items());
        }
        Ok(items)
    };
    match of {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::Map(field, _) => visit(field.data_type(), depth + 1, items, types),
        DataType::FixedSizeList(field, count) => {
            let items = fixed(*count)?;
            visit(field.data_type(), depth + 1, items, types)
        }
        DataType::FixedSizeBinary(bytes) => fixed(*bytes).map(|_| ()),
        DataType::Struct(fields) => fields
            .iter()
            .try_for_each(|field| visit(field.data_type(), depth + 1, items, types)),
        DataType::Union(fields, _) => fields
            .iter()
            .try_for_each(|(_, field)| visit(field.data_type(), depth + 1, items, types)),
        DataType::Dictionary(keys, values) => {
            visit(keys, depth + 1, items, types)?;
            visit(values, depth + 1, items, types)
        }
        DataType::RunEndEncoded(ends, values) => {
            visit(ends.data_type(), depth + 1, items, types)?;
            visit(values.data_type(), depth + 1, items, types)
        }
        _ => Ok(()),
    }
}

fn too_many_items() -> SqlError {
    SqlError::BadRequest(format!(
        "a type fixes more than {FIXED_ITEMS} items; use a list, whose length is its own"
    ))
}

/// A type as SQL writes it, such as `INT[3]`.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_written(of: &AstType) -> Result<(), SqlError> {
    written(of, 0, 1)
}

fn written(of: &AstType, depth: usize, items: u64) -> Result<(), SqlError> {
    if depth > DEEPEST {
        return Err(SqlError::BadRequest(format!(
            "a type is nested more than {DEEPEST} deep; use a flatter one"
        )));
    }
    let fields = |fields: &[StructField]| {
        fields
            .iter()
            .try_for_each(|field| written(&field.field_type, depth + 1, items))
    };
    match of {
        AstType::Array(ArrayElemTypeDef::AngleBracket(inner) | ArrayElemTypeDef::Parenthesis(inner))
        | AstType::Nullable(inner)
        | AstType::LowCardinality(inner) => written(inner, depth + 1, items),
        AstType::Array(ArrayElemTypeDef::SquareBracket(inner, size)) => {
            let items = items.saturating_mul(size.unwrap_or(1).max(1));
            if items > FIXED_ITEMS {
                return Err(too_many_items());
            }
            written(inner, depth + 1, items)
        }
        AstType::Map(keys, values) => {
            written(keys, depth + 1, items)?;
            written(values, depth + 1, items)
        }
        AstType::Tuple(of) | AstType::Struct(of, _) => fields(of),
        AstType::Union(of) => of
            .iter()
            .try_for_each(|field| written(&field.field_type, depth + 1, items)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_are_bounded_before_they_are_parsed() {
        for good in [
            "Int64",
            "Dictionary(Int32, Utf8)",
            "List(List(Int64))",
            "FixedSizeList(3 x Float64)",
            "Timestamp(µs, \"UTC\")",
            "no type at all",
        ] {
            assert_eq!(check_text("f", Some(good)), Ok(()), "{good}");
        }
        let deep = format!("{}Int64{}", "List(".repeat(17), ")".repeat(17));
        let never_closed = "List(".repeat(150);
        let fixed = "FixedSizeList(2000000000 x Int64)".to_owned();
        let multiplied = "FixedSizeList(100 x FixedSizeList(100 x Int64))".to_owned();
        for bad in [deep, never_closed, fixed, multiplied, "x".repeat(2_000)] {
            assert!(check_text("f", Some(&bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn structs_that_double_are_counted_wherever_they_are_used() {
        let mut doubled = DataType::Int64;
        for level in 0..12 {
            let field = |name: &str| datafusion::arrow::datatypes::Field::new(name, doubled.clone(), true);
            doubled = DataType::Struct(vec![field("a"), field("b")].into());
            assert_eq!(check(&doubled).is_ok(), level < 9, "{level}");
        }
    }
}
