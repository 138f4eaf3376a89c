//! What the workers share, and which of them has a partition.

use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, OnceLock};

use super::freshness::Freshness;
use super::in_flight::InFlight;
use super::task::Request;
use crate::dead_letter::DeadLetterStore;
use crate::edge::Edge;
use crate::grid::GridSettings;
use crate::layer_store::LayerCatalogue;
use crate::log::Feed;
use crate::log::kafka::DeadLetterTopic;
use crate::places::Places;
use crate::threads::lock;
use crate::words::{EventTime, PartitionId};

/// What the workers share.
pub(super) struct Shared {
    pub(super) edge: Edge,
    pub(super) grid: GridSettings,
    pub(super) layers: LayerCatalogue,
    pub(super) places: Arc<Places>,
    pub(super) dead_letters: DeadLetterStore,
    pub(super) dead_letter_topic: Option<Arc<DeadLetterTopic>>,
    pub(super) topics: HashMap<Arc<str>, Option<Arc<Feed>>>,
    pub(super) max_event: usize,
    /// Bytes of the sealed slices of one worker.
    pub(super) worker_bytes: usize,
    pub(super) clock: fn() -> EventTime,
    /// Batches handed over and not applied, by worker.
    pub(super) waiting: Vec<InFlight>,
    /// Partitions whose state may be half changed.
    pub(super) torn: Mutex<BTreeSet<PartitionId>>,
    /// Where the sources of partitions of this node alone are to begin anew.
    pub(super) rewinds: Mutex<HashMap<PartitionId, i64>>,
    pub(super) has_rewinds: AtomicBool,
    /// How a worker asks for what it must not wait for.
    pub(super) requests: OnceLock<SyncSender<Request>>,
    /// Records were applied since the last publication.
    pub(super) is_unpublished: AtomicBool,
    /// Records were applied since the last checkpoint.
    pub(super) is_unsaved: AtomicBool,
    /// A worker has ended without being asked to.
    pub(super) has_failed: AtomicBool,
    /// The last checkpoint is to be written: nobody waits for the disk any more.
    pub(super) is_stopping: AtomicBool,
    pub(super) freshness: Freshness,
    pub(super) failed_checkpoints: AtomicU64,
    /// Partitions that turned out to be another node's; there are never more than the node had.
    pub(super) lost: Mutex<Vec<PartitionId>>,
}

impl Shared {
    /// Has the state of a partition read again from its checkpoint.
    pub(super) fn mend(&self, id: PartitionId) {
        lock(&self.torn).insert(id);
        if let Some(requests) = self.requests.get() {
            // Where its queue is full it has something to do, and looks after that.
            let _ = requests.try_send(Request::Mend);
        }
    }

    pub(super) fn worker_has_ended(&self) {
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "a thread of ingest has ended by a defect: nothing more is published or saved; start riskgrid again, the log is read from the last checkpoint on"
            );
        }
    }
}

/// Lets go of who waits for a worker that has ended.
pub(super) struct EndOfWorker<'a>(pub(super) &'a Shared, pub(super) usize);

impl Drop for EndOfWorker<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.0.waiting.get(self.1) {
            waiting.end();
        }
    }
}

/// Which worker has a partition: those of one topic are spread evenly.
pub(super) fn worker_of(id: &PartitionId, workers: usize) -> usize {
    let mut hasher = twox_hash::XxHash3_64::with_seed(0);
    id.topic.hash(&mut hasher);
    let first = hasher.finish() as usize % workers.max(1);
    (first + id.partition.unsigned_abs() as usize) % workers.max(1)
}
