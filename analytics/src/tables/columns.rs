//! Fields and arrays that several tables share.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, TimeUnit};
use h3o::{LatLng, Resolution};
use riskgrid_ingest::EventTime;

use crate::sql::{cell_field, commented};

/// What Arrow calls a column of geometries in well-known binary, and how its reference system is told.
/// See <https://geoarrow.org/extension-types>.
const GEOMETRY_TYPE: [(&str, &str); 2] = [
    ("ARROW:extension:name", "geoarrow.wkb"),
    (
        "ARROW:extension:metadata",
        r#"{"crs":"OGC:CRS84","crs_type":"authority_code"}"#,
    ),
];

/// The type of all times: microseconds in UTC.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A field with its comment.
pub(crate) fn field(name: &str, data_type: DataType, nullable: bool, comment: &str) -> Field {
    commented(Field::new(name, data_type, nullable), comment)
}

/// The three columns of a place.
pub(crate) fn place_fields(nullable: bool) -> [Field; 3] {
    [
        field("lon", DataType::Float64, nullable, "degrees east"),
        field("lat", DataType::Float64, nullable, "degrees north"),
        commented(cell_field("cell", nullable), "H3 cell of the base resolution"),
    ]
}

/// A field of geometries in well-known binary, in degrees, longitude first; functions on geometries know it as such.
pub(crate) fn shape_field(name: &str, comment: &str) -> Field {
    let mut field = field(name, DataType::Binary, true, comment);
    let known = GEOMETRY_TYPE.map(|(key, value)| (key.to_owned(), value.to_owned()));
    field.metadata_mut().extend(known);
    field
}

/// The cells that hold `[lon, lat]` places.
pub(crate) fn cells_of(places: impl Iterator<Item = [f64; 2]>, resolution: Resolution) -> UInt64Array {
    let cell = |[lon, lat]: [f64; 2]| Some(u64::from(LatLng::new(lat, lon).ok()?.to_cell(resolution)));
    places.map(cell).collect()
}

/// A column of times.
pub(crate) fn times(values: impl Iterator<Item = Option<EventTime>>) -> ArrayRef {
    let array: TimestampMicrosecondArray = values.map(|time| time.map(EventTime::micros)).collect();
    Arc::new(array.with_timezone("UTC"))
}
