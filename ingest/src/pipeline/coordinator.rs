//! The thread that looks at the clock: publishes snapshots, and writes checkpoints of what the workers hand it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::worker::Task;
use super::{CheckpointListener, PipelineEnded, PipelineSettings, Shared};
use crate::checkpoint::{CheckpointStore, PartitionState};
use crate::grid::{GridPublisher, Heard, PartitionId};

/// What the shell asks for.
pub(super) enum Request {
    /// Write a checkpoint now.
    Checkpoint(oneshot::Sender<Result<(), String>>),
    /// Publish, write a last checkpoint and end.
    Stop(oneshot::Sender<Result<(), String>>),
}

pub(super) struct Coordinator {
    pub(super) shared: Arc<Shared>,
    pub(super) workers: Vec<SyncSender<Task>>,
    pub(super) publisher: GridPublisher,
    pub(super) checkpoints: CheckpointStore,
    pub(super) on_checkpoint: CheckpointListener,
    pub(super) settings: PipelineSettings,
}

impl Coordinator {
    pub(super) fn run(mut self, asked: &Receiver<Request>) {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let (publish_every, checkpoint_every) = (
            micros(self.settings.publish_every),
            micros(self.settings.checkpoint_every),
        );
        let clock = self.shared.clock;
        let mut published = clock();
        let mut saved = published;
        // Set by the first records applied after a publication or checkpoint.
        let (mut unpublished, mut unsaved) = (false, false);
        loop {
            match asked.recv_timeout(self.settings.publish_every) {
                Ok(Request::Checkpoint(done)) => {
                    let result = self.checkpoint();
                    unsaved &= result.is_err();
                    // Who asked may have gone.
                    let _ = done.send(result);
                }
                Ok(Request::Stop(done)) => {
                    let _ = done.send(self.stop());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
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
            if self.shared.has_changed.swap(false, Ordering::Acquire) {
                (unpublished, unsaved) = (true, true);
            }
            let now = clock();
            // Without events a snapshot still moves `complete_to` when a partition falls idle.
            let due = if unpublished {
                publish_every
            } else {
                4 * publish_every
            };
            if now.since(published) >= due {
                if let Err(ended) = self.look_and_publish() {
                    tracing::error!(%ended, "a worker is gone; nothing more is published");
                    return;
                }
                // Making a snapshot may take long on a large grid; ingest gets at least nine tenths of the time.
                let cost = clock().since(now);
                published = now.plus(cost + (cost * 9 - publish_every).max(0));
                unpublished = false;
            }
            if unsaved && now.since(saved) >= checkpoint_every {
                match self.checkpoint() {
                    Ok(()) => unsaved = false,
                    Err(error) => {
                        tracing::error!(error, "checkpoint failed; it is tried again, ingest goes on");
                    }
                }
                saved = clock();
            }
        }
    }

    /// Asks every worker, and collects the answers.
    fn ask<T: Send + 'static>(&self, task: impl Fn(SyncSender<T>) -> Task) -> Result<Vec<T>, PipelineEnded> {
        let (answer, answers) = sync_channel(self.workers.len());
        for worker in &self.workers {
            worker.send(task(answer.clone())).map_err(|_| PipelineEnded)?;
        }
        drop(answer);
        let all: Vec<T> = answers.iter().collect();
        if all.len() == self.workers.len() {
            Ok(all)
        } else {
            Err(PipelineEnded)
        }
    }

    fn look_and_publish(&mut self) -> Result<(), PipelineEnded> {
        let views = self.ask(Task::View)?.into_iter().flatten().collect();
        self.publish(views);
        Ok(())
    }

    /// Lets readers see all partitions.
    pub(super) fn publish(&mut self, views: Vec<Heard>) {
        // The table after the views: it holds every layer that they name.
        let layers = self.shared.layers.table();
        self.publisher.publish(views, layers, (self.shared.clock)());
    }

    /// The workers make decisions and dead letters durable and hand over their state; it is written here.
    fn checkpoint(&mut self) -> Result<(), String> {
        let changes_only: Arc<HashSet<PartitionId>> =
            Arc::new(self.checkpoints.continued().cloned().collect());
        let answers = self
            .ask(|answer| Task::Save(Arc::clone(&changes_only), answer))
            .map_err(|ended| ended.to_string())?;
        let mut durable = Vec::new();
        let mut failure = None;
        for answer in answers {
            match answer {
                Ok(states) => {
                    for state in states {
                        self.write(&state, &mut durable, &mut failure);
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        (self.on_checkpoint)(&durable);
        failure.map_or(Ok(()), Err)
    }

    fn write(
        &mut self,
        state: &PartitionState,
        durable: &mut Vec<(PartitionId, i64)>,
        failure: &mut Option<String>,
    ) {
        match self.checkpoints.write(state) {
            Ok(()) => durable.push((state.id().clone(), state.next_offset())),
            Err(error) => *failure = Some(error.to_string()),
        }
    }

    fn stop(&mut self) -> Result<(), String> {
        let published = self.look_and_publish().map_err(|ended| ended.to_string());
        let saved = self.checkpoint();
        for worker in &self.workers {
            // One that has ended already needs no word.
            let _ = worker.send(Task::Stop);
        }
        published.and(saved)
    }
}
