//! The files of checkpoints on a local disk: written whole, synced, and found again after any crash.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::state::{PartitionState, StateError};
use crate::grid::{GridSettings, Partition, PartitionId};
use crate::layer::LayerTable;

/// The version of the files' format. A file of another is refused, never overwritten.
const FORMAT: u32 = 1;
/// A chain longer than this is written anew as one file.
const LONGEST_CHAIN: usize = 24;
/// Manifests kept beside the newest, with their files.
const OLD_MANIFESTS: usize = 2;

/// Why checkpoints cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system refused.
    #[error("{action} {path}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Written by another version of riskgrid.
    #[error(
        "{path} has checkpoint format {found}, this riskgrid reads format {FORMAT}; start the version that wrote it, or use another storage.data_dir"
    )]
    Format {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Manifests are there, but none is whole.
    #[error(
        "no checkpoint in {folder} is whole; restore it from a backup, or remove the folder to read the log again from its beginning"
    )]
    NoneWhole {
        /// The partition's folder.
        folder: PathBuf,
    },
    /// The newest whole checkpoint cannot be used.
    #[error("the checkpoint in {folder}: {error}")]
    State {
        /// The partition's folder.
        folder: PathBuf,
        /// Why.
        #[source]
        error: StateError,
    },
    /// The state could not be put into bytes.
    #[error("the checkpoint could not be encoded: {0}")]
    Encode(#[from] postcard::Error),
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |error| CheckpointError::Io { action, path, error }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct ManifestFile {
    name: String,
    bytes: u64,
    /// XXH3-128, hexadecimal.
    hash: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    epoch: u64,
    number: u64,
    topic: String,
    partition: i32,
    next_offset: i64,
    files: Vec<ManifestFile>,
}

/// The checkpoints of all partitions, below one folder.
#[derive(Debug)]
pub struct CheckpointStore {
    folder: PathBuf,
    epoch: u64,
    newest: HashMap<PartitionId, Manifest>,
}

/// A partition as it was at its newest whole checkpoint.
pub(crate) struct Restored {
    pub(crate) partition: Partition,
    pub(crate) rules: Vec<u8>,
}

impl CheckpointStore {
    /// Opens the folder, made when absent.
    pub fn open(folder: &Path) -> Result<Self, CheckpointError> {
        fs::create_dir_all(folder).map_err(io_error("making folder", folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            epoch: 0,
            newest: HashMap::new(),
        })
    }

    /// Reads the newest whole checkpoint of each partition, and starts a new epoch above all that are there.
    pub(crate) fn load(
        &mut self,
        settings: GridSettings,
        layers: &LayerTable,
    ) -> Result<Vec<Restored>, CheckpointError> {
        let mut restored = Vec::new();
        for folder in list(&self.folder)? {
            if !folder.is_dir() {
                continue;
            }
            // A kill may have left a file of an epoch that no manifest names yet; its name is taken all the same.
            self.epoch = self.epoch.max(highest_epoch(&folder)?);
            let mut manifests = read_manifests(&folder)?;
            if manifests.is_empty() {
                continue;
            }
            manifests.sort_by_key(|manifest| std::cmp::Reverse((manifest.epoch, manifest.number)));
            let whole = manifests
                .into_iter()
                .find_map(|manifest| Some((read_chain(&folder, &manifest)?, manifest)));
            let Some((chain, manifest)) = whole else {
                return Err(CheckpointError::NoneWhole { folder });
            };
            let state =
                PartitionState::restore(chain, settings, layers).map_err(|error| CheckpointError::State {
                    folder: folder.clone(),
                    error,
                })?;
            if let Some((partition, rules)) = state {
                self.newest.insert(partition.id().clone(), manifest);
                restored.push(Restored { partition, rules });
            }
        }
        self.epoch += 1;
        Ok(restored)
    }

    /// Writes a checkpoint of `partition`; when this returns it is durable.
    ///
    /// # Errors
    /// Then the last whole checkpoint stays the newest, and the next call writes what this one would have.
    pub(crate) fn save(
        &mut self,
        partition: &mut Partition,
        layers: &LayerTable,
        rules: Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let folder = self.folder.join(folder_name(partition.id()));
        if !folder.is_dir() {
            fs::create_dir_all(&folder).map_err(io_error("making folder", &folder))?;
            sync_folder(&self.folder)?;
        }
        let previous = self.newest.get(partition.id());
        // A chain of an older epoch is continued: its files are whole, and names carry the epoch.
        let mut files = previous
            .map(|manifest| manifest.files.clone())
            .unwrap_or_default();
        let all = files.is_empty() || files.len() >= LONGEST_CHAIN || grew_past_its_base(&files);
        if all {
            files.clear();
        }
        let number = previous.map_or(0, |manifest| manifest.number) + 1;
        let state = PartitionState::of(partition, layers, all, rules);
        let bytes = postcard::to_stdvec(&state)?;
        let name = format!("{:08}-{number:012}.state", self.epoch);
        write_new(&folder, &name, &bytes)?;
        files.push(ManifestFile {
            name,
            bytes: bytes.len() as u64,
            hash: hash_of(&bytes),
        });
        let manifest = Manifest {
            format: FORMAT,
            epoch: self.epoch,
            number,
            topic: partition.id().topic.to_string(),
            partition: partition.id().partition,
            next_offset: partition.next_offset(),
            files,
        };
        let json = serde_json::to_vec_pretty(&manifest).map_err(|error| CheckpointError::Io {
            action: "encoding the manifest of",
            path: folder.clone(),
            error: error.into(),
        })?;
        write_new(
            &folder,
            &format!("{:08}-{number:012}.manifest.json", self.epoch),
            &json,
        )?;
        sync_folder(&folder)?;
        partition.mark_saved();
        self.newest.insert(partition.id().clone(), manifest);
        remove_old(&folder);
        Ok(())
    }
}

/// Deltas that together are twice as large as the base cost more at start than a new base costs now.
fn grew_past_its_base(files: &[ManifestFile]) -> bool {
    let base = files.first().map_or(0, |file| file.bytes);
    files.iter().skip(1).map(|file| file.bytes).sum::<u64>() > 2 * base.max(1 << 20)
}

/// A topic as a folder name: letters, digits, `.`, `_` and `-` as they are, others by their bytes.
fn folder_name(id: &PartitionId) -> String {
    let mut name = String::new();
    for byte in id.topic.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            name.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(name, "%{byte:02x}");
        }
    }
    format!("{name}@{}", id.partition)
}

