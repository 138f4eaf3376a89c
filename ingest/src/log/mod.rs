//! The log between sources and pipeline: what a record is, the batches in which records are handed over, and the topic that
//! refused ones go to. Sources fill batches, the pipeline reads them; neither is needed to know what they are.

mod batch;
pub mod kafka;
mod record;

pub use batch::{PartitionBatch, Records};
pub(crate) use record::EventBytes;
pub use record::{Feed, Payload, Record};
