//! What workers and the thread of checkpoints are asked to do, and how they answer.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use tokio::sync::oneshot;

use super::replayed::{ReplayError, Replayed};
use super::save_error::{ClaimError, SaveError};
use crate::checkpoint::{PartitionState, Restored};
use crate::dead_letter::LetterKey;
use crate::grid::Heard;
use crate::log::PartitionBatch;
use crate::words::PartitionId;

/// What a worker is asked to do; done in the order of asking.
pub(super) enum Task {
    /// Apply records, which have so many bytes.
    Apply(PartitionBatch, usize),
    /// Nothing but what comes after every task: see whether views are wanted.
    Look,
    /// Make decisions durable, and give the state of its partitions: of those named what changed since a generation, of
    /// the others everything.
    Save(
        Arc<HashMap<PartitionId, u64>>,
        SyncSender<Result<Vec<PartitionState>, SaveError>>,
    ),
    /// Have a partition from now on, as its checkpoint has it; without one it begins with its first record.
    TakeOver(PartitionId, Option<Box<Restored>>),
    /// Forget a partition, and what still comes of it.
    GiveUp(PartitionId),
    /// Say which offset each of its partitions reads next.
    Offsets(SyncSender<Vec<(PartitionId, i64)>>),
    /// Replay these dead letters of a partition.
    Replay(
        PartitionId,
        Vec<LetterKey>,
        oneshot::Sender<Result<Replayed, ReplayError>>,
    ),
    /// End.
    Stop,
}

/// How a worker is asked what readers may see: not by its queue, where the question would wait behind batches.
#[derive(Debug)]
pub(super) struct ViewDoor {
    /// Set by who asks, taken by the worker between two tasks.
    pub(super) wanted: Arc<AtomicBool>,
    /// Has room for one answer; it is asked again only after that was taken.
    pub(super) answer: SyncSender<Views>,
}

/// What readers may see of a worker's partitions.
#[derive(Debug)]
pub(super) struct Views {
    pub(super) partitions: Vec<Heard>,
    /// When they were made.
    pub(super) made: Instant,
    /// How long it took to make them.
    pub(super) cost: Duration,
    /// Batches wait that are not in them.
    pub(super) has_more: bool,
}

/// What the shell asks for.
pub(super) enum Request {
    /// Write a checkpoint now.
    Checkpoint(oneshot::Sender<Result<(), SaveError>>),
    /// Claim these partitions, and put them into the grid.
    TakeOver(Vec<PartitionId>, oneshot::Sender<Vec<TakenOver>>),
    /// Let go of those of these partitions that another node has claimed.
    GiveUp(Vec<PartitionId>, oneshot::Sender<Vec<PartitionId>>),
    /// Read again what may be half changed.
    Mend,
    /// Write a last checkpoint and end everything.
    Stop(oneshot::Sender<Result<(), SaveError>>),
}

/// A partition that was to be taken over.
#[derive(Debug)]
pub struct TakenOver {
    /// Which.
    pub id: PartitionId,
    /// What came of it.
    pub outcome: Result<StartsAt, ClaimError>,
}

/// Where a partition of this node is read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartsAt {
    /// Where this node stands: it had it all the time.
    Here,
    /// At the offset of its newest checkpoint.
    Offset(i64),
    /// At the beginning of its log: there is no checkpoint of it.
    Beginning,
}
