//! Checkpoints: everything that a partition's events made, with the offset up to which they are in it, written together.
//!
//! A checkpoint is a chain of files: one that holds everything, then files that hold what changed since. A numbered
//! manifest names the chain with the size and hash of each file; it is created whole, once, and never overwritten. A reader
//! takes the highest epoch, then the highest number, whose files are all whole. The checkpoint's offset rules, not Kafka's.

mod files;
mod state;
#[cfg(test)]
mod tests;

pub use files::{CheckpointError, CheckpointStore};
pub(crate) use files::{folder_name, topic_name};
pub(crate) use state::PartitionState;
