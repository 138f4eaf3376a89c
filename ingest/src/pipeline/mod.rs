//! From records to the grid: workers, each the only writer of its partitions, and a coordinator that publishes what
//! they made to readers and writes checkpoints, while the workers go on.
//!
//! A partition has the same worker as long as the process runs, so that its records are applied in order without a
//! lock. Queues are bounded: when a worker is behind, its sources stop reading, and nothing is dropped.

mod coordinator;
mod record;
mod worker;

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use self::coordinator::{Coordinator, Request};
use self::worker::{Task, Worker};
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
const WAITING_BATCHES: usize = 8;
/// How long a write that must not fail (a learnt layer, a dead letter) waits before it is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// The sources' and the shell's door to the pipeline.
#[derive(Clone, Debug)]
pub struct PipelineHandle {
    workers: Arc<[SyncSender<Task>]>,
    requests: SyncSender<Request>,
}

/// The pipeline has ended.
#[derive(Debug, thiserror::Error)]
#[error("the ingest task has ended")]
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
    /// Records were applied since the coordinator looked.
    has_changed: AtomicBool,
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
    workers: Vec<Worker>,
    coordinator: Coordinator,
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
            has_changed: AtomicBool::new(false),
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
        let coordinator = Coordinator {
            shared,
            workers: Vec::new(),
            publisher: self.publisher,
            checkpoints: self.checkpoints,
            on_checkpoint: self.on_checkpoint,
            settings: self.settings,
        };
        Ok(RestoredPipeline {
            workers,
            coordinator,
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
    pub fn start(mut self) -> std::io::Result<(PipelineHandle, GridReader)> {
        let views = self.workers.iter_mut().flat_map(Worker::views).collect();
        self.coordinator.publish(views);
        let reader = self.coordinator.publisher.reader();
        for (number, worker) in self.workers.into_iter().enumerate() {
            let (sender, tasks) = sync_channel(WAITING_BATCHES);
            std::thread::Builder::new()
                .name(format!("ingest-{number}"))
                .spawn(move || worker.run(&tasks))?;
            self.coordinator.workers.push(sender);
        }
        let (requests, asked) = sync_channel(1);
        let handle = PipelineHandle {
            workers: self.coordinator.workers.as_slice().into(),
            requests,
        };
        let coordinator = self.coordinator;
        std::thread::Builder::new()
            .name("coordinator".to_owned())
            .spawn(move || coordinator.run(&asked))?;
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
