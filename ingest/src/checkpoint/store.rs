//! The checkpoints of the partitions that this node has: found after any crash, claimed, and written.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::files::Files;
use super::manifest::{
    CLAIM, Claim, MANIFEST, Manifest, ManifestFile, epoch_of, folder_name, hash_of, read_chain,
    read_manifests,
};
use super::state::PartitionState;
use super::{CheckpointError, FORMAT};
use crate::grid::{GridSettings, Partition, PartitionId};
use crate::layer::LayerTable;

/// A chain longer than this is written anew as one file.
const LONGEST_CHAIN: usize = 24;
/// Manifests kept beside the newest, with their files.
const OLD_MANIFESTS: usize = 2;

/// Where checkpoints lie: those of the journal and of files in a place of the node's own, those of Kafka's partitions in
/// one that it may share with other nodes.
#[derive(Debug)]
pub struct CheckpointStore {
    own: Files,
    shared: Files,
    /// Both are one place.
    is_one_place: bool,
    /// This node, in claims.
    pub(super) node: Claim,
    held: HashMap<PartitionId, Held>,
}

/// A partition of this node.
#[derive(Debug)]
struct Held {
    epoch: u64,
    /// The claim of the epoch is in the folder.
    is_claimed: bool,
    newest: Option<Manifest>,
    /// The manifests that are kept, newest first, once the folder was cleared of all others.
    kept: Option<VecDeque<Manifest>>,
    /// A state could not be written: the next one must be whole.
    is_broken: bool,
    /// The number of the last try, so that what a failed one left behind is in no later one's way.
    tried: u64,
}

impl Held {
    const fn since(epoch: u64, newest: Option<Manifest>) -> Self {
        Self {
            epoch,
            is_claimed: false,
            newest,
            kept: None,
            is_broken: false,
            tried: 0,
        }
    }
}

/// A partition as it was at its newest whole checkpoint.
pub(crate) struct Restored {
    pub(crate) partition: Partition,
    pub(crate) rules: Vec<u8>,
}

/// What came of claiming a partition.
pub(crate) enum Claimed {
    /// This node has it already, and nobody had it since.
    Held,
    /// There is a checkpoint of it.
    Restored(Box<Restored>),
    /// There is none.
    New,
}

impl CheckpointStore {
    /// A store over two places, which may be one. `node` is this node's id among those that share `shared`.
    ///
    /// # Errors
    /// When the system gives no random number.
    pub fn new(own: Files, shared: Files, node: &str) -> Result<Self, CheckpointError> {
        let node = Claim::of(node).map_err(|error| CheckpointError::Io {
            action: "no random number for claims in",
            place: shared.place(""),
            error,
        })?;
        Ok(Self {
            is_one_place: own.is_same_place(&shared),
            own,
            shared,
            node,
            held: HashMap::new(),
        })
    }

    pub(super) fn all_files(&self) -> Vec<Files> {
        let shared = (!self.is_one_place).then(|| self.shared.clone());
        std::iter::once(self.own.clone()).chain(shared).collect()
    }

    fn files(&self, id: &PartitionId) -> &Files {
        if id.is_of_one_node() {
            &self.own
        } else {
            &self.shared
        }
    }

    /// Reads the newest whole checkpoint of each partition that this node had last. Nothing is written: a partition is
    /// claimed when it is read on, or with its first checkpoint.
    pub(crate) fn restore_own(
        &mut self,
        settings: GridSettings,
        layers: &LayerTable,
    ) -> Result<Vec<Restored>, CheckpointError> {
        let mut folders = Vec::new();
        for files in self.all_files() {
            for folder in files.folders()?.into_iter().filter(|name| name.contains('@')) {
                let names = files.names(&folder)?;
                if owner(&files, &folder, &names)?.is_none_or(|owner| owner == self.node.owner) {
                    folders.push((files.clone(), folder, names));
                }
            }
        }
        let mut all = Vec::new();
        for (read, (_, _, names)) in read_all(&folders, settings, layers).into_iter().zip(&folders) {
            if let Some((restored, manifest)) = read? {
                // From the names: a file that cannot be read must not be in the way of a new one either.
                let held = Held::since(newest_epoch(names) + 1, Some(manifest));
                self.held.insert(restored.partition.id().clone(), held);
                all.push(restored);
            }
        }
        Ok(all)
    }

