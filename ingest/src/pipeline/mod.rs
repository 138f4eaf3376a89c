//! From records to the grid: workers, each the only writer of its partitions, and two threads beside them while they go
//! on: one publishes to readers what they made, one writes checkpoints.
//!
//! A partition has the same worker as long as the process runs, so that its records are applied in order without a
//! lock. Queues are bounded: when a worker is behind, its sources stop reading, and nothing is dropped.

mod applying;
mod attempts;
mod checkpointing;
mod defects;
mod freshness;
mod in_flight;
mod publishing;
mod record;
mod replaying;
mod timers;
mod tries;
mod worker;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::attempts::Attempts;
use self::checkpointing::{Checkpointing, Request};
use self::freshness::Freshness;
use self::in_flight::InFlight;
use self::publishing::{Publishing, WorkerViews};
use self::worker::{Task, ViewDoor, Worker};
use crate::checkpoint::{CheckpointError, CheckpointStore};
use crate::dead_letter::{DeadLetterStore, LetterKey};
use crate::edge::Edge;
use crate::grid::{GridPublisher, GridReader, GridSettings, PartitionId};
use crate::layer_store::LayerCatalogue;
use crate::observer::EventObserver;
use crate::places::Places;
use crate::source::kafka::DeadLetterTopic;
use crate::time::EventTime;

pub use record::{Feed, PartitionBatch, Payload, Record, Records};
pub use replaying::{ReplayError, Replayed};

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
    pub async fn checkpoint(&self) -> Result<(), String> {
        self.ask(Request::Checkpoint).await
    }

    /// Writes a checkpoint now, and blocks until it is written.
    ///
    /// # Errors
    /// Says what went wrong; the pipeline goes on.
    pub fn checkpoint_blocking(&self) -> Result<(), String> {
        self.ask_blocking(Request::Checkpoint)
            .unwrap_or_else(|ended| Err(ended.to_string()))
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
    pub async fn stop(&self) -> Result<(), String> {
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
    /// Bytes of all sealed slices, shared evenly by the workers. Past them the oldest are coarsened, then dropped.
    pub grid_bytes: usize,
}

/// A partition that was to be taken over.
#[derive(Debug)]
pub struct TakenOver {
    /// Which.
    pub id: PartitionId,
    /// What came of it.
    pub outcome: Result<StartsAt, String>,
}

/// Where a partition of this node is read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartsAt {
    /// Where this node stands: it had it all the time.
    Here,
    /// At the offset of its newest checkpoint.
    Offset(i64),
    /// At the beginning of its log: there is no checkpoint of it.
    Beginning,
}

/// What became durable with a checkpoint: the offsets that may be committed to Kafka.
pub type CheckpointListener = Box<dyn FnMut(&[(PartitionId, i64)]) + Send>;

/// What the workers share.
struct Shared {
    edge: Edge,
    grid: GridSettings,
    layers: LayerCatalogue,
    places: Arc<Places>,
    dead_letters: DeadLetterStore,
    dead_letter_topic: Option<Arc<DeadLetterTopic>>,
    topics: HashMap<Arc<str>, Option<Arc<Feed>>>,
    max_event: usize,
    /// Bytes of the sealed slices of one worker.
    worker_bytes: usize,
    clock: fn() -> EventTime,
    /// Batches handed over and not applied, by worker.
    waiting: Vec<InFlight>,
    /// Partitions whose state may be half changed.
    torn: Mutex<BTreeSet<PartitionId>>,
    /// Where the sources of partitions of this node alone are to begin anew.
    rewinds: Mutex<HashMap<PartitionId, i64>>,
    has_rewinds: AtomicBool,
    /// How a worker asks for what it must not wait for.
    requests: OnceLock<SyncSender<Request>>,
    /// Records were applied since the last publication.
    is_unpublished: AtomicBool,
    /// Records were applied since the last checkpoint.
    is_unsaved: AtomicBool,
    /// A worker has ended without being asked to.
    has_failed: AtomicBool,
    /// The last checkpoint is to be written: nobody waits for the disk any more.
    is_stopping: AtomicBool,
    freshness: Freshness,
    failed_checkpoints: AtomicU64,
    /// Partitions that turned out to be another node's; there are never more than the node had.
    lost: Mutex<Vec<PartitionId>>,
}

/// What is behind these locks is whole, whoever panicked while holding one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Has the state of a partition read again from its checkpoint.
    fn mend(&self, id: PartitionId) {
        lock(&self.torn).insert(id);
        if let Some(requests) = self.requests.get() {
            // Where its queue is full it has something to do, and looks after that.
            let _ = requests.try_send(Request::Mend);
        }
    }

    fn worker_has_ended(&self) {
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "a thread of ingest has ended by a defect: nothing more is published or saved; start riskgrid again, the log is read from the last checkpoint on"
            );
        }
    }
}

