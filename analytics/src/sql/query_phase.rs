//! How far a query has come: what an error that ends it tells.

use std::fmt;

/// How far a query has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryPhase {
    /// It waits for its turn.
    Queued,
    /// It is planned.
    Planning,
    /// Its rows are made and read.
    Running,
}

impl QueryPhase {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::Running => "running",
        }
    }
}

impl fmt::Display for QueryPhase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
