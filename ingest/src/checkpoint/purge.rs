//! Looking at the checkpoints of partitions without having them, and removing those of a topic.

use std::collections::BTreeSet;

use super::files::Files;
use super::item::Part;
use super::manifest::{MANIFEST, newest_epoch, read_manifests, topic_name};
use super::reading::read_chain;
use super::store::{create_claim, owner};
use super::{CheckpointError, CheckpointStore};
use crate::words::PartitionId;

/// A partition as its newest whole checkpoint has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub id: PartitionId,
    /// The first offset that is not in it.
    pub next_offset: i64,
}

/// The folder of a partition.
struct Place {
    files: Files,
    folder: String,
    names: Vec<String>,
}

impl Place {
    /// The newest checkpoint whose files are all whole.
    fn newest(&self) -> Result<Option<Vec<Vec<Part>>>, CheckpointError> {
        let manifests = read_manifests(&self.files, &self.folder, &self.names)?;
        Ok(manifests
            .into_iter()
            .find_map(|manifest| read_chain(&self.files, &self.folder, &manifest)))
    }

    fn is_of_topic(&self, topic: &str) -> bool {
        let name = self.folder.rsplit_once('@').map(|(name, _)| name);
        name == Some(&topic_name(topic))
    }
}

impl CheckpointStore {
    fn places(&self) -> Result<Vec<Place>, CheckpointError> {
        let mut all = Vec::new();
        for files in self.all_files() {
            for folder in files.folders()?.into_iter().filter(|name| name.contains('@')) {
                let names = files.names(&folder)?;
                all.push(Place {
                    files: files.clone(),
                    folder,
                    names,
                });
            }
        }
        Ok(all)
    }

    /// Where the partitions of a topic stand.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn standing(&self, topic: &str) -> Result<Vec<Standing>, CheckpointError> {
        let mut standing = Vec::new();
        for place in self.places()?.iter().filter(|place| place.is_of_topic(topic)) {
            let manifests = read_manifests(&place.files, &place.folder, &place.names)?;
            standing.extend(manifests.first().map(|newest| Standing {
                id: PartitionId {
                    topic: newest.topic.as_str().into(),
                    partition: newest.partition,
                },
                next_offset: newest.next_offset,
            }));
        }
        Ok(standing)
    }

    /// The partitions of a topic that other nodes claimed last, each with its node.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn with_others(&self, topic: &str) -> Result<Vec<(String, String)>, CheckpointError> {
        let mut others = Vec::new();
        for place in self
            .places()?
            .into_iter()
            .filter(|place| place.is_of_topic(topic))
        {
            let owner = owner(&place.files, &place.folder, &place.names)?;
            others.extend(
                owner
                    .filter(|owner| *owner != self.node.owner)
                    .map(|owner| (place.folder, owner)),
            );
        }
        Ok(others)
    }

    /// The layers that the partitions of a topic name, and those that all others do.
    ///
    /// # Errors
    /// When one of the others has no whole checkpoint. One of the topic's own names nothing then.
    pub(crate) fn layers_named(
        &self,
        topic: &str,
    ) -> Result<(BTreeSet<String>, BTreeSet<String>), CheckpointError> {
        let (mut own, mut others) = (BTreeSet::new(), BTreeSet::new());
        for place in self.places()? {
            let is_own = place.is_of_topic(topic);
            match place.newest() {
                Ok(Some(chain)) => {
                    let named = if is_own { &mut own } else { &mut others };
                    for part in chain.iter().flatten() {
                        named.extend(part.layers_named().map(ToOwned::to_owned));
                    }
                }
                Ok(None) if !is_own && place.names.iter().any(|name| name.ends_with(MANIFEST)) => {
                    return Err(CheckpointError::NoneWhole {
                        folder: place.files.place(&place.folder),
                    });
                }
                Err(error) if !is_own => return Err(error),
                Ok(None) | Err(_) => {}
            }
        }
        Ok((own, others))
    }

    /// Removes the checkpoints of all partitions of a topic: they are read from their beginning then. A claim of this
    /// node stays of each, so that a node that had it before can write no more of it. Returns how many there are.
    ///
    /// # Errors
    /// Some may be gone: another call removes the rest.
    pub(crate) fn purge(&self, topic: &str) -> Result<usize, CheckpointError> {
        let places: Vec<Place> = self.places()?;
        let places = places.iter().filter(|place| place.is_of_topic(topic));
        let mut purged = 0;
        for place in places {
            let epoch = newest_epoch(&place.names) + 1;
            if !create_claim(&place.files, &place.folder, epoch, &self.node)? {
                return Err(CheckpointError::Fenced {
                    folder: place.files.place(&place.folder),
                    epoch,
                });
            }
            for name in &place.names {
                place.files.remove(&place.folder, name);
            }
            let left = place.files.names(&place.folder)?;
            if left.len() > 1 {
                return Err(CheckpointError::Io {
                    action: "removing the files of",
                    place: place.files.place(&place.folder),
                    error: std::io::Error::other("some are still there"),
                });
            }
            purged += 1;
        }
        Ok(purged)
    }
}
