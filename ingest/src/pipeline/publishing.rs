//! Lets readers see what the workers made, at an interval while records come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use super::Shared;
use super::worker::{Task, Views};
use crate::grid::{GridPublisher, Heard};

/// How long a worker may take to say what readers may see. One that waits for its disk holds nobody up: its partitions
/// are shown as they were.
const PATIENCE: Duration = Duration::from_millis(500);

/// A worker as who publishes knows it.
pub(super) struct WorkerViews {
    pub(super) wanted: Arc<AtomicBool>,
    pub(super) tasks: SyncSender<Task>,
    pub(super) answers: Receiver<Views>,
    /// Asked, and the answer not taken yet.
    pub(super) is_asked: bool,
    /// What it said last.
    pub(super) last: Vec<Heard>,
}

pub(super) struct Publishing {
    pub(super) shared: Arc<Shared>,
    pub(super) workers: Vec<WorkerViews>,
    pub(super) publisher: GridPublisher,
    pub(super) every: Duration,
}

impl Publishing {
    /// Runs until it is told to stop, or nobody can tell it any more.
    pub(super) fn run(mut self, stopped: &Receiver<()>) {
        let every = i64::try_from(self.every.as_micros()).unwrap_or(i64::MAX);
        let clock = self.shared.clock;
        let mut published = clock();
        while stopped.recv_timeout(self.every) == Err(RecvTimeoutError::Timeout) {
            // Without events a snapshot still moves `complete_to` when a partition falls idle.
            let is_unpublished = self.shared.is_unpublished.load(Ordering::Acquire);
            let due = if is_unpublished { every } else { 4 * every };
            let now = clock();
            if now.since(published) < due {
                continue;
            }
            self.shared.is_unpublished.store(false, Ordering::Release);
            let made = self.look();
            let began = clock();
            self.publish();
            // Making a snapshot may take long on a large grid; ingest gets at least nine tenths of the time.
            let cost = made + clock().since(began);
            published = now.plus((cost * 9 - every).max(0));
        }
        // Readers may still ask while the last checkpoint is written.
        self.look();
        self.publish();
    }

    /// Takes what the workers say, and returns the microseconds that the slowest of them needed for it.
    fn look(&mut self) -> i64 {
        for worker in &mut self.workers {
            if !worker.is_asked {
                worker.wanted.store(true, Ordering::Release);
                // Wakes one that has nothing to do. One whose queue is full looks after its present batch.
                let _ = worker.tasks.try_send(Task::Look);
                worker.is_asked = true;
            }
        }
        let mut slowest = 0;
        for worker in &mut self.workers {
            match worker.answers.recv_timeout(PATIENCE) {
                Ok(views) => {
                    worker.last = views.partitions;
                    worker.is_asked = false;
                    slowest = slowest.max(views.cost);
                }
                Err(RecvTimeoutError::Timeout) => {
                    // Shown as it was; what it says later is taken then.
                    self.shared.is_unpublished.store(true, Ordering::Release);
                }
                Err(RecvTimeoutError::Disconnected) => self.shared.worker_has_ended(),
            }
        }
        slowest
    }

    /// Makes one snapshot of what the workers said last.
    pub(super) fn publish(&mut self) {
        let views = self.workers.iter().flat_map(|worker| worker.last.iter().cloned());
        // The table after the views: it holds every layer that they name.
        let layers = self.shared.layers.table();
        self.publisher
            .publish(views.collect(), layers, (self.shared.clock)());
    }
}
