//! What a person, or the system, is to a case.

use serde::{Deserialize, Serialize};

/// What somebody may do to cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// Speaks with callers.
    Operator,
    /// Gives cases to offices.
    Dispatcher,
    /// Works in the case's office.
    Handler,
    /// Looks at what offices replied.
    Reviewer,
    /// May make all moves of people.
    Supervisor,
    /// Who reported it.
    Caller,
    /// The program itself.
    System,
}

impl Duty {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Operator,
        Self::Dispatcher,
        Self::Handler,
        Self::Reviewer,
        Self::Supervisor,
        Self::Caller,
        Self::System,
    ];

    /// The name in keys, in token claims and in the rows of moves.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Dispatcher => "dispatcher",
            Self::Handler => "handler",
            Self::Reviewer => "reviewer",
            Self::Supervisor => "supervisor",
            Self::Caller => "caller",
            Self::System => "system",
        }
    }

    /// The duty of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|duty| duty.as_str() == name)
    }

    /// It can be given to a person by a key, a claim or a certificate; the two others follow from what is done.
    pub const fn is_of_staff(self) -> bool {
        !matches!(self, Self::Caller | Self::System)
    }
}
