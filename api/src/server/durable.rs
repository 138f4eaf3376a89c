//! What a checkpoint has made durable, and who acts on it: the journal may forget it, and Kafka's group is told.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use riskgrid_ingest::grid::PartitionId;
use riskgrid_ingest::pipeline::CheckpointListener;
use riskgrid_ingest::source::kafka::KafkaSource;

use super::Started;

type Committer = Box<dyn Fn(&[(PartitionId, i64)]) + Send + Sync>;

/// Shared by the checkpoints and by those who wait for them.
#[derive(Default)]
pub(super) struct Durable {
    /// When the newest checkpoint was written, if any was.
    pub(super) checkpointed: Arc<Mutex<Option<Instant>>>,
    /// The offset of the journal that the newest checkpoint reads next.
    pub(super) journal: AtomicI64,
    /// Tells Kafka's group, once there is one.
    committer: OnceLock<Committer>,
    /// The source when it has stopped reading: it stays in its group until the last checkpoint is committed.
    stopped: Mutex<Option<KafkaSource>>,
}

/// Before ingest, so that it ends after the last checkpoint.
pub(super) fn start(started: &mut Started) -> Arc<Durable> {
    let durable = Arc::new(Durable::default());
    let closing = Arc::clone(&durable);
    started.push("the member of Kafka's group", async move {
        let stopped = closing
            .stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(source) = stopped
            && let Err(error) = tokio::task::spawn_blocking(|| source.close()).await
        {
            tracing::error!(%error, "closing the member of Kafka's group failed inside");
        }
        Ok(())
    });
    durable
}

impl Durable {
    /// What checkpoints call.
    pub(super) fn listener(self: &Arc<Self>) -> CheckpointListener {
        let this = Arc::clone(self);
        Box::new(move |offsets| {
            *this.checkpointed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            if let Some((_, offset)) = offsets.iter().find(|(id, _)| *id == PartitionId::of_journal()) {
                this.journal.store(*offset, Ordering::Relaxed);
            }
            if let Some(commit) = this.committer.get() {
                commit(offsets);
            }
        })
    }

    /// From now on the group of this source is told.
    pub(super) fn commit_to(&self, source: &KafkaSource) {
        // Set once, at the start.
        let _ = self.committer.set(Box::new(source.committer()));
    }

    /// Takes a source that has stopped reading, and lets it leave its group after the last checkpoint.
    pub(super) fn leave_last(&self, source: KafkaSource) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }
}
