//! The files of checkpoints on a local disk: written whole, synced, and found again after any crash.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hashbrown::{HashMap, HashSet};
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
/// How the names of manifests end.
pub(super) const MANIFEST: &str = ".manifest.json";

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

impl Manifest {
    fn file_name(&self) -> String {
        format!("{:08}-{:012}{MANIFEST}", self.epoch, self.number)
    }
}

/// The checkpoints of all partitions, below one folder.
#[derive(Debug)]
pub struct CheckpointStore {
    folder: PathBuf,
    epoch: u64,
    newest: HashMap<PartitionId, Manifest>,
    /// Partitions of which a state could not be written: the next one must be whole.
    broken: HashSet<PartitionId>,
    /// The number of the last try, so that what a failed one left behind is in no later one's way.
    tried: HashMap<PartitionId, u64>,
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
            broken: HashSet::new(),
            tried: HashMap::new(),
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
            let names = list(&folder)?;
            // From the names: a file that cannot be read must not be in the way of a new one either.
            let newest_epoch = names.iter().filter_map(|path| epoch_of(path)).max();
            self.epoch = self.epoch.max(newest_epoch.unwrap_or(0));
            if !names.iter().any(|path| is_manifest(path)) {
                // Its first checkpoint was never finished.
                continue;
            }
            let mut manifests = read_manifests(&folder)?;
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

    /// The partitions whose next state may be only what changed since the last one; of all others it must be whole.
    pub(crate) fn continued(&self) -> impl Iterator<Item = &PartitionId> {
        self.newest
            .iter()
            .filter(|(id, manifest)| !self.broken.contains(*id) && is_worth_continuing(&manifest.files))
            .map(|(id, _)| id)
    }

    /// Writes the state of a partition; when this returns it is durable.
    ///
    /// # Errors
    /// Then the last whole checkpoint stays the newest, and the partition is no longer among [`continued`](Self::continued):
    /// what this state held is in no file.
    pub(crate) fn write(&mut self, state: &PartitionState) -> Result<(), CheckpointError> {
        let written = self.write_state(state);
        if written.is_ok() {
            self.broken.remove(state.id());
        } else {
            self.broken.insert(state.id().clone());
        }
        written
    }

    fn write_state(&mut self, state: &PartitionState) -> Result<(), CheckpointError> {
        let id = state.id();
        let folder = self.folder.join(folder_name(id));
        if !folder.is_dir() {
            fs::create_dir_all(&folder).map_err(io_error("making folder", &folder))?;
            sync_folder(&self.folder)?;
        }
        let previous = self.newest.get(id);
        // A chain of an older epoch is continued: its files are whole, and names carry the epoch.
        let mut files = match previous {
            Some(manifest) if !state.is_whole() => manifest.files.clone(),
            _ => Vec::new(),
        };
        let tried = self.tried.get(id).copied().unwrap_or(0);
        let number = previous.map_or(0, |manifest| manifest.number).max(tried) + 1;
        self.tried.insert(id.clone(), number);
        let bytes = postcard::to_stdvec(state)?;
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
            topic: id.topic.to_string(),
            partition: id.partition,
            next_offset: state.next_offset(),
            files,
        };
        let json = serde_json::to_vec_pretty(&manifest).map_err(|error| CheckpointError::Io {
            action: "encoding the manifest of",
            path: folder.clone(),
            error: error.into(),
        })?;
        let written = write_manifest(&folder, &manifest.file_name(), &json);
        if written.is_err() {
            // The manifest may be there already when only the folder could not be synced: it must go first.
            let _ = fs::remove_file(folder.join(manifest.file_name()));
            // In no manifest, and every later try would leave another one on a disk that is full.
            if let Some(file) = manifest.files.last() {
                let _ = fs::remove_file(folder.join(&file.name));
            }
        }
        written?;
        self.newest.insert(id.clone(), manifest);
        remove_old(&folder);
        Ok(())
    }
}

/// Whether a chain of files may grow by one more.
fn is_worth_continuing(files: &[ManifestFile]) -> bool {
    !files.is_empty() && files.len() < LONGEST_CHAIN && !grew_past_its_base(files)
}

/// Deltas that together are twice as large as the base cost more at start than a new base costs now.
fn grew_past_its_base(files: &[ManifestFile]) -> bool {
    let base = files.first().map_or(0, |file| file.bytes);
    files.iter().skip(1).map(|file| file.bytes).sum::<u64>() > 2 * base.max(1 << 20)
}

/// The name of a partition's folder.
pub(crate) fn folder_name(id: &PartitionId) -> String {
    format!("{}@{}", topic_name(&id.topic), id.partition)
}

/// How the names of a topic's folders begin: letters, digits, `.`, `_` and `-` as they are, others by their bytes.
pub(crate) fn topic_name(topic: &str) -> String {
    let mut name = String::new();
    for byte in topic.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            name.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(name, "%{byte:02x}");
        }
    }
    name
}

fn is_manifest(path: &Path) -> bool {
    path.to_string_lossy().ends_with(MANIFEST)
}

/// The epoch in a file's name.
fn epoch_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.split_once('-')?.0.parse().ok()
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

/// All manifests that can be read; a damaged one is skipped, one of another format is an error.
fn read_manifests(folder: &Path) -> Result<Vec<Manifest>, CheckpointError> {
    let mut manifests = Vec::new();
    for path in list(folder)? {
        if !is_manifest(&path) {
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
            Ok(manifest) if path.ends_with(manifest.file_name()) => manifests.push(manifest),
            Ok(_) => {
                tracing::warn!(path = %path.display(), "a checkpoint manifest is damaged: it names another; an older one is used");
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a checkpoint manifest is damaged; an older one is used");
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
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(io_error("making", &path))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // A torn file is in nobody's manifest, and only takes room.
        let _ = fs::remove_file(&path);
        io_error("writing", &path)(error)
    })
}

/// Writes a manifest so that under its own name it is whole at any moment: one that is not is damaged, never torn by a
/// crash.
fn write_manifest(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), CheckpointError> {
    let new = format!("{name}.new");
    write_new(folder, &new, bytes)?;
    let path = folder.join(name);
    fs::rename(folder.join(&new), &path).map_err(io_error("naming", &path))?;
    sync_folder(folder)
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
            name == manifest.file_name() || manifest.files.iter().any(|file| file.name == name)
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
