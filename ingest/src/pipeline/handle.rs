//! The door of the sources and of the shell to the pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::in_flight::InFlight;
use super::replayed::{ReplayError, Replayed};
use super::save_error::{PipelineEnded, SaveError};
use super::shared::{Shared, worker_of};
use super::task::{Request, TakenOver, Task};
use crate::dead_letter::LetterKey;
use crate::log::PartitionBatch;
use crate::threads::lock;
use crate::words::PartitionId;

/// The sources' and the shell's door to the pipeline.
#[derive(Clone)]
pub struct PipelineHandle {
    pub(super) workers: Arc<[SyncSender<Task>]>,
    pub(super) requests: SyncSender<Request>,
    pub(super) shared: Arc<Shared>,
}

impl PipelineHandle {
    /// Hands over a batch; blocks while its worker's queue is full.
    pub fn send(&self, batch: PartitionBatch) -> Result<(), PipelineEnded> {
        let number = worker_of(&batch.partition, self.workers.len());
        let worker = self.workers.get(number).ok_or(PipelineEnded)?;
        let bytes = batch.bytes();
        if let Some(waiting) = self.shared.waiting.get(number) {
            waiting.enter(bytes)?;
        }
        self.shared.freshness.handed_over(number, Instant::now());
        worker.send(Task::Apply(batch, bytes)).map_err(|_| PipelineEnded)
    }

    /// The offset from which a partition of this node alone is to be read again, when its state had to be read again from
    /// its checkpoint. Asked by its source before each reading.
    pub fn take_rewind(&self, partition: &PartitionId) -> Option<i64> {
        if !self.shared.has_rewinds.load(Ordering::Acquire) {
            return None;
        }
        let mut rewinds = lock(&self.shared.rewinds);
        let offset = rewinds.remove(partition);
        self.shared
            .has_rewinds
            .store(!rewinds.is_empty(), Ordering::Release);
        offset
    }

    /// Whether its source is to begin anew, as [`take_rewind`](Self::take_rewind) says.
    pub fn is_rewound(&self, partition: &PartitionId) -> bool {
        self.shared.has_rewinds.load(Ordering::Acquire) && lock(&self.shared.rewinds).contains_key(partition)
    }

    /// Batches that each worker has not applied yet; one that is held up by a full queue is among them.
    pub fn waiting(&self) -> Vec<usize> {
        self.shared.waiting.iter().map(InFlight::batches).collect()
    }

    /// Bytes of these batches.
    pub fn waiting_bytes(&self) -> Vec<usize> {
        self.shared.waiting.iter().map(InFlight::bytes).collect()
    }

    /// Partitions whose state is being read again from their checkpoint, because a defect left it half changed.
    pub fn mending(&self) -> Vec<PartitionId> {
        lock(&self.shared.torn).iter().cloned().collect()
    }

    /// How old what readers see is: since the newest snapshot was made, or since the oldest change that it does not show was
    /// handed over; what is longer.
    pub fn snapshot_age(&self) -> Duration {
        self.shared.freshness.age(Instant::now())
    }

    /// By how much the newest snapshot is later than any load explains, or the oldest change that it does not show.
    pub fn is_late_by(&self) -> Option<Duration> {
        self.shared.freshness.is_late_by(Instant::now())
    }

    /// Whether a thread of it has ended without being asked to: a defect, after which the process should be started again.
    pub fn has_failed(&self) -> bool {
        self.shared.has_failed.load(Ordering::Relaxed)
    }

    /// How many checkpoints could not be written; each was tried again.
    pub fn failed_checkpoints(&self) -> u64 {
        self.shared.failed_checkpoints.load(Ordering::Relaxed)
    }

    /// Writes a checkpoint now.
    ///
    /// # Errors
    /// Says what went wrong; the pipeline goes on.
    pub async fn checkpoint(&self) -> Result<(), SaveError> {
        self.ask(Request::Checkpoint).await
    }

    /// Writes a checkpoint now, and blocks until it is written.
    ///
    /// # Errors
    /// Says what went wrong; the pipeline goes on.
    pub fn checkpoint_blocking(&self) -> Result<(), SaveError> {
        self.ask_blocking(Request::Checkpoint)
            .unwrap_or_else(|ended| Err(ended.into()))
    }

    /// Makes partitions this node's, which a group gave it, as their newest checkpoints have them; blocks until they are.
    /// What is said of a partition is the offset that it is to be read from, or why it must not be read.
    ///
    /// # Errors
    /// When the pipeline has ended.
    pub fn take_over(&self, partitions: Vec<PartitionId>) -> Result<Vec<TakenOver>, PipelineEnded> {
        self.ask_blocking(|done| Request::TakeOver(partitions, done))
    }

    /// Lets go of those of these partitions that another node has claimed, and says which: they are no longer shown, and
    /// nothing more is written of them.
    ///
    /// # Errors
    /// When the pipeline has ended.
    pub fn give_up(&self, partitions: Vec<PartitionId>) -> Result<Vec<PartitionId>, PipelineEnded> {
        self.ask_blocking(|done| Request::GiveUp(partitions, done))
    }

    /// The partitions that turned out to be another node's since this was last asked: they were let go.
    pub fn take_lost(&self) -> Vec<PartitionId> {
        std::mem::take(&mut *lock(&self.shared.lost))
    }

    /// The offset that each partition in the grid reads next, once all that was handed over before is applied; blocks until
    /// then.
    ///
    /// # Errors
    /// When the pipeline has ended.
    pub fn next_offsets(&self) -> Result<BTreeMap<PartitionId, i64>, PipelineEnded> {
        let (answer, answers) = sync_channel(self.workers.len());
        for worker in &*self.workers {
            worker
                .send(Task::Offsets(answer.clone()))
                .map_err(|_| PipelineEnded)?;
        }
        drop(answer);
        let answers: Vec<Vec<_>> = answers.into_iter().collect();
        if answers.len() < self.workers.len() {
            return Err(PipelineEnded);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Replays dead letters of one partition, as records of its log; blocks until they are applied. They are queued
    /// durably first, so that a crash undoes none of it.
    ///
    /// # Errors
    /// Then nothing was replayed: not a partition of this node, say, or a disk that is full.
    pub fn replay(&self, partition: &PartitionId, letters: Vec<LetterKey>) -> Result<Replayed, ReplayError> {
        let (done, answer) = oneshot::channel();
        let worker = self.workers.get(worker_of(partition, self.workers.len()));
        worker
            .and_then(|worker| worker.send(Task::Replay(partition.clone(), letters, done)).ok())
            .ok_or(ReplayError::Ended)?;
        answer.blocking_recv().unwrap_or(Err(ReplayError::Ended))
    }

    /// Applies what is queued, writes a last checkpoint, and ends the threads.
    pub async fn stop(&self) -> Result<(), SaveError> {
        self.ask(Request::Stop).await
    }

    fn ask_blocking<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, PipelineEnded> {
        let (done, answer) = oneshot::channel();
        self.requests.send(request(done)).map_err(|_| PipelineEnded)?;
        answer.blocking_recv().map_err(|_| PipelineEnded)
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), SaveError>>) -> Request + Send + 'static,
    ) -> Result<(), SaveError> {
        let (done, answer) = oneshot::channel();
        let requests = self.requests.clone();
        // The coordinator may be busy, and a blocked send must not hold an async worker.
        let sent = tokio::task::spawn_blocking(move || requests.send(request(done))).await;
        match sent {
            Ok(Ok(())) => answer.await.unwrap_or_else(|_| Err(PipelineEnded.into())),
            _ => Err(PipelineEnded.into()),
        }
    }
}
