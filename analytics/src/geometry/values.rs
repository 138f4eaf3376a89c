//! The geometries of an array, whether it holds WKB or well-known text.

use std::borrow::Cow;

use arrow::array::{Array as _, ArrayRef, BinaryArray, StringArray};
use datafusion::common::Result;
use datafusion::common::cast::{as_binary_array, as_string_array};
use geo::Geometry;

use super::{read, wkb_of_text};

/// An array of geometries.
pub(crate) enum GeometryValues {
    Wkb(BinaryArray),
    Texts(StringArray),
}

impl GeometryValues {
    /// # Errors
    /// If the array is neither `Binary` nor `Utf8`.
    pub(crate) fn new(array: &ArrayRef) -> Result<Self> {
        Ok(match as_string_array(array) {
            Ok(texts) => Self::Texts(texts.clone()),
            Err(_) => Self::Wkb(as_binary_array(array)?.clone()),
        })
    }

    /// `None` where there is no geometry or an invalid one.
    pub(crate) fn get(&self, row: usize) -> Option<Geometry> {
        match self {
            Self::Wkb(bytes) if bytes.is_valid(row) => read(bytes.value(row)).ok(),
            Self::Texts(_) => self.wkb(row).and_then(|bytes| read(&bytes).ok()),
            Self::Wkb(_) => None,
        }
    }

    /// The geometry as bytes that are known to be one.
    pub(crate) fn wkb(&self, row: usize) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Wkb(bytes) if bytes.is_valid(row) => {
                let bytes = bytes.value(row);
                read(bytes).ok().map(|_| Cow::Borrowed(bytes))
            }
            Self::Texts(texts) if texts.is_valid(row) => wkb_of_text(texts.value(row)).ok().map(Cow::Owned),
            Self::Wkb(_) | Self::Texts(_) => None,
        }
    }
}