/// Lets go of who waits for a worker that has ended.
struct EndOfWorker<'a>(&'a Shared, usize);

impl Drop for EndOfWorker<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.0.waiting.get(self.1) {
            waiting.end();
        }
    }
}

/// Everything that the pipeline is made of.
pub struct Pipeline {
    /// Shapes the partitions.
    pub grid: GridSettings,
    /// Lets readers see them. The areas of its places are put on events.
    pub publisher: GridPublisher,
    /// Judges candidates.
    pub edge: Edge,
    /// All layers, and where learnt ones are kept.
    pub layers: LayerCatalogue,
    /// Keeps refused records.
    pub dead_letters: DeadLetterStore,
    /// Is told of refused records, when Kafka is the log.
    pub dead_letter_topic: Option<Arc<DeadLetterTopic>>,
    /// The topics that are read, as partitions name them, and the feed that maps each; none for CloudEvents.
    pub topics: HashMap<Arc<str>, Option<Arc<Feed>>>,
    /// Keeps the grid.
    pub checkpoints: CheckpointStore,
    /// The folder where workers note what they are at, so that a record which ends the process is known after it.
    pub attempts: Option<PathBuf>,
    /// Makes each worker's alert rules.
    pub observer: Box<dyn Fn() -> Box<dyn EventObserver> + Send>,
    /// Told of durable offsets.
    pub on_checkpoint: CheckpointListener,
    /// Intervals.
    pub settings: PipelineSettings,
    /// The wall clock, for what events are judged by; nothing is paced by it.
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
    /// Puts the newest checkpoints of the partitions that this node had last into the grid.
    ///
    /// # Errors
    /// A checkpoint that cannot be used: nothing is overwritten, and the message says what to do.
    pub fn restore(mut self) -> Result<RestoredPipeline, CheckpointError> {
        let count = self.settings.workers.max(1);
        let shared = Arc::new(Shared {
            edge: self.edge,
            grid: self.grid,
            layers: self.layers,
            places: Arc::clone(self.publisher.places()),
            dead_letters: self.dead_letters,
            dead_letter_topic: self.dead_letter_topic,
            topics: self.topics,
            max_event: self.settings.max_event,
            worker_bytes: self.settings.grid_bytes / count,
            clock: self.clock,
            waiting: (0..count).map(|_| InFlight::default()).collect(),
            torn: Mutex::default(),
            rewinds: Mutex::default(),
            has_rewinds: AtomicBool::new(false),
            requests: OnceLock::new(),
            is_unpublished: AtomicBool::new(false),
            is_unsaved: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            freshness: Freshness::new(count, self.settings.publish_every, Instant::now()),
            failed_checkpoints: AtomicU64::new(0),
            lost: Mutex::default(),
        });
        let mut workers: Vec<Worker> = (0..count)
            .map(|number| Worker::new(number, Arc::clone(&shared), (self.observer)()))
            .collect();
        if let Some(folder) = &self.attempts {
            for (id, tries) in attempts::left_behind(folder) {
                if let Some(worker) = workers.get_mut(worker_of(&id, count)) {
                    worker.suspects.entry(id).or_default().add(tries);
                }
            }
            for (number, worker) in workers.iter_mut().enumerate() {
                match Attempts::open(folder, number) {
                    Ok(attempts) => worker.attempts = Arc::new(attempts),
                    Err(error) => {
                        tracing::warn!(%error, folder = %folder.display(), "a record that ends the process cannot be told after it");
                    }
                }
            }
        }
        let mut offsets = BTreeMap::new();
        for restored in self.checkpoints.restore_own(self.grid, &shared.layers.table())? {
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
            let shared = Arc::clone(&self.shared);
            std::thread::Builder::new()
                .name(format!("ingest-{number}"))
                .spawn(move || {
                    // Also when it panics: a source that waits for room must not wait for ever.
                    let _end = EndOfWorker(&shared, number);
                    worker.run(&tasks, &ViewDoor { wanted, answer });
                })?;
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
        // Set once, here.
        let _ = self.shared.requests.set(requests.clone());
        let checkpointing = Checkpointing {
            shared: Arc::clone(&self.shared),
            workers: workers.clone(),
            checkpoints: self.checkpoints,
            on_checkpoint: self.on_checkpoint,
            every: self.settings.checkpoint_every,
            stop_publishing,
            failing: None,
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
