//! From records to the grid: workers, each the only writer of its partitions, and two threads beside them while they go
//! on: one publishes to readers what they made, one writes checkpoints.
//!
//! A partition has the same worker as long as the process runs, so that its records are applied in order without a
//! lock. Queues are bounded: when a worker is behind, its sources stop reading, and nothing is dropped.

mod checkpointing;
mod publishing;
mod record;
mod worker;

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use self::checkpointing::{Checkpointing, Request};
use self::publishing::{Publishing, WorkerViews};
use self::worker::{Task, ViewDoor, Worker};
use crate::checkpoint::{CheckpointError, CheckpointStore};
use crate::dead_letter::DeadLetterStore;
use crate::edge::Edge;
use crate::grid::{GridPublisher, GridReader, GridSettings, PartitionId};
use crate::layer_store::LayerCatalogue;
use crate::observer::EventObserver;
use crate::source::kafka::DeadLetterTopic;
use crate::time::EventTime;

pub use record::{Feed, PartitionBatch, Payload, Record, Records};

/// Batches waiting for one worker. When they are that many the sources stop reading; nothing is dropped.
const WAITING_BATCHES: usize = 4;
/// How long a write that must not fail (a learnt layer, a dead letter) waits before it is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// The sources' and the shell's door to the pipeline.
#[derive(Clone)]
pub struct PipelineHandle {
    workers: Arc<[SyncSender<Task>]>,
    requests: SyncSender<Request>,
    shared: Arc<Shared>,
}

/// The pipeline has ended.
#[derive(Debug, thiserror::Error)]
#[error("ingest has ended")]
pub struct PipelineEnded;

impl PipelineHandle {
    /// Hands over a batch; blocks while its worker's queue is full.
    pub fn send(&self, batch: PartitionBatch) -> Result<(), PipelineEnded> {
        let worker = worker_of(&batch.partition, self.workers.len());
        self.workers
            .get(worker)
            .ok_or(PipelineEnded)?
            .send(Task::Apply(batch))
            .map_err(|_| PipelineEnded)
    }

    /// Whether a thread of it has ended without being asked to: a defect, after which the process should be started again.
    pub fn has_failed(&self) -> bool {
        self.shared.has_failed.load(Ordering::Relaxed)
    }

    /// Writes a checkpoint now.
    ///
    /// # Errors
    /// Says what went wrong; the pipeline goes on.
    pub async fn checkpoint(&self) -> Result<(), String> {
        self.ask(Request::Checkpoint).await
    }

    /// Applies what is queued, writes a last checkpoint, and ends the threads.
    pub async fn stop(&self) -> Result<(), String> {
        self.ask(Request::Stop).await
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), String>>) -> Request + Send + 'static,
    ) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let requests = self.requests.clone();
        // The coordinator may be busy, and a blocked send must not hold an async worker.
        let sent = tokio::task::spawn_blocking(move || requests.send(request(done))).await;
        match sent {
            Ok(Ok(())) => answer.await.unwrap_or_else(|_| Err(PipelineEnded.to_string())),
            _ => Err(PipelineEnded.to_string()),
        }
    }
}

/// Which worker has a partition: those of one topic are spread evenly.
fn worker_of(id: &PartitionId, workers: usize) -> usize {
    let mut hasher = twox_hash::XxHash3_64::with_seed(0);
    id.topic.hash(&mut hasher);
    let first = hasher.finish() as usize % workers.max(1);
    (first + id.partition.unsigned_abs() as usize) % workers.max(1)
}

/// Intervals and limits of the pipeline.
#[derive(Clone, Copy, Debug)]
pub struct PipelineSettings {
    /// Longest time between two snapshots while events come.
    pub publish_every: Duration,
    /// Time between two checkpoints while events come.
    pub checkpoint_every: Duration,
    /// Bytes of the largest event.
    pub max_event: usize,
    /// Threads that apply events, at least one.
    pub workers: usize,
}

/// What became durable with a checkpoint: the offsets that may be committed to Kafka.
pub type CheckpointListener = Box<dyn FnMut(&[(PartitionId, i64)]) + Send>;

/// What the workers share.
struct Shared {
    edge: Edge,
    grid: GridSettings,
    layers: LayerCatalogue,
    dead_letters: DeadLetterStore,
    dead_letter_topic: Option<Arc<DeadLetterTopic>>,
    max_event: usize,
    clock: fn() -> EventTime,
    /// Records were applied since the last publication.
    is_unpublished: AtomicBool,
    /// Records were applied since the last checkpoint.
    is_unsaved: AtomicBool,
    /// A worker has ended without being asked to.
    has_failed: AtomicBool,
}

impl Shared {
    fn worker_has_ended(&self) {
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "a thread of ingest has ended by a defect: nothing more is published or saved; start riskgrid again, the log is read from the last checkpoint on"
            );
        }
    }
}

