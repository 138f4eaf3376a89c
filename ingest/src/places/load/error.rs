//! What can be wrong with a reference layer.

use std::io;
use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::row::RowNumber;
use crate::globe::InvalidShape;
use crate::globe::wkb::InvalidGeometry;
use crate::places::{SameFacilityId, SameId};

/// Why a reference layer cannot be used: which table and file, which feature or row, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{table}: {}{}: {problem}", file.display(), row.map(|row| format!(", {row}")).unwrap_or_default())]
pub struct PlaceError {
    /// `areas`, `facilities`, `population` or `risk.susceptibility`.
    pub table: &'static str,
    /// As it is written in the configuration.
    pub file: PathBuf,
    /// Which feature, line or row.
    row: Option<RowNumber>,
    /// What is wrong.
    #[source]
    pub problem: Box<PlaceProblem>,
}

/// What is wrong with a table, its file or one of its rows.
#[derive(Debug, thiserror::Error)]
pub enum PlaceProblem {
    /// It is not as it must be: says how, and what to do.
    #[error("{0}")]
    Rule(String),
    /// The file cannot be opened or read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is no CSV.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// It is no Parquet file.
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    /// Rows of it cannot be read.
    #[error(transparent)]
    Rows(#[from] ArrowError),
    /// It is no GeoJSON.
    #[error("it is not GeoJSON: {0}")]
    GeoJson(#[source] serde_json::Error),
    /// A feature of it is none.
    #[error("{0}")]
    Feature(#[source] serde_json::Error),
    /// What a Parquet file says of its geometries is no JSON.
    #[error("its `geo` metadata is not JSON: {0}")]
    GeoMetadata(#[source] serde_json::Error),
    /// A geometry of GeoJSON is none.
    #[error("its geometry cannot be read: {0}")]
    Geometry(#[source] serde_json::Error),
    /// A geometry in bytes is none.
    #[error("its geometry is not WKB: {0}")]
    WellKnownBinary(#[source] InvalidGeometry),
    /// A geometry in text is none.
    #[error(
        "`{shown}` is not well-known text ({}); it looks like POLYGON((113.9 22.5, 114 22.5, 114 22.6, 113.9 22.5))",
        reason(.error)
    )]
    WellKnownText {
        /// How the text begins.
        shown: String,
        /// Why it is none.
        #[source]
        error: InvalidGeometry,
    },
    /// Its polygons cannot be.
    #[error(transparent)]
    Shape(#[from] InvalidShape),
    /// Two areas have one id.
    #[error(transparent)]
    SameArea(#[from] SameId),
    /// Two facilities have one id.
    #[error(transparent)]
    SameFacility(#[from] SameFacilityId),
    /// Something of the place with this name.
    #[error("`{name}`: {problem}")]
    Of {
        /// Its name.
        name: String,
        /// What.
        #[source]
        problem: Box<PlaceProblem>,
    },
}

fn reason(error: &InvalidGeometry) -> String {
    match error {
        InvalidGeometry::NotText(reason) => (*reason).to_owned(),
        other => other.to_string(),
    }
}

impl PlaceProblem {
    /// Of the place that has this name.
    pub(super) fn of(self, name: &str) -> Self {
        Self::Of {
            name: name.to_owned(),
            problem: Box::new(self),
        }
    }
}

impl From<String> for PlaceProblem {
    fn from(rule: String) -> Self {
        Self::Rule(rule)
    }
}

impl From<&str> for PlaceProblem {
    fn from(rule: &str) -> Self {
        Self::Rule(rule.to_owned())
    }
}

/// What is wrong with a file, and where in it.
#[derive(Debug)]
pub(super) struct FileProblem {
    pub(super) row: Option<RowNumber>,
    pub(super) problem: PlaceProblem,
}

impl FileProblem {
    pub(super) const fn at(row: RowNumber, problem: PlaceProblem) -> Self {
        Self {
            row: Some(row),
            problem,
        }
    }

    pub(super) fn of(self, table: &'static str, file: &Path) -> PlaceError {
        PlaceError {
            table,
            file: file.to_owned(),
            row: self.row,
            problem: Box::new(self.problem),
        }
    }
}

impl<T: Into<PlaceProblem>> From<T> for FileProblem {
    fn from(problem: T) -> Self {
        Self {
            row: None,
            problem: problem.into(),
        }
    }
}