fn hash_of(bytes: &[u8]) -> String {
    format!("{:032x}", twox_hash::XxHash3_128::oneshot(bytes))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let entries = fs::read_dir(folder).map_err(io_error("reading folder", folder))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(io_error("reading folder", folder))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The highest epoch that any file's name begins with.
fn highest_epoch(folder: &Path) -> Result<u64, CheckpointError> {
    let epochs = list(folder)?.into_iter().filter_map(|path| {
        let (epoch, _) = path.file_name()?.to_str()?.split_once('-')?;
        epoch.parse().ok()
    });
    Ok(epochs.max().unwrap_or(0))
}

/// All manifests that can be read; a torn one is skipped, one of another format is an error.
fn read_manifests(folder: &Path) -> Result<Vec<Manifest>, CheckpointError> {
    let mut manifests = Vec::new();
    for path in list(folder)? {
        if !path.to_string_lossy().ends_with(".manifest.json") {
            continue;
        }
        let bytes = fs::read(&path).map_err(io_error("reading", &path))?;
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&bytes)
            && let Some(found) = value.get("format").and_then(serde_json::Value::as_u64)
            && found != u64::from(FORMAT)
        {
            return Err(CheckpointError::Format {
                path,
                found: found as u32,
            });
        }
        match serde_json::from_slice::<Manifest>(&bytes) {
            Ok(manifest) => manifests.push(manifest),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a checkpoint manifest is torn; an older one is used");
            }
        }
    }
    Ok(manifests)
}

/// The files of a manifest; `None` when one is missing, torn or damaged.
fn read_chain(folder: &Path, manifest: &Manifest) -> Option<Vec<PartitionState>> {
    let mut chain = Vec::with_capacity(manifest.files.len());
    for file in &manifest.files {
        let path = folder.join(&file.name);
        let problem = match fs::read(&path) {
            Err(error) => error.to_string(),
            Ok(bytes) if bytes.len() as u64 != file.bytes || hash_of(&bytes) != file.hash => {
                "its size or hash is not that of the manifest".to_owned()
            }
            Ok(bytes) => match postcard::from_bytes::<PartitionState>(&bytes) {
                Ok(state) => {
                    chain.push(state);
                    continue;
                }
                Err(error) => error.to_string(),
            },
        };
        tracing::warn!(path = %path.display(), problem, "a checkpoint file is not whole; an older checkpoint is used");
        return None;
    }
    Some(chain)
}

/// Writes a file that must not exist yet, and syncs it.
fn write_new(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), CheckpointError> {
    let path = folder.join(name);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    written.map_err(|error| {
        // A torn file is in nobody's manifest; it must only not stand in the way of the next try.
        let _ = fs::remove_file(&path);
        io_error("writing", &path)(error)
    })
}

fn sync_folder(folder: &Path) -> Result<(), CheckpointError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error("syncing", folder))
}

/// Removes all manifests but the newest few, and the files that none of those names. What cannot be removed now is
/// found again the next time.
fn remove_old(folder: &Path) {
    let Ok(mut manifests) = read_manifests(folder) else {
        return;
    };
    manifests.sort_by_key(|manifest| std::cmp::Reverse((manifest.epoch, manifest.number)));
    manifests.truncate(1 + OLD_MANIFESTS);
    let kept = |name: &str| {
        manifests.iter().any(|manifest| {
            name == format!("{:08}-{:012}.manifest.json", manifest.epoch, manifest.number)
                || manifest.files.iter().any(|file| file.name == name)
        })
    };
    for path in list(folder).unwrap_or_default() {
        if path
            .file_name()
            .is_some_and(|name| !kept(&name.to_string_lossy()))
        {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_no_manifest_names_does_not_stand_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "00000004-000000000060.state",
            "00000004-000000000060.manifest.json",
            "00000005-000000000061.state",
            "notes.txt",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(highest_epoch(folder.path()).unwrap(), 5);
    }
}
