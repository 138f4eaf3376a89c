//! From records to the grid: workers, each the only writer of its partitions, and two threads beside them while they go
//! on: one publishes to readers what they made, one writes checkpoints.
//!
//! A partition has the same worker as long as the process runs, so that its records are applied in order without a
//! lock. Queues are bounded: when a worker is behind, its sources stop reading, and nothing is dropped.

mod applying;
mod attempts;
mod checkpointing;
mod defects;
mod freshness;
mod handle;
mod in_flight;
mod judging;
mod origin;
mod publishing;
mod replayed;
mod replaying;
mod save_error;
mod shared;
mod start;
mod storing;
mod task;
mod timers;
mod tries;
mod worker;

use std::time::Duration;

pub use crate::log::{Feed, PartitionBatch, Payload, Record, Records};
pub use checkpointing::CheckpointListener;
pub use handle::PipelineHandle;
pub use replayed::{ReplayError, Replayed};
pub use save_error::{ClaimError, PipelineEnded, SaveError};
pub use start::{Pipeline, PipelineSettings, RestoredPipeline};
pub use task::{StartsAt, TakenOver};

/// How long a write that must not fail (a learnt layer, a dead letter) waits before it is tried again.
const RETRY: Duration = Duration::from_millis(500);
