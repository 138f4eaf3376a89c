//! One column of a batch, made ready to be written value by value.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray, StringViewArray, UInt64Array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float32Type, Float64Type, Int64Type, TimeUnit, UInt64Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use h3o::CellIndex;
use riskgrid_ingest::words;

use crate::geometry::{is_geometry, push_text};
use crate::sql::cell_type::is_cell;
use crate::sql::error::SqlError;

/// The largest integer of which every smaller one is exact in a JavaScript number.
const EXACT_IN_DOUBLE: u64 = 1 << 53;
/// Decimal digits that a double always keeps.
const DIGITS_IN_DOUBLE: usize = 15;
const MILLISECONDS_OF_A_DAY: i64 = 86_400_000;

/// A column by the way its values are written.
pub(super) enum ValueColumn {
    Null,
    Boolean(BooleanArray),
    Cell(UInt64Array),
    Unsigned(UInt64Array),
    Signed(Int64Array),
    Float32(Float32Array),
    Float64(Float64Array),
    Text(StringArray),
    LargeText(LargeStringArray),
    TextView(StringViewArray),
    /// Digits; a number in JSON if a double keeps them.
    Decimal(StringArray),
    Instant(Int64Array, TimeUnit),
    /// As a calendar and a clock show it somewhere: no instant.
    LocalTime(Int64Array, TimeUnit),
    /// Days since 1970-01-01.
    Day(Int64Array),
    List {
        nulls: Option<NullBuffer>,
        offsets: Vec<usize>,
        items: Box<ValueColumn>,
    },
    Struct {
        nulls: Option<NullBuffer>,
        fields: Vec<(String, ValueColumn)>,
    },
    /// Texts to values.
    Map {
        nulls: Option<NullBuffer>,
        offsets: Vec<usize>,
        keys: StringArray,
        values: Box<ValueColumn>,
    },
}

impl ValueColumn {
    /// The columns of a batch.
    pub(super) fn of_batch(batch: &RecordBatch) -> Result<Vec<Self>, SqlError> {
        let schema = batch.schema();
        let pairs = schema.fields().iter().zip(batch.columns());
        pairs.map(|(field, array)| Self::new(field, array)).collect()
    }

