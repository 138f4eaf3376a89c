//! The four roles that read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an identity may do. Each later one may do what those before it may, but for scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads what was published, nothing else.
    Public,
    /// Asks within its scope.
    Analyst,
    /// Works with rules and alerts within its scope, and sees response units.
    Operator,
    /// Everything; has no scope.
    Admin,
}

/// A word that is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; roles are public, analyst, operator, admin")]
pub struct NoSuchRole(String);

impl Role {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::Public, Self::Analyst, Self::Operator, Self::Admin];

    /// Its word in keys, configuration and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Analyst => "analyst",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Whether a scope means something to it: what is public is the same for everybody, and an admin sees all.
    pub const fn has_scope(self) -> bool {
        matches!(self, Self::Analyst | Self::Operator)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = NoSuchRole;

    fn from_str(text: &str) -> Result<Self, NoSuchRole> {
        let known = Self::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| NoSuchRole(text.chars().take(64).collect()))
    }
}
