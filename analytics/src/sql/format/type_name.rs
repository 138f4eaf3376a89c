//! The names of types in the JSON answer.

use datafusion::arrow::datatypes::{DataType, Field};

use crate::geometry::is_geometry;
use crate::sql::cell_type::is_cell;

/// Lower case, without the details of how Arrow keeps it: `h3_cell`, `uint64`, `timestamp`, `list<text>`, ….
pub(super) fn type_name(field: &Field) -> String {
    if is_cell(field) {
        return "h3_cell".to_owned();
    }
    if is_geometry(field) {
        return "geometry".to_owned();
    }
    match field.data_type() {
        DataType::Null => "null".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp".to_owned(),
        DataType::Timestamp(_, None) => "timestamp without time zone".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".to_owned(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => format!("list<{}>", type_name(item)),
        DataType::Struct(_) => "struct".to_owned(),
        DataType::Map(..) => "map".to_owned(),
        DataType::Dictionary(_, values) => type_name(&Field::new("", values.as_ref().clone(), true)),
        binary if binary.is_binary() => "binary".to_owned(),
        number => number.to_string().to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::TimeUnit;

    use super::*;
    use crate::geometry::geometry_field;
    use crate::sql::cell_type::{cell_field, cell_list_type};

    #[test]
    fn names_are_those_that_clients_know() {
        let named = |kind: DataType| type_name(&Field::new("x", kind, true));
        assert_eq!(type_name(&cell_field("cell", false)), "h3_cell");
        assert_eq!(named(cell_list_type()), "list<h3_cell>");
        assert_eq!(type_name(&geometry_field("outline", true)), "geometry");
        assert_eq!(named(DataType::Binary), "binary");
        assert_eq!(named(DataType::UInt64), "uint64");
        let time = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        assert_eq!(named(time(Some("Asia/Tokyo"))), "timestamp");
        assert_eq!(named(time(None)), "timestamp without time zone");
        assert_eq!(named(DataType::Float64), "float64");
        assert_eq!(named(DataType::Decimal128(20, 0)), "decimal(20,0)");
        assert_eq!(
            named(DataType::Dictionary(
                Box::new(DataType::Int32),
                Box::new(DataType::Utf8)
            )),
            "text"
        );
        assert_eq!(
            named(DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))),
            "list<text>"
        );
    }
}