    fn new(field: &Field, array: &ArrayRef) -> Result<Self, SqlError> {
        let as_signed =
            || cast(array, &DataType::Int64).map(|array| array.as_primitive::<Int64Type>().clone());
        Ok(match array.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean(array.as_boolean().clone()),
            _ if is_geometry(field) => Self::Text(geometry_texts(array)?),
            DataType::UInt64 if is_cell(field) => Self::Cell(array.as_primitive::<UInt64Type>().clone()),
            kind if kind.is_unsigned_integer() => Self::Unsigned(
                cast(array, &DataType::UInt64)?
                    .as_primitive::<UInt64Type>()
                    .clone(),
            ),
            kind if kind.is_signed_integer() => Self::Signed(as_signed()?),
            DataType::Float32 | DataType::Float16 => Self::Float32(
                cast(array, &DataType::Float32)?
                    .as_primitive::<Float32Type>()
                    .clone(),
            ),
            DataType::Float64 => Self::Float64(array.as_primitive::<Float64Type>().clone()),
            DataType::Utf8 => Self::Text(array.as_string::<i32>().clone()),
            DataType::LargeUtf8 => Self::LargeText(array.as_string::<i64>().clone()),
            DataType::Utf8View => Self::TextView(array.as_string_view().clone()),
            DataType::Timestamp(unit, Some(_)) => Self::Instant(as_signed()?, *unit),
            DataType::Timestamp(unit, None) => Self::LocalTime(as_signed()?, *unit),
            DataType::Date32 => Self::Day(
                cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?
                    .as_primitive::<Int64Type>()
                    .clone(),
            ),
            DataType::Date64 => Self::Day(
                cast(array, &DataType::Int64)?
                    .as_primitive::<Int64Type>()
                    .unary(|milliseconds| milliseconds.div_euclid(MILLISECONDS_OF_A_DAY)),
            ),
            kind if kind.is_decimal() => Self::Decimal(as_text(array)?),
            DataType::Dictionary(_, values) => {
                let values = field.clone().with_data_type(values.as_ref().clone());
                Self::new(&values, &cast(array, values.data_type())?)?
            }
            DataType::List(item) => {
                let list = array.as_list::<i32>();
                let offsets = list.offsets().iter().map(|offset| *offset as usize).collect();
                Self::list(item, list.values(), list.nulls(), offsets)?
            }
            DataType::LargeList(item) => {
                let list = array.as_list::<i64>();
                let offsets = list.offsets().iter().map(|offset| *offset as usize).collect();
                Self::list(item, list.values(), list.nulls(), offsets)?
            }
            DataType::FixedSizeList(item, length) => {
                let list = array.as_fixed_size_list();
                let offsets = (0..=list.len()).map(|row| row * *length as usize).collect();
                Self::list(item, list.values(), list.nulls(), offsets)?
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns();
                Self::Struct {
                    nulls: array.nulls().cloned(),
                    fields: fields
                        .iter()
                        .zip(columns)
                        .map(|(field, column)| Ok((field.name().clone(), Self::new(field, column)?)))
                        .collect::<Result<_, SqlError>>()?,
                }
            }
            DataType::Map(entry, _) if is_text_map(entry) => {
                let map = array.as_map();
                let values = map.entries().fields().get(1).cloned();
                Self::Map {
                    nulls: map.nulls().cloned(),
                    offsets: map.offsets().iter().map(|offset| *offset as usize).collect(),
                    keys: map.keys().as_string::<i32>().clone(),
                    values: Box::new(Self::new(
                        &values.unwrap_or_else(|| Arc::clone(entry)),
                        map.values(),
                    )?),
                }
            }
            _ => Self::Text(as_text(array)?),
        })
    }

    fn list(
        item: &FieldRef,
        values: &ArrayRef,
        nulls: Option<&NullBuffer>,
        offsets: Vec<usize>,
    ) -> Result<Self, SqlError> {
        Ok(Self::List {
            nulls: nulls.cloned(),
            offsets,
            items: Box::new(Self::new(item, values)?),
        })
    }

    /// Whether the value of `row` is written as NULL.
    pub(super) fn is_null(&self, row: usize) -> bool {
        let is_null = |nulls: &Option<NullBuffer>| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        match self {
            Self::Null => true,
            Self::Boolean(array) => array.is_null(row),
            Self::Cell(array) | Self::Unsigned(array) => array.is_null(row),
            Self::Signed(array) | Self::Instant(array, _) | Self::LocalTime(array, _) | Self::Day(array) => {
                array.is_null(row)
            }
            Self::Float32(array) => array.is_null(row) || !array.value(row).is_finite(),
            Self::Float64(array) => array.is_null(row) || !array.value(row).is_finite(),
            Self::Text(array) | Self::Decimal(array) => array.is_null(row),
            Self::LargeText(array) => array.is_null(row),
            Self::TextView(array) => array.is_null(row),
            Self::List { nulls, .. } | Self::Struct { nulls, .. } | Self::Map { nulls, .. } => is_null(nulls),
        }
    }

    /// Appends the value of `row` as JSON.
    pub(super) fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match self {
            Self::Unsigned(array) if array.value(row) > EXACT_IN_DOUBLE => self.write_quoted(row, out),
            Self::Signed(array) if array.value(row).unsigned_abs() > EXACT_IN_DOUBLE => {
                self.write_quoted(row, out);
            }
            Self::Decimal(array)
                if array.value(row).bytes().filter(u8::is_ascii_digit).count() > DIGITS_IN_DOUBLE =>
            {
                self.write_quoted(row, out);
            }
            Self::Cell(_) | Self::Instant(..) | Self::LocalTime(..) | Self::Day(_) => {
                self.write_quoted(row, out);
            }
            Self::Text(array) => write_text(array.value(row), out),
            Self::LargeText(array) => write_text(array.value(row), out),
            Self::TextView(array) => write_text(array.value(row), out),
            Self::List { offsets, items, .. } => {
                let from = offsets.get(row).copied().unwrap_or(0);
                let to = offsets.get(row + 1).copied().unwrap_or(from);
                out.push(b'[');
                for item in from..to {
                    if item > from {
                        out.push(b',');
                    }
                    items.write_json(item, out);
                }
                out.push(b']');
            }
            Self::Map {
                offsets,
                keys,
                values,
                ..
            } => {
                let from = offsets.get(row).copied().unwrap_or(0);
                let to = offsets.get(row + 1).copied().unwrap_or(from);
                out.push(b'{');
                for entry in from..to {
                    if entry > from {
                        out.push(b',');
                    }
                    write_text(keys.value(entry), out);
                    out.push(b':');
                    values.write_json(entry, out);
                }
                out.push(b'}');
            }
            Self::Struct { fields, .. } => {
                out.push(b'{');
                for (index, (name, column)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_text(name, out);
                    out.push(b':');
                    column.write_json(row, out);
                }
                out.push(b'}');
            }
            _ => self.write_plain(row, out),
        }
    }

    /// Appends the value of `row` as a field of CSV; nothing for NULL.
    pub(super) fn write_csv(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return;
        }
        match self {
            Self::Text(array) => write_csv_text(array.value(row), out),
            Self::LargeText(array) => write_csv_text(array.value(row), out),
            Self::TextView(array) => write_csv_text(array.value(row), out),
            Self::List { .. } | Self::Struct { .. } | Self::Map { .. } => {
                let mut json = Vec::new();
                self.write_json(row, &mut json);
                write_csv_text(&String::from_utf8_lossy(&json), out);
            }
            _ => self.write_plain(row, out),
        }
    }

    fn write_quoted(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        self.write_plain(row, out);
        out.push(b'"');
    }

    /// The value without quotes; none of these needs any escaping.
    fn write_plain(&self, row: usize, out: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let _ = match self {
            Self::Boolean(array) => write!(out, "{}", array.value(row)),
            Self::Cell(array) => match CellIndex::try_from(array.value(row)) {
                Ok(cell) => write!(out, "{cell}"),
                Err(_) => write!(out, "{}", array.value(row)),
            },
            Self::Unsigned(array) => write!(out, "{}", array.value(row)),
            Self::Signed(array) => write!(out, "{}", array.value(row)),
            Self::Float32(array) => {
                serde_json::to_writer(&mut *out, &array.value(row)).map_err(std::io::Error::from)
            }
            Self::Float64(array) => {
                serde_json::to_writer(&mut *out, &array.value(row)).map_err(std::io::Error::from)
            }
            Self::Decimal(array) => out.write_all(array.value(row).as_bytes()),
            Self::Instant(array, unit) | Self::LocalTime(array, unit) => {
                match rfc3339(array.value(row), *unit) {
                    Some(text) if matches!(self, Self::LocalTime(..)) => {
                        out.write_all(text.trim_end_matches('Z').as_bytes())
                    }
                    Some(text) => out.write_all(text.as_bytes()),
                    None => write!(out, "{}", array.value(row)),
                }
            }
            Self::Day(array) => {
                let day = TimeDelta::try_days(array.value(row))
                    .and_then(|days| NaiveDate::default().checked_add_signed(days));
                match day {
                    Some(day) => write!(out, "{day}"),
                    None => write!(out, "{}", array.value(row)),
                }
            }
            _ => Ok(()),
        };
    }
}

