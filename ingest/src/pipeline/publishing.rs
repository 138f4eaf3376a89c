//! Lets readers see what the workers made, at an interval while records come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::freshness::Shown;
use super::shared::Shared;
use super::task::{Task, Views};
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
        let mut due = Instant::now() + self.every;
        while stopped.recv_timeout(self.every) == Err(RecvTimeoutError::Timeout) {
            // Without events a snapshot still moves `complete_to` when a partition falls idle.
            let is_unpublished = self.shared.is_unpublished.load(Ordering::Acquire);
            let now = Instant::now();
            if now
                < due
                    + if is_unpublished {
                        Duration::ZERO
                    } else {
                        3 * self.every
                    }
            {
                continue;
            }
            self.shared.is_unpublished.store(false, Ordering::Release);
            let (made, shown) = self.look();
            let began = Instant::now();
            self.publish();
            // Making a snapshot may take long on a large grid; ingest gets at least nine tenths of the time.
            let cost = made + began.elapsed();
            due = now + self.every.max(cost * 9);
            self.shared.freshness.published(&shown, now, due + 3 * self.every);
        }
        // Readers may still ask while the last checkpoint is written.
        self.look();
        self.publish();
    }

    /// Takes what the workers say: how long the slowest of them needed for it, and who said something.
    fn look(&mut self) -> (Duration, Vec<Shown>) {
        for worker in &mut self.workers {
            if !worker.is_asked {
                worker.wanted.store(true, Ordering::Release);
                // Wakes one that has nothing to do. One whose queue is full looks after its present batch.
                let _ = worker.tasks.try_send(Task::Look);
                worker.is_asked = true;
            }
        }
        let (mut slowest, mut shown) = (Duration::ZERO, Vec::new());
        for (number, worker) in self.workers.iter_mut().enumerate() {
            match worker.answers.recv_timeout(PATIENCE) {
                Ok(views) => {
                    worker.last = views.partitions;
                    worker.is_asked = false;
                    slowest = slowest.max(views.cost);
                    shown.push(Shown {
                        worker: number,
                        at: views.made,
                        has_more: views.has_more,
                    });
                }
                Err(RecvTimeoutError::Timeout) => {
                    // Shown as it was; what it says later is taken then.
                    self.shared.is_unpublished.store(true, Ordering::Release);
                }
                Err(RecvTimeoutError::Disconnected) => self.shared.worker_has_ended(),
            }
        }
        (slowest, shown)
    }

    /// Makes one snapshot of what the workers said last.
    pub(super) fn publish(&mut self) {
        let views = self.workers.iter().flat_map(|worker| worker.last.iter().cloned());
        // The table after the views: it holds every layer that they name.
        let layers = self.shared.layers.table();
        self.publisher.publish(views.collect(), layers, Instant::now());
    }
}
