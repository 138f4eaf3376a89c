//! Opens a file by what its name says it is, and reads its rows.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::{FileProblem, PlaceProblem};
use super::row::Row;
use super::{csv_table, geojson, parquet_table};
use crate::decode::feed::{FieldSpec, IdSettings};
use crate::files::open_plain_or_gzip;

/// Bytes of a file once it is unpacked; a larger one is a mistake, or wants to be simplified.
const MOST_BYTES: u64 = 1 << 30;

/// A file, and what is read of it.
#[derive(Debug)]
pub(super) struct Source<'s> {
    /// Where it is.
    pub(super) file: &'s Path,
    /// Where relative paths start.
    pub(super) folder: &'s Path,
    pub(super) delimiter: char,
    /// The column of well-known text, of CSV.
    pub(super) well_known_text: Option<&'s str>,
    /// The fields that are read, which are columns that a table must have.
    fields: Vec<&'s str>,
}

impl<'s> Source<'s> {
    pub(super) fn new(
        file: &'s Path,
        folder: &'s Path,
        delimiter: char,
        well_known_text: Option<&'s str>,
    ) -> Self {
        Self {
            file,
            folder,
            delimiter,
            well_known_text,
            fields: well_known_text.into_iter().collect(),
        }
    }

    pub(super) fn reads(mut self, specs: impl IntoIterator<Item = Option<&'s FieldSpec>>) -> Self {
        let fields = specs.into_iter().flatten().filter_map(FieldSpec::field);
        self.fields.extend(fields);
        self
    }

    pub(super) fn reads_joined(self, spec: Option<&'s IdSettings>) -> Self {
        match spec {
            Some(IdSettings::Fields(fields)) => self.reads(fields.iter().map(Some)),
            Some(IdSettings::Hash { .. }) | None => self,
        }
    }

    pub(super) fn reads_named(mut self, names: &'s [String]) -> Self {
        self.fields.extend(names.iter().map(String::as_str));
        self
    }

    /// Calls `each` with every row.
    pub(super) fn read(
        &self,
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), PlaceProblem>,
    ) -> Result<(), FileProblem> {
        let path = self.folder.join(self.file);
        let name = self.file.to_string_lossy().to_lowercase();
        let unpacked = name.strip_suffix(".gz").unwrap_or(&name);
        let is = |ending: &str| unpacked.ends_with(ending);
        let text = || -> io::Result<AtMost<_>> {
            Ok(AtMost {
                inner: open_plain_or_gzip(&path)?,
                left: MOST_BYTES,
            })
        };
        if is(".geojson") || is(".json") {
            self.well_known_text_is_for_csv()?;
            let mut bytes = Vec::new();
            text()?.read_to_end(&mut bytes)?;
            geojson::read(&bytes, each)
        } else if is(".csv") {
            let delimiter = match u8::try_from(self.delimiter) {
                Ok(byte) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => byte,
                _ => {
                    return Err(
                        "`delimiter` must be one ASCII character, neither a quote nor a line break".into(),
                    );
                }
            };
            csv_table::read(text()?, delimiter, &self.fields, self.well_known_text, each)
        } else if name.ends_with(".parquet") {
            self.well_known_text_is_for_csv()?;
            parquet_table::read(File::open(&path)?, &self.fields, each)
        } else {
            Err("its name must end in .geojson, .json or .csv, with or without .gz, or in .parquet".into())
        }
    }

    fn well_known_text_is_for_csv(&self) -> Result<(), FileProblem> {
        match self.well_known_text {
            Some(_) => Err("`wkt` is for CSV; this file has geometries of its own: leave it out".into()),
            None => Ok(()),
        }
    }
}

/// A reader that fails beyond so many bytes, so that a small gzip file cannot fill the memory.
struct AtMost<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for AtMost<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            let problem = format!("it has more than {MOST_BYTES} bytes unpacked; simplify it, or split it");
            io::Error::new(io::ErrorKind::FileTooLarge, problem)
        })?;
        Ok(read)
    }
}
