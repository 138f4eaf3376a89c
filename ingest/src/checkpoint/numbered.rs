//! A log of small files beside the checkpoints: each made once, by one of all nodes, under the next number.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{CheckpointError, Files};

/// Why such files cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum NumberedError {
    /// The storage refused.
    #[error(transparent)]
    Storage(#[from] CheckpointError),
    /// A file is not what was written.
    #[error("{place}: {problem}")]
    Contents {
        /// The file.
        place: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
}

/// Numbers have no gaps; who finds the next one taken reads it first.
#[derive(Debug)]
pub struct NumberedFiles {
    files: Files,
    folder: &'static str,
    stem: &'static str,
    format: u32,
    /// How many were read.
    read: usize,
}

impl NumberedFiles {
    /// The files of `folder` called `stem-00000001.json` and so on; none is read yet.
    pub const fn new(files: Files, folder: &'static str, stem: &'static str, format: u32) -> Self {
        Self {
            files,
            folder,
            stem,
            format,
            read: 0,
        }
    }

    fn name(&self, number: usize) -> String {
        format!("{}-{number:08}.json", self.stem)
    }

    /// Whether a file's name is one of these.
    pub(crate) fn is_name(&self, name: &str) -> bool {
        name.strip_prefix(self.stem)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_suffix(".json"))
            .is_some()
    }

    /// What was written since the last look, in order.
    ///
    /// # Errors
    /// Files that are damaged, of another format, or missing.
    pub fn read_on<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, NumberedError> {
        let mut found = Vec::new();
        let mut names = self.files.names(self.folder)?;
        let mut has_looked_again = false;
        loop {
            let name = self.name(self.read + 1);
            if names.contains(&name) {
                found.push(read(&self.files, self.folder, &name, self.format)?);
                self.read += 1;
                continue;
            }
            let is_last = !names.iter().any(|later| self.is_name(later) && *later > name);
            if is_last {
                return Ok(found);
            }
            if has_looked_again {
                return Err(NumberedError::Contents {
                    place: self.files.place_of(self.folder, &name),
                    problem: "it is missing, and later ones are there; restore it from a backup".to_owned(),
                });
            }
            // Made by another node while the names were read.
            names = self.files.names(self.folder)?;
            has_looked_again = true;
        }
    }

    /// Writes the next one; `false`: another node was faster, and what it wrote is to be read first.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append<T: Serialize>(&mut self, contents: &T) -> Result<bool, NumberedError> {
        let name = self.name(self.read + 1);
        let is_made = create(&self.files, self.folder, &name, (self.format, contents))?;
        self.read += usize::from(is_made);
        Ok(is_made)
    }
}

/// Makes a file of JSON that says its format; `false`: there is one.
pub(crate) fn create<T: Serialize>(
    files: &Files,
    folder: &str,
    name: &str,
    (format, contents): (u32, &T),
) -> Result<bool, NumberedError> {
    let unwritable = |problem: String| NumberedError::Contents {
        place: files.place_of(folder, name),
        problem,
    };
    let mut value = serde_json::to_value(contents).map_err(|error| unwritable(error.to_string()))?;
    let Some(members) = value.as_object_mut() else {
        return Err(unwritable("what is written is no object".to_owned()));
    };
    members.insert("format".to_owned(), format.into());
    let json = serde_json::to_vec_pretty(&value).map_err(|error| unwritable(error.to_string()))?;
    Ok(files.create(folder, name, &json)?)
}

/// Reads such a file.
pub(crate) fn read<T: DeserializeOwned>(
    files: &Files,
    folder: &str,
    name: &str,
    format: u32,
) -> Result<T, NumberedError> {
    let unusable = |problem: String| NumberedError::Contents {
        place: files.place_of(folder, name),
        problem,
    };
    let bytes = files.read(folder, name)?;
    let damaged = |error: serde_json::Error| unusable(format!("{error}; restore it from a backup"));
    let value: Value = serde_json::from_slice(&bytes).map_err(damaged)?;
    match value.get("format").and_then(Value::as_u64) {
        Some(found) if found != u64::from(format) => Err(unusable(format!(
            "format {found}, this riskgrid reads {format}; start the version that wrote it"
        ))),
        _ => serde_json::from_value(value).map_err(damaged),
    }
}
