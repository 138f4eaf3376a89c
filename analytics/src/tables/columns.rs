//! Fields and arrays that several tables share.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, TimeUnit};
use riskgrid_ingest::EventTime;

use crate::sql::commented;

/// The type of all times: microseconds in UTC.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A field with its comment.
pub(crate) fn field(name: &str, data_type: DataType, nullable: bool, comment: &str) -> Field {
    commented(Field::new(name, data_type, nullable), comment)
}

/// A column of times.
pub(crate) fn times(values: impl Iterator<Item = Option<EventTime>>) -> ArrayRef {
    let array: TimestampMicrosecondArray = values.map(|time| time.map(EventTime::micros)).collect();
    Arc::new(array.with_timezone("UTC"))
}
