//! Manifests and claims: which files make a checkpoint, and whose partition it is.

use std::fmt::Write as _;
use std::io;

use serde::{Deserialize, Serialize};

use super::files::Files;
use super::{CheckpointError, FORMAT};
use crate::words::PartitionId;

/// How the names of manifests end.
pub(super) const MANIFEST: &str = ".manifest.json";
/// How the names of claims end.
pub(super) const CLAIM: &str = "-claim.json";

/// A file that a manifest names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ManifestFile {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// XXH3-128, hexadecimal.
    pub(super) hash: String,
}

/// What changed until a generation, since that of the step before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) generation: u64,
    /// In the order in which they were written.
    pub(super) files: Vec<ManifestFile>,
}

impl Step {
    /// Bytes of its files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The steps that make one checkpoint of a partition, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    pub(super) epoch: u64,
    pub(super) number: u64,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) next_offset: i64,
    pub(super) steps: Vec<Step>,
}

impl Manifest {
    pub(super) fn file_name(&self) -> String {
        format!("{:08}-{:012}{MANIFEST}", self.epoch, self.number)
    }

    /// The name of a file of its newest step.
    pub(super) fn state_name(&self, file: usize) -> String {
        format!("{:08}-{:012}-{file:06}.state", self.epoch, self.number)
    }

    /// Its files, oldest first.
    pub(super) fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        self.steps.iter().flat_map(|step| &step.files)
    }

    /// Whether a file is one of its own.
    pub(super) fn names(&self, name: &str) -> bool {
        self.files().any(|file| file.name == name)
    }
}

/// Who has a partition from an epoch on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claim {
    /// The node's own id.
    pub(super) owner: String,
    /// A number of the process, so that no two processes write the same bytes, not even two that were made by copying one
    /// node: whose claim is there is told by them.
    #[serde(default)]
    writer: u64,
}

impl Claim {
    /// The claims of this process.
    pub(super) fn of(owner: &str) -> io::Result<Self> {
        let mut writer = [0; 8];
        getrandom::fill(&mut writer).map_err(io::Error::other)?;
        Ok(Self {
            owner: owner.to_owned(),
            writer: u64::from_ne_bytes(writer),
        })
    }

    pub(super) fn file_name(epoch: u64) -> String {
        format!("{epoch:08}{CLAIM}")
    }
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

/// Whether a folder is of a partition that no two nodes share.
pub(super) fn is_of_one_node(folder: &str) -> bool {
    let topic = folder.rsplit_once('@').map_or(folder, |(topic, _)| topic);
    let [journal, file] = [PartitionId::of_journal(), PartitionId::of_file("")];
    topic == topic_name(&journal.topic) || topic.starts_with(&topic_name(&file.topic))
}

/// The epoch in a file's name.
pub(super) fn epoch_of(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

/// The highest epoch among files' names; 0 where there is none.
pub(super) fn newest_epoch(names: &[String]) -> u64 {
    names.iter().filter_map(|name| epoch_of(name)).max().unwrap_or(0)
}

/// The newest manifest among files' names.
pub(super) fn newest_manifest(names: &[String]) -> Option<&String> {
    names.iter().rfind(|name| name.ends_with(MANIFEST))
}

pub(super) fn hash_of(bytes: &[u8]) -> String {
    format!("{:032x}", twox_hash::XxHash3_128::oneshot(bytes))
}

/// All manifests of a folder that can be read, newest first; a damaged one is skipped, one of another format is an error.
pub(super) fn read_manifests(
    files: &Files,
    folder: &str,
    names: &[String],
) -> Result<Vec<Manifest>, CheckpointError> {
    let mut manifests = Vec::new();
    for name in names.iter().filter(|name| name.ends_with(MANIFEST)) {
        let path = files.place_of(folder, name);
        let bytes = match files.read(folder, name) {
            Ok(bytes) => bytes,
            // Removed meanwhile by the node that has the partition now.
            Err(CheckpointError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&bytes)
            && let Some(found) = value.get("format").and_then(serde_json::Value::as_u64)
            && found != u64::from(FORMAT)
        {
            return Err(CheckpointError::Format {
                place: path,
                found: found as u32,
            });
        }
        match serde_json::from_slice::<Manifest>(&bytes) {
            Ok(manifest) if *name == manifest.file_name() => manifests.push(manifest),
            Ok(_) => {
                tracing::warn!(
                    path,
                    "a checkpoint manifest is damaged: it names another; an older one is used"
                );
            }
            Err(error) => {
                tracing::warn!(path, %error, "a checkpoint manifest is damaged; an older one is used");
            }
        }
    }
    manifests.sort_by_key(|manifest| std::cmp::Reverse((manifest.epoch, manifest.number)));
    Ok(manifests)
}