/// RFC 3339 with `Z`, and as many digits of seconds as there are; `None` outside of chrono's years.
fn rfc3339(value: i64, unit: TimeUnit) -> Option<String> {
    let time = match unit {
        TimeUnit::Second => DateTime::from_timestamp(value, 0),
        TimeUnit::Millisecond => DateTime::from_timestamp_millis(value),
        TimeUnit::Microsecond => DateTime::from_timestamp_micros(value),
        TimeUnit::Nanosecond => Some(DateTime::from_timestamp_nanos(value)),
    }?;
    Some(words::rfc3339(time))
}

/// Whether the entries of a map have texts as keys.
fn is_text_map(entry: &FieldRef) -> bool {
    matches!(entry.data_type(), DataType::Struct(fields) if fields.first().is_some_and(|key| key.data_type() == &DataType::Utf8))
}

/// Every value as Arrow displays it.
fn as_text(array: &ArrayRef) -> Result<StringArray, SqlError> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options)?;
    let texts = (0..array.len()).map(|row| array.is_valid(row).then(|| formatter.value(row).to_string()));
    Ok(texts.collect())
}

/// Geometries as well-known text; what is none in hexadecimal.
fn geometry_texts(array: &ArrayRef) -> Result<StringArray, SqlError> {
    let array = cast(array, &DataType::Binary)?;
    let text = |bytes: &[u8]| {
        let mut text = String::new();
        if !push_text(bytes, &mut text) {
            for byte in bytes {
                let _ = write!(text, "{byte:02x}");
            }
        }
        text
    };
    Ok(array
        .as_binary::<i32>()
        .iter()
        .map(|bytes| bytes.map(text))
        .collect())
}

/// Appends a JSON string.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    // Writing a string to a Vec cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Appends a text as a field of CSV.
pub(super) fn write_csv_text(text: &str, out: &mut Vec<u8>) {
    let quoted = text.is_empty()
        || text
            .bytes()
            .any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
    if !quoted {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
