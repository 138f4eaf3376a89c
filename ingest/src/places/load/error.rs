//! What can be wrong with a reference layer.

use std::path::{Path, PathBuf};

use super::row::RowNumber;

/// Why a reference layer cannot be used: which table and file, which feature or row, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{table}: {}{}: {problem}", file.display(), row.as_ref().map(|row| format!(", {row}")).unwrap_or_default())]
pub struct PlaceError {
    /// `areas`, `facilities` or `population`.
    pub table: &'static str,
    /// As it is written in the configuration.
    pub file: PathBuf,
    /// `feature 3`, `line 7` or `row 7`, from 1.
    pub row: Option<String>,
    /// What is wrong.
    pub problem: String,
}

/// What is wrong with a file, and where in it.
#[derive(Debug, Default)]
pub(super) struct FileProblem {
    pub(super) row: Option<String>,
    pub(super) problem: String,
}

impl FileProblem {
    pub(super) fn at(row: RowNumber, problem: String) -> Self {
        Self {
            row: Some(row.to_string()),
            problem,
        }
    }

    pub(super) fn of(self, table: &'static str, file: &Path) -> PlaceError {
        PlaceError {
            table,
            file: file.to_owned(),
            row: self.row,
            problem: self.problem,
        }
    }
}

impl<T: ToString> From<T> for FileProblem {
    fn from(problem: T) -> Self {
        Self {
            row: None,
            problem: problem.to_string(),
        }
    }
}
