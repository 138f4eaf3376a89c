//! Writes checkpoints of what the workers hand over, at an interval while records come, and when asked.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::worker::Task;
use super::{CheckpointListener, PipelineEnded, Shared};
use crate::checkpoint::CheckpointStore;
use crate::grid::PartitionId;

/// What the shell asks for.
pub(super) enum Request {
    /// Write a checkpoint now.
    Checkpoint(oneshot::Sender<Result<(), String>>),
    /// Write a last checkpoint and end everything.
    Stop(oneshot::Sender<Result<(), String>>),
}

pub(super) struct Checkpointing {
    pub(super) shared: Arc<Shared>,
    pub(super) workers: Vec<SyncSender<Task>>,
    pub(super) checkpoints: CheckpointStore,
    pub(super) on_checkpoint: CheckpointListener,
    pub(super) every: Duration,
    pub(super) stop_publishing: SyncSender<()>,
}

impl Checkpointing {
    pub(super) fn run(mut self, asked: &Receiver<Request>) {
        loop {
            match asked.recv_timeout(self.every) {
                Ok(Request::Checkpoint(done)) => {
                    // Who asked may have gone.
                    let _ = done.send(self.checkpoint());
                }
                Ok(Request::Stop(done)) => {
                    let _ = done.send(self.stop());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.shared.is_unsaved.load(Ordering::Acquire)
                        && let Err(error) = self.checkpoint()
                    {
                        tracing::error!(error, "checkpoint failed; it is tried again, ingest goes on");
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    if let Err(error) = self.stop() {
                        tracing::error!(
                            error,
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
    fn checkpoint(&mut self) -> Result<(), String> {
        self.shared.is_unsaved.store(false, Ordering::Release);
        let result = self.save();
        match &result {
            Ok(durable) => (self.on_checkpoint)(durable),
            Err(_) => self.shared.is_unsaved.store(true, Ordering::Release),
        }
        result.map(drop)
    }

    /// What is durable then: everything, or it is an error.
    fn save(&mut self) -> Result<Vec<(PartitionId, i64)>, String> {
        let changes_only: Arc<HashSet<PartitionId>> =
            Arc::new(self.checkpoints.continued().cloned().collect());
        let (answer, answers) = sync_channel(self.workers.len());
        for worker in &self.workers {
            let task = Task::Save(Arc::clone(&changes_only), answer.clone());
            if worker.send(task).is_err() {
                self.shared.worker_has_ended();
                return Err(PipelineEnded.to_string());
            }
        }
        drop(answer);
        let mut durable = Vec::new();
        let mut failure = None;
        let mut answered = 0;
        for states in answers {
            answered += 1;
            match states {
                Ok(states) => {
                    for state in states {
                        match self.checkpoints.write(&state) {
                            Ok(()) => durable.push((state.id().clone(), state.next_offset())),
                            Err(error) => failure = Some(error.to_string()),
                        }
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        if answered < self.workers.len() {
            self.shared.worker_has_ended();
            return Err(PipelineEnded.to_string());
        }
        failure.map_or(Ok(durable), Err)
    }

    fn stop(&mut self) -> Result<(), String> {
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
