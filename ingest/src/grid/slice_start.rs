//! Where slices start: a type of its own, so that it is not taken for the time of an event.

use super::calendar::Span;
use crate::words::EventTime;

/// The moment at which a bucket, an hour or a day begins. The first event of a slice lies behind it, so a bound on
/// events must never become a bound on this: the slice in which a layer begins would be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SliceStart(EventTime);

impl SliceStart {
    /// A start, or any other moment that starts are compared with.
    pub const fn at(moment: EventTime) -> Self {
        Self(moment)
    }

    /// Where a span starts.
    pub const fn of(span: Span) -> Self {
        Self(span.start)
    }

    /// As an instant.
    pub const fn moment(self) -> EventTime {
        self.0
    }
}

/// Slices that start within these, both included; none where the first is behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartsWithin {
    /// The earliest start.
    pub first: SliceStart,
    /// The latest start.
    pub last: SliceStart,
}

impl StartsWithin {
    /// Every slice.
    pub const ALL: Self = Self {
        first: SliceStart(EventTime::from_micros(i64::MIN)),
        last: SliceStart(EventTime::from_micros(i64::MAX)),
    };

    /// The starts that both keep.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        }
    }

    /// Whether nothing can start within.
    pub fn is_empty(self) -> bool {
        self.last < self.first
    }

    /// Whether a span starts within.
    pub fn holds(self, span: Span) -> bool {
        self.first <= SliceStart::of(span) && SliceStart::of(span) <= self.last
    }
}