/// Everything that the pipeline is made of.
pub struct Pipeline {
    /// Shapes the partitions.
    pub grid: GridSettings,
    /// Lets readers see them.
    pub publisher: GridPublisher,
    /// Judges candidates.
    pub edge: Edge,
    /// All layers, and where learnt ones are kept.
    pub layers: LayerCatalogue,
    /// Keeps refused records.
    pub dead_letters: DeadLetterStore,
    /// Is told of refused records, when Kafka is the log.
    pub dead_letter_topic: Option<Arc<DeadLetterTopic>>,
    /// Keeps the grid.
    pub checkpoints: CheckpointStore,
    /// Makes each worker's alert rules.
    pub observer: Box<dyn Fn() -> Box<dyn EventObserver>>,
    /// Told of durable offsets.
    pub on_checkpoint: CheckpointListener,
    /// Intervals.
    pub settings: PipelineSettings,
    /// The wall clock; the pipeline itself reads none.
    pub clock: fn() -> EventTime,
}

/// A pipeline whose partitions are as the newest checkpoints hold them.
pub struct RestoredPipeline {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    publisher: GridPublisher,
    checkpoints: CheckpointStore,
    on_checkpoint: CheckpointListener,
    settings: PipelineSettings,
    offsets: BTreeMap<PartitionId, i64>,
}

impl Pipeline {
    /// Puts the newest checkpoints into the grid.
    ///
    /// # Errors
    /// A checkpoint that cannot be used: nothing is overwritten, and the message says what to do.
    pub fn restore(mut self) -> Result<RestoredPipeline, CheckpointError> {
        let shared = Arc::new(Shared {
            edge: self.edge,
            grid: self.grid,
            layers: self.layers,
            dead_letters: self.dead_letters,
            dead_letter_topic: self.dead_letter_topic,
            max_event: self.settings.max_event,
            clock: self.clock,
            is_unpublished: AtomicBool::new(false),
            is_unsaved: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
        });
        let mut workers: Vec<Worker> = (0..self.settings.workers.max(1))
            .map(|_| Worker::new(Arc::clone(&shared), (self.observer)()))
            .collect();
        let mut offsets = BTreeMap::new();
        let count = workers.len();
        for restored in self.checkpoints.load(self.grid, &shared.layers.table())? {
            let id = restored.partition.id().clone();
            offsets.insert(id.clone(), restored.partition.next_offset());
            if let Some(worker) = workers.get_mut(worker_of(&id, count)) {
                worker.restore(restored.partition, &restored.rules);
            }
        }
        Ok(RestoredPipeline {
            shared,
            workers,
            publisher: self.publisher,
            checkpoints: self.checkpoints,
            on_checkpoint: self.on_checkpoint,
            settings: self.settings,
            offsets,
        })
    }
}

impl RestoredPipeline {
    /// The offset that each partition reads next.
    pub const fn offsets(&self) -> &BTreeMap<PartitionId, i64> {
        &self.offsets
    }

    /// Publishes what is there, and starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self) -> std::io::Result<(PipelineHandle, GridReader)> {
        let reader = self.publisher.reader();
        let (mut workers, mut views) = (Vec::new(), Vec::new());
        for (number, mut worker) in self.workers.into_iter().enumerate() {
            let (sender, tasks) = sync_channel(WAITING_BATCHES);
            let (answer, answers) = sync_channel(1);
            let wanted = Arc::new(AtomicBool::new(false));
            views.push(WorkerViews {
                wanted: Arc::clone(&wanted),
                tasks: sender.clone(),
                answers,
                is_asked: false,
                last: worker.views(),
            });
            workers.push(sender);
            std::thread::Builder::new()
                .name(format!("ingest-{number}"))
                .spawn(move || worker.run(&tasks, &ViewDoor { wanted, answer }))?;
        }
        let mut publishing = Publishing {
            shared: Arc::clone(&self.shared),
            workers: views,
            publisher: self.publisher,
            every: self.settings.publish_every,
        };
        publishing.publish();
        let (stop_publishing, stopped) = sync_channel(1);
        std::thread::Builder::new()
            .name("publish".to_owned())
            .spawn(move || publishing.run(&stopped))?;
        let (requests, asked) = sync_channel(1);
        let checkpointing = Checkpointing {
            shared: Arc::clone(&self.shared),
            workers: workers.clone(),
            checkpoints: self.checkpoints,
            on_checkpoint: self.on_checkpoint,
            every: self.settings.checkpoint_every,
            stop_publishing,
        };
        std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || checkpointing.run(&asked))?;
        let handle = PipelineHandle {
            workers: workers.into(),
            requests,
            shared: self.shared,
        };
        Ok((handle, reader))
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pipeline")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
