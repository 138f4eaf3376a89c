//! Where a case stands.

use serde::{Deserialize, Serialize};

/// The state of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has looked at it.
    New,
    /// It is the hotline's to dispatch.
    Accepted,
    /// An office has it and has not started.
    Dispatched,
    /// An office works on it.
    Handling,
    /// The office has said what came of it.
    Replied,
    /// A reviewer agrees; the caller is still to be asked.
    Closed,
    /// The caller was asked, or could not be.
    Finished,
    /// It is part of another case.
    Merged,
    /// The caller took it back.
    Withdrawn,
    /// The hotline does not take it.
    Declined,
}

impl State {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::New,
        Self::Accepted,
        Self::Dispatched,
        Self::Handling,
        Self::Replied,
        Self::Closed,
        Self::Finished,
        Self::Merged,
        Self::Withdrawn,
        Self::Declined,
    ];

    /// The name that clients and tables see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Accepted => "accepted",
            Self::Dispatched => "dispatched",
            Self::Handling => "handling",
            Self::Replied => "replied",
            Self::Closed => "closed",
            Self::Finished => "finished",
            Self::Merged => "merged",
            Self::Withdrawn => "withdrawn",
            Self::Declined => "declined",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// It is an office's turn: `handle` runs or is paused, and the case can be paused.
    pub const fn is_with_an_office(self) -> bool {
        matches!(self, Self::Dispatched | Self::Handling)
    }

    /// Nobody has said yet what came of it, or nobody has agreed: others may be merged into it, and it is a possible duplicate.
    pub const fn is_open(self) -> bool {
        matches!(
            self,
            Self::New | Self::Accepted | Self::Dispatched | Self::Handling | Self::Replied
        )
    }
}
