//! `st_extent(geometry)`: the least box around all geometries of a group.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use geo::{BoundingRect as _, MultiPoint, Point, Rect};

use super::envelopes::envelope;
use crate::geometry::{GeometryValues, geometry_field, write};
use crate::sql::SqlError;

/// The function. NULL, invalid and empty geometries do not count; a group without others has NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct Extent {
    signature: Signature,
}

impl Default for Extent {
    fn default() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for Extent {
    fn name(&self) -> &'static str {
        "st_extent"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [given] if given.is_string() => Ok(vec![DataType::Utf8]),
            [given] if given.is_binary() || given.is_null() => Ok(vec![DataType::Binary]),
            _ => Err(SqlError::BadRequest(
                "st_extent(geometry) takes one geometry (WKB, or a text such as 'POINT(113.93 22.53)')"
                    .to_owned(),
            )
            .into()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn return_field(&self, _: &[FieldRef]) -> Result<FieldRef> {
        Ok(FieldRef::new(geometry_field(self.name(), true)))
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Bounds(None)))
    }
}

#[derive(Debug)]
struct Bounds(Option<Rect>);

impl Bounds {
    fn add(&mut self, other: Rect) {
        let Some(known) = self.0 else {
            self.0 = Some(other);
            return;
        };
        let corners: MultiPoint = [known.min(), known.max(), other.min(), other.max()]
            .map(Point::from)
            .to_vec()
            .into();
        self.0 = corners.bounding_rect();
    }
}

impl Accumulator for Bounds {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for array in values {
            let values = GeometryValues::new(array)?;
            let bounds = (0..array.len()).filter_map(|row| values.get(row)?.bounding_rect());
            bounds.for_each(|bounds| self.add(bounds));
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    /// The box as a geometry.
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Binary(self.0.map(|bounds| write(&envelope(bounds)))))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

#[cfg(test)]
mod tests {
    use geo::{Coord, Geometry};

    use super::*;

    #[test]
    fn a_box_grows_to_hold_what_is_added() {
        let rect = |x: f64, y: f64| {
            Rect::new(
                Coord { x, y },
                Coord {
                    x: x + 1.0,
                    y: y + 1.0,
                },
            )
        };
        let mut bounds = Bounds(None);
        for (x, y) in [(3.0, 0.0), (-2.0, 5.0), (0.0, 1.0)] {
            bounds.add(rect(x, y));
        }
        assert_eq!(
            bounds.0,
            Some(Rect::new(Coord { x: -2.0, y: 0.0 }, Coord { x: 4.0, y: 6.0 }))
        );
        assert!(matches!(envelope(rect(0.0, 0.0)), Geometry::Polygon(_)));
    }
}