    /// Makes this node the one that has a partition, and reads its newest whole checkpoint. Only for partitions that
    /// the group gave to this node: it takes them from whoever has them.
    ///
    /// # Errors
    /// Then the partition is not this node's.
    pub(crate) fn claim(
        &mut self,
        id: &PartitionId,
        settings: GridSettings,
        layers: &LayerTable,
    ) -> Result<Claimed, CheckpointError> {
        let (files, folder) = (self.files(id).clone(), folder_name(id));
        // Each turn but the last means that another node made a claim in the meantime.
        loop {
            let names = files.names(&folder)?;
            let newest = newest_epoch(&names);
            if let Some(held) = self.held.get_mut(id) {
                if held.is_claimed && newest <= held.epoch {
                    return Ok(Claimed::Held);
                }
                if newest < held.epoch && create_claim(&files, &folder, held.epoch, &self.node)? {
                    held.is_claimed = true;
                    return Ok(Claimed::Held);
                }
                self.held.remove(id);
            }
            let read = read_newest(&files, &folder, &names, settings, layers)?;
            let epoch = newest + 1;
            if !create_claim(&files, &folder, epoch, &self.node)? {
                continue;
            }
            // Who had it before may have written between the reading and the claim.
            let after = files.names(&folder)?;
            let read = if newest_manifest(&after) == newest_manifest(&names) {
                read
            } else {
                read_newest(&files, &folder, &after, settings, layers)?
            };
            let (restored, manifest) = read.unzip();
            let mut held = Held::since(epoch, manifest);
            held.is_claimed = true;
            self.held.insert(id.clone(), held);
            return Ok(restored.map_or(Claimed::New, |restored| Claimed::Restored(Box::new(restored))));
        }
    }

    /// Whether another node has claimed a partition since this one had it. Where that cannot be looked up it has not.
    pub(crate) fn is_of_another(&self, id: &PartitionId) -> bool {
        let Some(held) = self.held.get(id) else {
            return true;
        };
        let names = self.files(id).names(&folder_name(id)).unwrap_or_default();
        let newest = newest_epoch(&names);
        newest > held.epoch || (newest == held.epoch && !held.is_claimed)
    }

    /// Lets go of a partition: nothing more is written of it.
    pub(crate) fn release(&mut self, id: &PartitionId) {
        self.held.remove(id);
    }

    /// The partitions whose next state may be only what changed since the last one; of all others it must be whole.
    pub(crate) fn continued(&self) -> impl Iterator<Item = &PartitionId> {
        let continued = self.held.iter().filter(|(_, held)| {
            let worth = |manifest: &Manifest| is_worth_continuing(&manifest.files);
            !held.is_broken && held.newest.as_ref().is_some_and(worth)
        });
        continued.map(|(id, _)| id)
    }

    /// Writes the state of a partition; when this returns it is durable.
    ///
    /// # Errors
    /// Then the last whole checkpoint stays the newest, and the partition is no longer among [`continued`](Self::continued):
    /// what this state held is in no file. [`CheckpointError::Fenced`]: it is another node's.
    pub(crate) fn write(&mut self, state: &PartitionState) -> Result<(), CheckpointError> {
        let id = state.id();
        let files = self.files(id).clone();
        if !self.held.contains_key(id) && id.is_of_one_node() {
            let names = files.names(&folder_name(id))?;
            self.held
                .insert(id.clone(), Held::since(newest_epoch(&names) + 1, None));
        }
        let Some(held) = self.held.get_mut(id) else {
            return Err(CheckpointError::Fenced {
                folder: files.place(&folder_name(id)),
                epoch: 0,
            });
        };
        let written = held.write(&files, &self.node, state);
        held.is_broken = written.is_err();
        if written.is_err() {
            // It may have left something behind.
            held.kept = None;
        }
        written
    }
}

impl Held {
    fn write(&mut self, files: &Files, node: &Claim, state: &PartitionState) -> Result<(), CheckpointError> {
        let id = state.id();
        let folder = folder_name(id);
        let newest = newest_epoch(&files.names(&folder)?);
        let fenced = |epoch| CheckpointError::Fenced {
            folder: files.place(&folder),
            epoch,
        };
        if newest > self.epoch {
            return Err(fenced(newest));
        }
        if !self.is_claimed {
            if !create_claim(files, &folder, self.epoch, node)? {
                return Err(fenced(self.epoch));
            }
            self.is_claimed = true;
        }
        // A chain of an older epoch is continued: its files are whole, and names carry the epoch.
        let mut chain = match &self.newest {
            Some(manifest) if !state.is_whole() => manifest.files.clone(),
            _ => Vec::new(),
        };
        let number = self.newest.as_ref().map_or(0, |manifest| manifest.number);
        let number = number.max(self.tried) + 1;
        self.tried = number;
        let bytes = postcard::to_stdvec(state)?;
        let name = format!("{:08}-{number:012}.state", self.epoch);
        create_new(files, &folder, &name, &bytes)?;
        chain.push(ManifestFile {
            name: name.clone(),
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
            files: chain,
        };
        let written = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| CheckpointError::Io {
                action: "encoding the manifest of",
                place: files.place(&folder),
                error: error.into(),
            })
            .and_then(|json| create_new(files, &folder, &manifest.file_name(), &json));
        if written.is_err() {
            // In no manifest, and every later try would leave another one on a disk that is full.
            files.remove(&folder, &name);
        }
        written?;
        self.newest = Some(manifest.clone());
        self.remove_old(files, &folder, manifest);
        Ok(())
    }

