//! Checkpoints: everything that a partition's events made, with the offset up to which they are in it, written together.
//!
//! A checkpoint is a chain of steps: one that holds everything, then some that hold what changed since. Each step is one
//! file or several. A numbered manifest names the chain with the size and hash of each file; it is created whole, once, and
//! never overwritten. A reader takes the highest epoch, then the highest number, whose files are all whole. The
//! checkpoint's offset rules, not Kafka's.
//!
//! Nodes may share them, in a folder or a bucket. Who takes a partition over claims the next epoch by a file that only one can make; who
//! had it before finds that claim when it writes, and lets go. What it writes meanwhile bears its own, lower epoch, and
//! is in nobody's way.

mod bucket;
mod files;
mod folder;
mod held;
mod item;
mod location;
mod manifest;
mod numbered;
mod purge;
mod reading;
mod restore;
mod state;
mod store;
mod store_error;
#[cfg(test)]
mod tests;

use std::io;

use crate::grid::GridSettings;
use crate::words::LayerTable;

pub use files::Files;
pub use location::{BucketSettings, BucketUrl, InvalidLocation, Location};
pub(crate) use manifest::{folder_name, topic_name};
pub use numbered::{NumberedError, NumberedFiles};
pub(crate) use numbered::{create as create_json, read as read_json};
pub use purge::Standing;
pub(crate) use restore::Restored;
pub use restore::StateError;
pub(crate) use state::PartitionState;
pub use store::CheckpointStore;
pub(crate) use store::Claimed;
pub(crate) use store::owners;

/// Reads the bytes of one checkpoint file as far as the start does that finds it; whether they make a partition. Damaged
/// bytes are told by their hash before; this is for fuzzing what would come after.
pub fn makes_a_partition(bytes: &[u8], settings: GridSettings, layers: &LayerTable) -> bool {
    item::Part::read(bytes).is_ok_and(|part| restore::restore(vec![vec![part]], settings, layers).is_ok())
}

/// The version of the files' format. A file of another is refused, never overwritten.
const FORMAT: u32 = 3;

/// Why checkpoints cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The storage refused.
    #[error("{action} {place}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        place: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Written by another version of riskgrid.
    #[error(
        "{place} has checkpoint format {found}, this riskgrid reads format {FORMAT}; start the version that wrote it, or use another storage.data_dir"
    )]
    Format {
        /// The manifest.
        place: String,
        /// Its format.
        found: u32,
    },
    /// Manifests are there, but none is whole.
    #[error(
        "no checkpoint in {folder} is whole; restore it from a backup, or remove the folder to read the log again from its beginning"
    )]
    NoneWhole {
        /// The partition's folder.
        folder: String,
    },
    /// The newest whole checkpoint cannot be used.
    #[error("the checkpoint in {folder}: {error}")]
    State {
        /// The partition's folder.
        folder: String,
        /// Why.
        #[source]
        error: StateError,
    },
    /// The state could not be put into bytes.
    #[error("the checkpoint could not be encoded: {0}")]
    Encode(#[from] postcard::Error),
    /// Raw events could not be put into bytes.
    #[error("raw events could not be put into the checkpoint: {0}")]
    EncodeEvents(#[from] arrow::error::ArrowError),
    /// A name that only this node should use is taken.
    #[error("{place} is there already; it is in the way of a checkpoint")]
    Taken {
        /// The file.
        place: String,
    },
    /// In a place of this node's alone there is what another one made.
    #[error(
        "{folder} was written by node {owner}, and this is node {node}: its id, in the file kafka-instance-id of \
         storage.data_dir, was lost or replaced, or the folder was copied from another node. Nothing was changed; write \
         {owner} into that file, or remove the folder if its partition is another node's. Where nodes share this folder, \
         name it in storage.checkpoints of each"
    )]
    OfAnother {
        /// The partition's folder.
        folder: String,
        /// Who claimed it last.
        owner: String,
        /// This node.
        node: String,
    },
    /// Another node has the partition now.
    #[error("{folder} belongs to another node since epoch {epoch}: nothing was written")]
    Fenced {
        /// The partition's folder.
        folder: String,
        /// The epoch of that node.
        epoch: u64,
    },
}
