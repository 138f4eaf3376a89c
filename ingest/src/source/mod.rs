//! Where records come from: the embedded journal, Kafka, files.

pub mod file;
pub mod journal;
pub mod kafka;
mod progress;

pub use progress::{Progress, Stand};
