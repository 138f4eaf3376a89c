//! Why the edge refuses an event: a closed list, in the order in which the reasons are looked for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason of a refusal. The first that applies, in this order, is the one given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum RefusalReason {
    /// More bytes than `edge.max_event`, or a text in it that is longer than its field may be.
    TooLarge,
    /// Not JSON (or CSV), or a field of the wrong JSON type.
    Malformed,
    /// A CloudEvents `type` that riskgrid does not take.
    UnknownType,
    /// A field that this kind of event needs is absent or null.
    MissingField,
    /// Not RFC 3339 with an offset, or a local time that does not exist.
    InvalidTime,
    /// Later than its record by more than the allowed skew, or after the feed's `valid_to`.
    InFuture,
    /// Older than the horizon of its partition, or before the feed's `valid_from`.
    TooLate,
    /// Not a number, out of range, exactly 0,0, a null point, or outside `bounds`.
    InvalidPosition,
    /// A layer of another kind or clock domain, or one too many.
    UnknownLayer,
    /// Not a unit of the table, or one that does not convert to the layer's.
    UnknownUnit,
    /// Not a number, out of range, or a word outside its list.
    InvalidValue,
    /// Reading or applying it failed twice by a defect of riskgrid; never given by the edge, hence the last. It is kept, so
    /// that it can be replayed once the defect is mended.
    Poison,
}

impl RefusalReason {
    /// Every reason, in order.
    pub const ALL: [Self; 12] = [
        Self::TooLarge,
        Self::Malformed,
        Self::UnknownType,
        Self::MissingField,
        Self::InvalidTime,
        Self::InFuture,
        Self::TooLate,
        Self::InvalidPosition,
        Self::UnknownLayer,
        Self::UnknownUnit,
        Self::InvalidValue,
        Self::Poison,
    ];

    /// Its name in tables, answers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::UnknownType => "unknown_type",
            Self::MissingField => "missing_field",
            Self::InvalidTime => "invalid_time",
            Self::InFuture => "in_future",
            Self::TooLate => "too_late",
            Self::InvalidPosition => "invalid_position",
            Self::UnknownLayer => "unknown_layer",
            Self::UnknownUnit => "unknown_unit",
            Self::InvalidValue => "invalid_value",
            Self::Poison => "poison",
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Bytes of the longest detail.
const LONGEST_DETAIL: usize = 1024;

/// One refusal: the reason, and what was wrong in words that help to mend it.
/// The detail never quotes a whole payload, so that no personal data leaves with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refusal {
    /// Why, from the closed list.
    pub reason: RefusalReason,
    /// What was seen and what is allowed.
    pub detail: String,
}

impl Refusal {
    /// A refusal with its detail, of which 1 024 bytes are kept.
    pub fn new(reason: RefusalReason, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        detail.truncate(detail.floor_char_boundary(LONGEST_DETAIL));
        Self { reason, detail }
    }

    /// `MissingField` for the field that messages know as `name`.
    pub fn missing(name: &str) -> Self {
        Self::new(RefusalReason::MissingField, format!("`{name}` is missing"))
    }
}
