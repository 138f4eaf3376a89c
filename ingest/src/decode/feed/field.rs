//! Where a field of the event comes from, ready to be read: a constant, or a place in the row with its map.

use std::borrow::Cow;

use hashbrown::HashMap;

use crate::words::{Number, Refusal};

/// The fields of one row, by the slot that the compiler gave to each name.
pub(super) trait Fields<'a> {
    /// The text of a field; `None` when it is missing.
    ///
    /// # Errors
    /// `malformed` when a JSON field is a list or an object.
    fn text(&self, slot: usize) -> Result<Option<Cow<'a, str>>, Refusal>;

    /// The number in a field.
    ///
    /// # Errors
    /// `malformed` when a JSON field is none.
    fn number(&self, slot: usize) -> Result<Number<'a>, Refusal>;

    /// Several texts.
    ///
    /// # Errors
    /// `malformed` when a JSON field is an object, or a list of anything but single values.
    fn list(&self, slot: usize) -> Result<Vec<Cow<'a, str>>, Refusal>;
}

/// A text of the event.
#[derive(Debug)]
pub(super) enum TextFrom {
    /// The same in every row.
    Constant(String),
    /// A field of the row.
    Field {
        /// Which.
        slot: usize,
        /// What its values stand for.
        map: Option<HashMap<String, String>>,
        /// What stands in for a missing value, and for one outside the map.
        default: Option<String>,
        /// A value outside the map stays as it is, rather than being missing.
        keep_unmapped: bool,
    },
}

impl TextFrom {
    /// The text in this row.
    pub(super) fn read<'a>(&'a self, row: &impl Fields<'a>) -> Result<Option<Cow<'a, str>>, Refusal> {
        let (slot, map, default, keep_unmapped) = match self {
            Self::Constant(text) => return Ok(Some(Cow::Borrowed(text))),
            Self::Field {
                slot,
                map,
                default,
                keep_unmapped,
            } => (*slot, map, default, *keep_unmapped),
        };
        let written = row.text(slot)?;
        let read = match (map, written) {
            (Some(map), Some(text)) => match map.get(text.as_ref()) {
                Some(meant) => Some(Cow::Borrowed(meant.as_str())),
                None if keep_unmapped && default.is_none() => Some(text),
                None => None,
            },
            (_, written) => written,
        };
        Ok(read.or_else(|| default.as_deref().map(Cow::Borrowed)))
    }

    /// Several texts in this row; a map is not applied to them.
    pub(super) fn read_list<'a>(&'a self, row: &impl Fields<'a>) -> Result<Vec<Cow<'a, str>>, Refusal> {
        match self {
            Self::Field { slot, map: None, .. } => row.list(*slot),
            _ => Ok(self
                .read(row)?
                .map(super::csv_row::split_list)
                .unwrap_or_default()),
        }
    }
}

/// A number of the event.
#[derive(Debug)]
pub(super) enum NumberFrom {
    /// The same in every row.
    Constant(f64),
    /// A field of the row.
    Field {
        /// Which.
        slot: usize,
        /// What its values stand for.
        map: Option<HashMap<String, f64>>,
        /// What stands in for a missing value, and for one outside the map.
        default: Option<f64>,
    },
}

impl NumberFrom {
    /// The number in this row.
    pub(super) fn read<'a>(&'a self, row: &impl Fields<'a>) -> Result<Number<'a>, Refusal> {
        let (slot, map, default) = match self {
            Self::Constant(number) => return Ok(Number::Value(*number)),
            Self::Field { slot, map, default } => (*slot, map, *default),
        };
        let read = match map {
            None => row.number(slot)?,
            Some(map) => row
                .text(slot)?
                .and_then(|text| map.get(text.as_ref()).copied())
                .map_or(Number::Missing, Number::Value),
        };
        Ok(match (read, default) {
            (Number::Missing, Some(default)) => Number::Value(default),
            (read, _) => read,
        })
    }
}
