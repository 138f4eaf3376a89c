//! The checkpoints of the partitions that this node has: found after any crash, claimed, and written.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::CheckpointError;
use super::files::Files;
use super::held::Held;
use super::manifest::{CLAIM, Claim, folder_name, is_of_one_node, newest_epoch, newest_manifest};
use super::reading::{read_all, read_newest};
use super::restore::Restored;
use super::state::PartitionState;
use crate::grid::GridSettings;
use crate::words::{LayerTable, PartitionId};

/// Where checkpoints lie: those of the journal and of files in a place of the node's own, those of Kafka's partitions in
/// one that it may share with other nodes.
#[derive(Debug)]
pub struct CheckpointStore {
    own: Files,
    shared: Files,
    /// Both are one place.
    is_one_place: bool,
    /// No other node writes into either.
    is_alone: bool,
    /// This node, in claims.
    pub(super) node: Claim,
    held: HashMap<PartitionId, Held>,
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
            is_alone: false,
            own,
            shared,
            node,
            held: HashMap::new(),
        })
    }

    /// The same, in a place that no other node writes into: what bears another node's name there is told, and not passed
    /// over.
    #[must_use]
    pub const fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }

    /// Whether the folder of a partition is there and empty: somebody took out what it held, to begin without.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_emptied(&self, id: &PartitionId) -> Result<bool, CheckpointError> {
        let (files, folder) = (self.files(id), folder_name(id));
        Ok(files.folders()?.contains(&folder) && files.names(&folder)?.is_empty())
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
                if self.is_its_own(&files, &folder, &names)? {
                    folders.push((files.clone(), folder, names));
                }
            }
        }
        let mut all = Vec::new();
        for (read, (_, _, names)) in read_all(&folders, settings, layers).into_iter().zip(&folders) {
            if let Some((restored, manifest)) = read? {
                // From the names: a file that cannot be read must not be in the way of a new one either.
                let held = Held::since_epoch(newest_epoch(names) + 1, Some(manifest));
                self.held.insert(restored.partition.id().clone(), held);
                all.push(restored);
            }
        }
        Ok(all)
    }

    /// Whether what a folder holds is this node's to restore. What only it can have written it takes under whatever name.
    fn is_its_own(&self, files: &Files, folder: &str, names: &[String]) -> Result<bool, CheckpointError> {
        let is_in_its_own_place = files.is_same_place(&self.own);
        if is_in_its_own_place && is_of_one_node(folder) {
            return Ok(true);
        }
        match owner(files, folder, names)? {
            Some(owner) if owner != self.node.owner => {
                if is_in_its_own_place && (self.is_alone || !self.is_one_place) {
                    return Err(CheckpointError::OfAnother {
                        folder: files.place(folder),
                        owner,
                        node: self.node.owner.clone(),
                    });
                }
                Ok(false)
            }
            _ => Ok(true),
        }
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
            let mut held = Held::since_epoch(epoch, manifest);
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

    /// The epoch in which this node has a partition.
    #[cfg(test)]
    pub(super) fn epoch_of(&self, id: &PartitionId) -> Option<u64> {
        self.held.get(id).map(|held| held.epoch)
    }

    /// Lets go of a partition: nothing more is written of it.
    pub(crate) fn release(&mut self, id: &PartitionId) {
        self.held.remove(id);
    }

    /// The partitions whose next state needs to hold only what changed after a generation; of all others it must hold
    /// everything.
    pub(crate) fn continued(&self) -> HashMap<PartitionId, u64> {
        let continued = self.held.iter();
        continued.map(|(id, held)| (id.clone(), held.since())).collect()
    }

    /// Writes the state of a partition; when this returns it is durable.
    ///
    /// # Errors
    /// Then the last whole checkpoint stays the newest, and the next state must hold what this one held too, as
    /// [`continued`](Self::continued) says. [`CheckpointError::Fenced`]: it is another node's.
    pub(crate) fn write(&mut self, state: PartitionState) -> Result<(), CheckpointError> {
        let id = state.id().clone();
        let files = self.files(&id).clone();
        if !self.held.contains_key(&id) && id.is_of_one_node() {
            let names = files.names(&folder_name(&id))?;
            self.held
                .insert(id.clone(), Held::since_epoch(newest_epoch(&names) + 1, None));
        }
        match self.held.get_mut(&id) {
            Some(held) => held.write(&files, &self.node, state),
            None => Err(CheckpointError::Fenced {
                folder: files.place(&folder_name(&id)),
                epoch: 0,
            }),
        }
    }
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

/// Who claimed the partitions of a place last.
pub(crate) fn owners(files: &Files) -> Result<BTreeSet<String>, CheckpointError> {
    let mut owners = BTreeSet::new();
    for folder in files.folders()?.into_iter().filter(|name| name.contains('@')) {
        let names = files.names(&folder)?;
        owners.extend(owner(files, &folder, &names)?);
    }
    Ok(owners)
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
