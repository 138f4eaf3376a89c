//! What a pipeline is made of: its state is restored, then its threads are started.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::attempts::{self, Attempts};
use super::checkpointing::{CheckpointListener, Checkpointing};
use super::freshness::Freshness;
use super::handle::PipelineHandle;
use super::in_flight::InFlight;
use super::publishing::{Publishing, WorkerViews};
use super::shared::{EndOfWorker, Shared, worker_of};
use super::task::ViewDoor;
use super::worker::Worker;
use crate::checkpoint::{CheckpointError, CheckpointStore};
use crate::dead_letter::DeadLetterStore;
use crate::edge::Edge;
use crate::grid::{GridPublisher, GridReader, GridSettings};
use crate::layer_store::LayerCatalogue;
use crate::log::Feed;
use crate::log::kafka::DeadLetterTopic;
use crate::observer::EventObserver;
use crate::words::{EventTime, PartitionId};

/// Batches waiting for one worker. When they are that many the sources stop reading; nothing is dropped.
const WAITING_BATCHES: usize = 4;

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
