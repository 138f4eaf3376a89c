//! Taking out all that one feed brought in, so that it is read again from its beginning. What is to be done is written
//! down first; until it is done to its end, nothing else may use the state.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::checkpoint::{CheckpointError, CheckpointStore, Files};
use crate::dead_letter::{DeadLetterError, DeadLetterStore};
use crate::layer_store::{LayerStore, LayerStoreError};
use crate::words::LIVE_DOMAIN;

/// Where it is written down, below the folder of the node's state.
const FOLDER: &str = "purge";
const FILE: &str = "feed.json";

/// The feed that is purged.
#[derive(Clone, Copy, Debug)]
pub struct PurgedFeed<'a> {
    /// Its name.
    pub name: &'a str,
    /// The topic of its partitions.
    pub topic: &'a str,
    /// Its clock domain.
    pub domain: &'a str,
}

/// What is to be taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// The feed's name.
    pub feed: String,
    /// The topic of its partitions.
    pub topic: String,
    /// The layers that only it had taught.
    pub layers: Vec<String>,
    /// All layers that its partitions name: what was published of them is taken out, too.
    #[serde(default)]
    pub named: BTreeSet<String>,
}

/// What was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Partitions, with all that their events made.
    pub partitions: usize,
    /// Dead letters.
    pub letters: usize,
}

/// Why a purge is not done to its end: run it again.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// Checkpoints.
    #[error(transparent)]
    Checkpoints(#[from] CheckpointError),
    /// The catalogue of layers.
    #[error(transparent)]
    Layers(#[from] LayerStoreError),
    /// Dead letters.
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterError),
    /// What was written down cannot be read.
    #[error("{place}: {problem}; restore it from a backup, or remove it and purge again")]
    Unreadable {
        /// The file.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Another one was begun.
    #[error("the purge of feed `{0}` was begun and is not finished; run `riskgrid feeds purge {0}` again")]
    Unfinished(String),
    /// Partitions are with other nodes.
    #[error(
        "{folder} is the partition of another node, {node}; stop all nodes, start this one until it has every partition, stop it and purge here"
    )]
    WithAnother {
        /// Its folder.
        folder: String,
        /// The other node.
        node: String,
    },
}

impl Purge {
    /// What taking out the feed would take out. Nothing is changed. `domain` is the clock domain of its events.
    ///
    /// # Errors
    /// A partition of it is with another node, or the state cannot be read.
    pub fn plan(
        feed: PurgedFeed<'_>,
        checkpoints: &CheckpointStore,
        layers: &LayerStore,
    ) -> Result<Self, PurgeError> {
        let PurgedFeed { name, topic, domain } = feed;
        if let Some((folder, node)) = checkpoints.with_others(topic)?.into_iter().next() {
            return Err(PurgeError::WithAnother { folder, node });
        }
        let (own, others) = checkpoints.layers_named(topic)?;
        // A layer of its own domain may be in no checkpoint: taught by an event that then was refused, say.
        let is_its_own = |id: &str, layer_domain: &str| {
            !others.contains(id) && (own.contains(id) || (layer_domain == domain && domain != LIVE_DOMAIN))
        };
        let taught = layers.learnt().iter();
        let taught: BTreeSet<String> = taught
            .filter(|layer| is_its_own(&layer.id, &layer.domain))
            .map(|layer| layer.id.clone())
            .collect();
        Ok(Self {
            feed: name.to_owned(),
            topic: topic.to_owned(),
            named: own.into_iter().chain(taught.iter().cloned()).collect(),
            layers: taught.into_iter().collect(),
        })
    }

    /// The purge that was begun below the folder of a node's state and not done to its end.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn unfinished(data_dir: &Path) -> Result<Option<Self>, PurgeError> {
        let files = Files::open_folder(data_dir)?;
        if !files.names(FOLDER)?.iter().any(|name| name == FILE) {
            return Ok(None);
        }
        let bytes = files.read(FOLDER, FILE)?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| PurgeError::Unreadable {
                place: files.place_of(FOLDER, FILE),
                problem: error.to_string(),
            })
    }

    /// Writes down what is to be done; from then on nothing else may use the state until it is done.
    ///
    /// # Errors
    /// Then nothing is begun.
    pub fn begin(&self, data_dir: &Path) -> Result<(), PurgeError> {
        let files = Files::open_folder(data_dir)?;
        let json = serde_json::to_vec_pretty(self).map_err(|error| PurgeError::Unreadable {
            place: files.place_of(FOLDER, FILE),
            problem: error.to_string(),
        })?;
        files.create(FOLDER, FILE, &json)?;
        Ok(())
    }

    /// Does what was written down. After a crash in the middle it is done again, to its end.
    ///
    /// # Errors
    /// Then it stays begun.
    pub fn finish(
        &self,
        data_dir: &Path,
        checkpoints: &CheckpointStore,
        layers: &mut LayerStore,
        dead_letters: &DeadLetterStore,
    ) -> Result<Purged, PurgeError> {
        let partitions = checkpoints.purge(&self.topic)?;
        for layer in &self.layers {
            layers.forget(layer)?;
        }
        let letters = dead_letters.purge(&self.topic)?;
        Files::open_folder(data_dir)?.remove(FOLDER, FILE);
        Ok(Purged { partitions, letters })
    }
}