    /// Removes what only manifests name that are too old now. The first time after a claim, and after a try that failed,
    /// the folder is looked through for all that is in nobody's use.
    fn remove_old(&mut self, files: &Files, folder: &str, newest: Manifest) {
        let Some(kept) = &mut self.kept else {
            self.kept = clear(files, folder, self.epoch);
            return;
        };
        kept.push_front(newest);
        while kept.len() > 1 + OLD_MANIFESTS
            && let Some(old) = kept.pop_back()
        {
            files.remove(folder, &old.file_name());
            let is_named = |file: &ManifestFile| kept.iter().any(|manifest| manifest.names(&file.name));
            for file in old.files.iter().filter(|file| !is_named(file)) {
                files.remove(folder, &file.name);
            }
        }
    }
}

fn create_new(files: &Files, folder: &str, name: &str, bytes: &[u8]) -> Result<(), CheckpointError> {
    if files.create(folder, name, bytes)? {
        return Ok(());
    }
    let place = files.place_of(folder, name);
    Err(CheckpointError::Taken { place })
}

/// Whether this node made the claim, and no other.
pub(super) fn create_claim(
    files: &Files,
    folder: &str,
    epoch: u64,
    claim: &Claim,
) -> Result<bool, CheckpointError> {
    let json = serde_json::to_vec(claim).map_err(|error| CheckpointError::Io {
        action: "encoding the claim of",
        place: files.place(folder),
        error: error.into(),
    })?;
    files.create(folder, &Claim::file_name(epoch), &json)
}

/// Who claimed a partition last; `None` when nobody did, or the claim says nothing.
pub(super) fn owner(
    files: &Files,
    folder: &str,
    names: &[String],
) -> Result<Option<String>, CheckpointError> {
    let Some(name) = names.iter().rfind(|name| name.ends_with(CLAIM)) else {
        return Ok(None);
    };
    let bytes = files.read(folder, name)?;
    let claim = serde_json::from_slice::<Claim>(&bytes);
    Ok(claim.ok().map(|claim| claim.owner))
}

type ReadNewest = Result<Option<(Restored, Manifest)>, CheckpointError>;

/// The newest checkpoints of folders, in their order, read by as many threads as there are processors.
fn read_all(
    folders: &[(Files, String, Vec<String>)],
    settings: GridSettings,
    layers: &LayerTable,
) -> Vec<ReadNewest> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut read = Vec::with_capacity(folders.len());
    for some in folders.chunks(threads) {
        std::thread::scope(|scope| {
            let readers: Vec<_> = some
                .iter()
                .map(|(files, folder, names)| {
                    scope.spawn(move || read_newest(files, folder, names, settings, layers))
                })
                .collect();
            for reader in readers {
                match reader.join() {
                    Ok(newest) => read.push(newest),
                    // As if it had been read on this thread.
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
    }
    read
}

/// The newest checkpoint of a folder whose files are all whole; `None` when its first one was never finished.
fn read_newest(
    files: &Files,
    folder: &str,
    names: &[String],
    settings: GridSettings,
    layers: &LayerTable,
) -> ReadNewest {
    if newest_manifest(names).is_none() {
        return Ok(None);
    }
    let whole = read_manifests(files, folder, names)?
        .into_iter()
        .find_map(|manifest| Some((read_chain(files, folder, &manifest)?, manifest)));
    let Some((chain, manifest)) = whole else {
        return Err(CheckpointError::NoneWhole {
            folder: files.place(folder),
        });
    };
    let state = PartitionState::restore(chain, settings, layers).map_err(|error| CheckpointError::State {
        folder: files.place(folder),
        error,
    })?;
    Ok(state.map(|(partition, rules)| (Restored { partition, rules }, manifest)))
}

pub(super) fn newest_epoch(names: &[String]) -> u64 {
    names.iter().filter_map(|name| epoch_of(name)).max().unwrap_or(0)
}

fn newest_manifest(names: &[String]) -> Option<&String> {
    names.iter().rfind(|name| name.ends_with(MANIFEST))
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

/// Removes all manifests but the newest few, which it returns, the files that none of those names, and claims but the
/// newest. What bears a higher epoch is another node's, which may be about to name it. What cannot be removed now is found
/// again the next time; `None`: nothing could be looked through.
fn clear(files: &Files, folder: &str, epoch: u64) -> Option<VecDeque<Manifest>> {
    let names = files.names(folder).ok()?;
    let mut manifests = read_manifests(files, folder, &names).ok()?;
    manifests.truncate(1 + OLD_MANIFESTS);
    let claim = names.iter().rfind(|name| name.ends_with(CLAIM));
    let is_kept = |name: &String| {
        let is_named = |manifest: &Manifest| *name == manifest.file_name() || manifest.names(name);
        Some(name) == claim || manifests.iter().any(is_named)
    };
    for name in &names {
        if epoch_of(name).is_some_and(|other| other <= epoch) && !is_kept(name) {
            files.remove(folder, name);
        }
    }
    Some(manifests.into())
}
