//! What a caller wants.

use serde::{Deserialize, Serialize};

/// The kind of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseKind {
    /// To know something.
    Inquiry,
    /// To have something done.
    Help,
    /// To say what could be better.
    Suggestion,
    /// To say what was done badly.
    Complaint,
    /// To say who breaks a rule.
    TipOff,
    /// Something else.
    Other,
}

impl CaseKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Inquiry,
        Self::Help,
        Self::Suggestion,
        Self::Complaint,
        Self::TipOff,
        Self::Other,
    ];
    /// For messages.
    pub const ALLOWED: &'static str = "inquiry, help, suggestion, complaint, tip_off, other";

    /// The name in requests and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inquiry => "inquiry",
            Self::Help => "help",
            Self::Suggestion => "suggestion",
            Self::Complaint => "complaint",
            Self::TipOff => "tip_off",
            Self::Other => "other",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}
