//! The mark of a column of geometries.

use arrow::datatypes::{DataType, Field};

/// The key under which Arrow keeps the name of an extension type.
const EXTENSION_KEY: &str = "ARROW:extension:name";
/// The extension type of well-known binary, as `GeoArrow` names it.
const WKB_EXTENSION: &str = "geoarrow.wkb";

/// A field of geometries.
pub fn geometry_field(name: impl Into<String>, nullable: bool) -> Field {
    mark_geometry(Field::new(name, DataType::Binary, nullable))
}

/// The same field, marked as one of geometries; other metadata stays.
#[must_use]
pub fn mark_geometry(mut field: Field) -> Field {
    field
        .metadata_mut()
        .insert(EXTENSION_KEY.to_owned(), WKB_EXTENSION.to_owned());
    field
}

/// Whether the field is one of geometries.
pub fn is_geometry(field: &Field) -> bool {
    field.data_type().is_binary()
        && field
            .metadata()
            .get(EXTENSION_KEY)
            .is_some_and(|name| name == WKB_EXTENSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_that_of_geoarrow_and_needs_bytes() {
        let field = geometry_field("outline", true);
        assert!(is_geometry(&field));
        assert_eq!(
            field.metadata().get("ARROW:extension:name").map(String::as_str),
            Some("geoarrow.wkb")
        );
        assert!(!is_geometry(&field.with_data_type(DataType::Utf8)));
        assert!(!is_geometry(&Field::new("x", DataType::Binary, true)));
    }
}
