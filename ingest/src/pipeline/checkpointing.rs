//! Writes checkpoints of what the workers hand over, at an interval while records come, and when asked; takes
//! partitions over from their checkpoints, and gives them up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::save_error::{ClaimError, PipelineEnded, SaveError};
use super::shared::{Shared, worker_of};
use super::task::{Request, StartsAt, TakenOver, Task};
use crate::checkpoint::{CheckpointError, CheckpointStore, Claimed};
use crate::threads::lock;
use crate::words::PartitionId;

/// What became durable with a checkpoint: the offsets that may be committed to Kafka.
pub type CheckpointListener = Box<dyn FnMut(&[(PartitionId, i64)]) + Send>;

pub(super) struct Checkpointing {
    pub(super) shared: Arc<Shared>,
    pub(super) workers: Vec<SyncSender<Task>>,
    pub(super) checkpoints: CheckpointStore,
    pub(super) on_checkpoint: CheckpointListener,
    pub(super) every: Duration,
    pub(super) stop_publishing: SyncSender<()>,
    /// Why the last one failed, so that it is said once.
    pub(super) failing: Option<String>,
}

impl Checkpointing {
    pub(super) fn run(mut self, asked: &Receiver<Request>) {
        let mut due = Instant::now() + self.every;
        loop {
            // However often something else is asked for.
            let request = asked.recv_timeout(due.saturating_duration_since(Instant::now()));
            if !matches!(request, Ok(Request::Stop(_))) {
                self.mend();
            }
            match request {
                Ok(Request::Mend) => {}
                Ok(Request::Checkpoint(done)) => {
                    // Who asked may have gone.
                    let _ = done.send(self.checkpoint());
                }
                Ok(Request::TakeOver(partitions, done)) => {
                    let taken = partitions.into_iter().map(|id| self.take_over(id));
                    let _ = done.send(taken.collect());
                }
                Ok(Request::GiveUp(mut partitions, done)) => {
                    partitions.retain(|id| self.checkpoints.is_of_another(id));
                    for id in &partitions {
                        self.give_up(id);
                    }
                    let _ = done.send(partitions);
                }
                Ok(Request::Stop(done)) => {
                    let _ = done.send(self.stop());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {
                    due = Instant::now() + self.every;
                    if self.shared.is_unsaved.load(Ordering::Acquire) {
                        let saved = self.checkpoint();
                        self.tell(saved);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    if let Err(error) = self.stop() {
                        tracing::error!(
                            %error,
                            "the last checkpoint failed; the log is read again from the one before"
                        );
                    }
                    return;
                }
            }
        }
    }

    /// The workers make decisions and dead letters durable and hand over their state; it is written here, each worker's
    /// as it comes.
    fn checkpoint(&mut self) -> Result<(), SaveError> {
        self.shared.is_unsaved.store(false, Ordering::Release);
        let result = self.save();
        if let Ok(durable) = &result {
            (self.on_checkpoint)(durable);
        } else {
            self.shared.is_unsaved.store(true, Ordering::Release);
            self.shared.failed_checkpoints.fetch_add(1, Ordering::Relaxed);
        }
        result.map(drop)
    }

    /// Says that checkpoints fail, and why, when that is news; and that they are written again. They may be tried several
    /// times a second.
    fn tell(&mut self, saved: Result<(), SaveError>) {
        let failing = saved.err().map(|error| error.to_string());
        match &failing {
            Some(error) if self.failing.as_ref() != Some(error) => {
                tracing::error!(
                    error,
                    "checkpoint failed; it is tried again and again, ingest goes on"
                );
            }
            None if self.failing.is_some() => tracing::info!("checkpoints are written again"),
            _ => {}
        }
        self.failing = failing;
    }

    /// What is durable then: everything, or it is an error.
    fn save(&mut self) -> Result<Vec<(PartitionId, i64)>, SaveError> {
        let since = Arc::new(self.checkpoints.continued());
        let (answer, answers) = sync_channel(self.workers.len());
        for worker in &self.workers {
            let task = Task::Save(Arc::clone(&since), answer.clone());
            if worker.send(task).is_err() {
                self.shared.worker_has_ended();
                return Err(PipelineEnded.into());
            }
        }
        drop(answer);
        let mut durable = Vec::new();
        let mut lost = Vec::new();
        let mut failure = None;
        let mut answered = 0;
        for states in answers {
            answered += 1;
            match states {
                Ok(states) => {
                    for state in states {
                        let (id, next_offset) = (state.id().clone(), state.next_offset());
                        match self.checkpoints.write(state) {
                            Ok(()) => durable.push((id, next_offset)),
                            Err(error @ CheckpointError::Fenced { .. }) => {
                                tracing::warn!(partition = %id, %error, "a partition is let go of");
                                lost.push(id);
                            }
                            Err(error) => failure = Some(error.into()),
                        }
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        if answered < self.workers.len() {
            self.shared.worker_has_ended();
            return Err(PipelineEnded.into());
        }
        for id in &lost {
            self.give_up(id);
        }
        lock(&self.shared.lost).append(&mut lost);
        failure.map_or(Ok(durable), Err)
    }

    fn take_over(&mut self, id: PartitionId) -> TakenOver {
        let outcome = self.claim(&id);
        if let Err(problem) = &outcome {
            tracing::debug!(partition = %id, %problem, "not taken over");
        }
        TakenOver { id, outcome }
    }

    fn claim(&mut self, id: &PartitionId) -> Result<StartsAt, ClaimError> {
        // What was learnt where the partition was before must be known here.
        self.shared.layers.refresh()?;
        let layers = self.shared.layers.table();
        let claimed = self.checkpoints.claim(id, self.shared.grid, &layers)?;
        let (starts_at, restored) = match claimed {
            Claimed::Held => return Ok(StartsAt::Here),
            Claimed::New => (StartsAt::Beginning, None),
            Claimed::Restored(restored) => {
                (StartsAt::Offset(restored.partition.next_offset()), Some(restored))
            }
        };
        tracing::info!(partition = %id, ?starts_at, "taken over");
        self.hand(id, |id| Task::TakeOver(id, restored));
        Ok(starts_at)
    }

    /// Reads partitions again whose state may be half changed. Those of the group are lost, and claimed anew when the group
    /// has heard of it; the source of another one is told where to begin anew.
    fn mend(&mut self) {
        let torn: Vec<PartitionId> = lock(&self.shared.torn).iter().cloned().collect();
        for id in torn {
            self.checkpoints.release(&id);
            if id.is_of_one_node() {
                let starts_at = match self.claim(&id) {
                    Ok(StartsAt::Offset(offset)) => offset,
                    Ok(StartsAt::Beginning | StartsAt::Here) => 0,
                    Err(error) => {
                        tracing::error!(%error, partition = %id, "its checkpoint cannot be read; it is tried again");
                        continue;
                    }
                };
                lock(&self.shared.rewinds).insert(id.clone(), starts_at);
                self.shared.has_rewinds.store(true, Ordering::Release);
            } else {
                lock(&self.shared.lost).push(id.clone());
            }
            lock(&self.shared.torn).remove(&id);
        }
    }

    fn give_up(&mut self, id: &PartitionId) {
        self.checkpoints.release(id);
        self.hand(id, Task::GiveUp);
    }

    fn hand(&self, id: &PartitionId, task: impl FnOnce(PartitionId) -> Task) {
        let worker = self.workers.get(worker_of(id, self.workers.len()));
        if worker.is_none_or(|worker| worker.send(task(id.clone())).is_err()) {
            self.shared.worker_has_ended();
        }
    }

    fn stop(&mut self) -> Result<(), SaveError> {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        // Its thread may have ended already.
        let _ = self.stop_publishing.try_send(());
        let saved = self.checkpoint();
        for worker in &self.workers {
            // One that has ended already needs no word.
            let _ = worker.send(Task::Stop);
        }
        saved
    }
}
