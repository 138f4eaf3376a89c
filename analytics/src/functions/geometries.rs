//! Reads arguments that are geometries, row by row, and writes columns of them.
//!
//! As with other arguments, a constant that is none is an error, a value of a column that is none is NULL.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BinaryBuilder, BooleanArray, Float64Array};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ColumnarValue;
use geo::Geometry;

use super::row_values::Arguments;
use crate::geometry::{GeometryValues, InvalidGeometry, push_text, read, wkb_of_text, write};
use crate::sql::SqlError;

/// Bytes of one geometry that a function makes.
const BYTES_OF_ROW: usize = 8 << 20;
/// Bytes of all geometries that it makes for a batch of rows.
const BYTES_OF_BATCH: usize = 64 << 20;
/// Characters of a constant that an error shows.
const SHOWN: usize = 60;

/// Geometries from WKB or texts.
pub(super) enum Geometries {
    /// Also as WKB, which keeps heights and measures.
    Constant(Option<(Geometry, Vec<u8>)>),
    Column(GeometryValues),
}

impl Arguments<'_> {
    pub(super) fn geometries(&self, index: usize) -> Result<Geometries, SqlError> {
        let constant = |shown: &dyn Fn() -> String, read: Result<(Geometry, Vec<u8>), InvalidGeometry>| {
            read.map(|read| Geometries::Constant(Some(read)))
                .map_err(|reason| {
                    SqlError::BadRequest(format!(
                        "{}: '{}' is no geometry: {reason}; one looks like 'POINT(113.93 22.53)'",
                        self.function,
                        cut(&shown())
                    ))
                })
        };
        match self.value(index)? {
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(text))) => constant(&|| text.clone(), of_text(text)),
            ColumnarValue::Scalar(ScalarValue::Binary(Some(bytes))) => constant(
                &|| {
                    bytes.iter().fold(String::new(), |mut text, byte| {
                        let _ = write!(text, "{byte:02x}");
                        text
                    })
                },
                read(bytes).map(|geometry| (geometry, bytes.clone())),
            ),
            ColumnarValue::Scalar(_) => Ok(Geometries::Constant(None)),
            ColumnarValue::Array(array) => Ok(Geometries::Column(GeometryValues::new(array)?)),
        }
    }

    /// The refusal of a constant geometry, given as WKB, for the argument `name`.
    pub(super) fn refused(&self, name: &str, geometry: &[u8], allowed: &str) -> SqlError {
        let mut text = String::new();
        push_text(geometry, &mut text);
        SqlError::BadRequest(format!(
            "{}: {name} is '{}', allowed is {allowed}",
            self.function,
            cut(&text)
        ))
    }

    /// The answer for each row from its geometry; a reason why there is none is an error if all arguments are constants.
    pub(super) fn for_each<T>(
        &self,
        answer: impl Fn(&Geometry) -> Result<Option<T>, String>,
    ) -> Result<Vec<Option<T>>, SqlError> {
        let geometries = self.geometries(0)?;
        let one = |row| match geometries.get(row) {
            Some(geometry) => answer(&geometry).or_else(|reason| self.no_answer(|| reason)),
            None => Ok(None),
        };
        (0..self.rows).map(one).collect()
    }

    /// The same from the geometries of the first two arguments.
    pub(super) fn for_each_pair<T>(
        &self,
        answer: impl Fn(usize, &Geometry, &Geometry) -> Result<Option<T>, String>,
    ) -> Result<Vec<Option<T>>, SqlError> {
        let (left, right) = (self.geometries(0)?, self.geometries(1)?);
        let one = |row| match (left.get(row), right.get(row)) {
            (Some(left), Some(right)) => {
                answer(row, &left, &right).or_else(|reason| self.no_answer(|| reason))
            }
            _ => Ok(None),
        };
        (0..self.rows).map(one).collect()
    }

    /// A column of geometries.
    ///
    /// # Errors
    /// [`SqlError::ResourcesExhausted`] if one, or all of the batch, are too large.
    pub(super) fn geometry_column(
        &self,
        geometries: impl IntoIterator<Item = Option<Geometry>>,
    ) -> Result<ArrayRef, SqlError> {
        let mut column = BinaryBuilder::new();
        let mut total = 0;
        for geometry in geometries {
            let bytes = geometry.as_ref().map(write);
            let length = bytes.as_ref().map_or(0, Vec::len);
            total += length;
            self.check_size(length, total)?;
            column.append_option(bytes);
        }
        Ok(Arc::new(column.finish()))
    }

    /// # Errors
    /// [`SqlError::ResourcesExhausted`] if one value, or all of a batch, take more bytes than they may.
    pub(super) fn check_size(&self, of_row: usize, of_batch: usize) -> Result<(), SqlError> {
        let (made, allowed, place) = if of_row > BYTES_OF_ROW {
            (of_row, BYTES_OF_ROW, "one geometry")
        } else if of_batch > BYTES_OF_BATCH {
            (of_batch, BYTES_OF_BATCH, "one batch of rows")
        } else {
            return Ok(());
        };
        Err(SqlError::ResourcesExhausted(format!(
            "{} would make {made} bytes for {place}, allowed are {allowed}; simplify its argument or use fewer rows",
            self.function
        )))
    }
}

/// The beginning of a value, for an error.
fn cut(shown: &str) -> String {
    let mut cut: String = shown.chars().take(SHOWN).collect();
    if cut.len() < shown.len() {
        cut.push('…');
    }
    cut
}

fn of_text(text: &str) -> Result<(Geometry, Vec<u8>), InvalidGeometry> {
    let bytes = wkb_of_text(text)?;
    Ok((read(&bytes)?, bytes))
}

impl Geometries {
    pub(super) fn get(&self, row: usize) -> Option<Cow<'_, Geometry>> {
        match self {
            Self::Constant(constant) => constant.as_ref().map(|(geometry, _)| Cow::Borrowed(geometry)),
            Self::Column(values) => values.get(row).map(Cow::Owned),
        }
    }

    /// The geometry as bytes that are known to be one.
    pub(super) fn wkb(&self, row: usize) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Constant(constant) => constant
                .as_ref()
                .map(|(_, bytes)| Cow::Borrowed(bytes.as_slice())),
            Self::Column(values) => values.wkb(row),
        }
    }
}

/// A column of numbers; one that is none is NULL.
pub(super) fn number_column(numbers: Vec<Option<f64>>) -> ArrayRef {
    let finite = numbers
        .into_iter()
        .map(|number| number.filter(|number| number.is_finite()));
    Arc::new(finite.collect::<Float64Array>())
}

/// A column of truths.
pub(super) fn truth_column(truths: Vec<Option<bool>>) -> ArrayRef {
    Arc::new(BooleanArray::from(truths))
}
