//! The one task that writes the grid: takes records from a bounded queue, decodes and judges them, applies what is
//! accepted, keeps what is refused, publishes snapshots and writes checkpoints.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::checkpoint::{CheckpointError, CheckpointStore};
use crate::dead_letter::{DeadLetter, DeadLetterStore};
use crate::decode::cloudevent::{BinaryAttributes, decode_binary, decode_structured};
use crate::decode::feed::FeedMapper;
use crate::edge::{Edge, FeedRules, Judged};
use crate::event::{Candidate, EventKind};
use crate::grid::{Applied, GridReader, GridWriter, PartitionId};
use crate::layer::{LIVE_DOMAIN, LayerTable};
use crate::layer_store::LayerStore;
use crate::observer::EventObserver;
use crate::refusal::{Refusal, RefusalReason};
use crate::source::kafka::DeadLetterTopic;
use crate::time::EventTime;

/// Batches waiting for the grid. When it is full the sources stop reading; nothing is dropped.
const WAITING_BATCHES: usize = 64;
/// How long a write that must not fail (a learnt layer, a dead letter) waits before it is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// One record of the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its offset in the partition.
    pub offset: i64,
    /// When the log received it; `in_future` compares with it.
    pub received: EventTime,
    /// What it holds.
    pub payload: Payload,
}

/// The forms in which records hold events.
#[derive(Clone, Debug)]
pub enum Payload {
    /// One CloudEvent in structured mode.
    Structured(Vec<u8>),
    /// One CloudEvent in binary mode.
    Binary(Box<BinaryAttributes<'static>>, Vec<u8>),
    /// The events of one HTTP request, each in structured mode.
    Group(Vec<Vec<u8>>),
    /// A row of a mapped feed.
    Row(Vec<u8>),
    /// More bytes than are read at all: the first ones, and how many there were.
    TooLarge(Vec<u8>, u64),
}

/// Records of one partition, in order.
#[derive(Debug)]
pub struct PartitionBatch {
    /// Which partition.
    pub partition: PartitionId,
    /// The feed that maps it; none for CloudEvents.
    pub feed: Option<Arc<Feed>>,
    /// Ascending offsets.
    pub records: Vec<Record>,
    /// Whether the source had nothing more when it read these: the partition is caught up.
    pub caught_up: bool,
}

/// A mapped feed, compiled.
#[derive(Debug)]
pub struct Feed {
    /// Its name.
    pub name: String,
    /// Rows to candidates.
    pub mapper: FeedMapper,
    /// What holds for all its events.
    pub rules: FeedRules,
}

enum Message {
    Batch(PartitionBatch),
    Checkpoint(oneshot::Sender<Result<(), String>>),
    Stop(oneshot::Sender<Result<(), String>>),
}

/// The sources' and the shell's door to the pipeline.
#[derive(Clone, Debug)]
pub struct PipelineHandle(SyncSender<Message>);

/// The pipeline has ended.
#[derive(Debug, thiserror::Error)]
#[error("the ingest task has ended")]
pub struct PipelineEnded;

impl PipelineHandle {
    /// Hands over a batch; blocks while the queue is full.
    pub fn send(&self, batch: PartitionBatch) -> Result<(), PipelineEnded> {
        self.0.send(Message::Batch(batch)).map_err(|_| PipelineEnded)
    }

    /// Writes a checkpoint now.
    ///
    /// # Errors
    /// Says what went wrong; the pipeline goes on.
    pub async fn checkpoint(&self) -> Result<(), String> {
        self.ask(Message::Checkpoint).await
    }

    /// Applies what is queued, writes a last checkpoint, and ends the task.
    pub async fn stop(&self) -> Result<(), String> {
        self.ask(Message::Stop).await
    }

    async fn ask(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<(), String>>) -> Message + Send + 'static,
    ) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let sender = self.0.clone();
        // The queue may be full, and a blocked send must not hold an async worker.
        let sent = tokio::task::spawn_blocking(move || sender.send(message(done))).await;
        match sent {
            Ok(Ok(())) => answer.await.unwrap_or_else(|_| Err(PipelineEnded.to_string())),
            _ => Err(PipelineEnded.to_string()),
        }
    }
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
}

/// What became durable with a checkpoint: the offsets that may be committed to Kafka.
pub type CheckpointListener = Box<dyn FnMut(&[(PartitionId, i64)]) + Send>;

/// Everything that the task owns.
pub struct Pipeline {
    /// The grid.
    pub writer: GridWriter,
    /// Judges candidates.
    pub edge: Edge,
    /// Keeps refused records.
    pub dead_letters: DeadLetterStore,
    /// Is told of refused records, when Kafka is the log.
    pub dead_letter_topic: Option<Arc<DeadLetterTopic>>,
    /// Keeps learnt layers.
    pub layer_store: LayerStore,
    /// Keeps the grid.
    pub checkpoints: CheckpointStore,
    /// Alert rules.
    pub observer: Box<dyn EventObserver>,
    /// Told of durable offsets.
    pub on_checkpoint: CheckpointListener,
    /// Intervals.
    pub settings: PipelineSettings,
    /// The wall clock; the pipeline itself reads none.
    pub clock: fn() -> EventTime,
}

impl Pipeline {
    /// Puts the newest checkpoints into the grid and publishes it. Returns the offset that each partition reads next.
    ///
    /// # Errors
    /// A checkpoint that cannot be used: nothing is overwritten, and the message says what to do.
    pub fn restore(&mut self) -> Result<BTreeMap<PartitionId, i64>, CheckpointError> {
        let layers = Arc::clone(self.writer.layers());
        let mut offsets = BTreeMap::new();
        for restored in self.checkpoints.load(*self.writer.settings(), &layers)? {
            let id = restored.partition.id().clone();
            offsets.insert(id.clone(), restored.partition.next_offset());
            self.observer.restore(&id, &restored.rules);
            self.writer.insert(restored.partition);
        }
        self.writer.publish((self.clock)());
        Ok(offsets)
    }

    /// Starts the task on a thread of its own.
    pub fn spawn(self) -> std::io::Result<(PipelineHandle, GridReader)> {
        let (sender, receiver) = sync_channel(WAITING_BATCHES);
        let reader = self.writer.reader();
        std::thread::Builder::new()
            .name("ingest".to_owned())
            .spawn(move || self.run(&receiver))?;
        Ok((PipelineHandle(sender), reader))
    }

    fn run(mut self, receiver: &Receiver<Message>) {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let (publish_every, checkpoint_every) = (
            micros(self.settings.publish_every),
            micros(self.settings.checkpoint_every),
        );
        let mut published = (self.clock)();
        let mut saved = published;
        // Set by the first event after a publication or checkpoint.
        let (mut unpublished, mut unsaved) = (false, false);
        loop {
            match receiver.recv_timeout(self.settings.publish_every) {
                Ok(Message::Batch(batch)) => {
                    self.apply(&batch);
                    (unpublished, unsaved) = (true, true);
                }
                Ok(Message::Checkpoint(done)) => {
                    let result = self.checkpoint();
                    unsaved &= result.is_err();
                    let _ = done.send(result);
                }
                Ok(Message::Stop(done)) => {
                    self.writer.publish((self.clock)());
                    let _ = done.send(self.checkpoint());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    if let Err(error) = self.checkpoint() {
                        tracing::error!(
                            error,
                            "the last checkpoint failed; the log is read again from the one before"
                        );
                    }
                    return;
                }
            }
            let now = (self.clock)();
            // Without events a snapshot still moves `complete_to` when a partition falls idle.
            let due = if unpublished {
                publish_every
            } else {
                4 * publish_every
            };
            if now.since(published) >= due {
                self.writer.publish(now);
                // Making a snapshot may take long on a large grid; ingest gets at least nine tenths of the time.
                let cost = (self.clock)().since(now);
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
                saved = (self.clock)();
            }
        }
    }

    /// Decisions first, dead letters next, then the grid's state with its offsets.
    fn checkpoint(&mut self) -> Result<(), String> {
        self.observer
            .flush()
            .map_err(|error| format!("alert decisions could not be stored: {error}"))?;
        if let Some(topic) = &self.dead_letter_topic {
            topic
                .flush()
                .map_err(|error| format!("refused records are not in Kafka: {error}"))?;
        }
        self.dead_letters.persist().map_err(|error| error.to_string())?;
        let layers = Arc::clone(self.writer.layers());
        let mut durable = Vec::new();
        for partition in self.writer.partitions_mut() {
            let rules = self.observer.save(partition.id());
            self.checkpoints
                .save(partition, &layers, rules)
                .map_err(|error| error.to_string())?;
            durable.push((partition.id().clone(), partition.next_offset()));
        }
        (self.on_checkpoint)(&durable);
        Ok(())
    }

    /// Applies the records of one batch.
    fn apply(&mut self, batch: &PartitionBatch) {
        let live_rules;
        let rules = if let Some(feed) = &batch.feed {
            &feed.rules
        } else {
            live_rules = FeedRules {
                domain: LIVE_DOMAIN.to_owned(),
                ..FeedRules::default()
            };
            &live_rules
        };
        let domain: Arc<str> = rules.domain.as_str().into();
        let id = &batch.partition;
        self.writer.partition(id, &domain);
        self.writer.heard_from(id, (self.clock)());
        for record in &batch.records {
            // A source that starts again may hand over what is in the grid already.
            if record.offset < self.writer.partition(id, &domain).next_offset() {
                continue;
            }
            self.apply_record(id, &domain, rules, batch.feed.as_deref(), record);
            self.writer.partition(id, &domain).next_offset = record.offset + 1;
        }
        let newest = self.writer.partition(id, &domain).newest();
        let now = match (batch.caught_up && rules.valid.is_none(), newest) {
            (true, _) => (self.clock)(),
            (false, Some(newest)) => newest,
            (false, None) => return,
        };
        self.observer.advance(id, &domain, now);
    }

    fn apply_record(
        &mut self,
        id: &PartitionId,
        domain: &Arc<str>,
        rules: &FeedRules,
        feed: Option<&Feed>,
        record: &Record,
    ) {
        let place = |index| (record.offset, index);
        match &record.payload {
            Payload::TooLarge(start, size) => {
                let refusal = self.too_large(*size);
                self.refuse(id, domain, place(0), record.received, &refusal, start, *size);
            }
            Payload::Structured(bytes) => {
                let candidate = self.checked_size(bytes).and_then(|()| decode_structured(bytes));
                self.judge(id, domain, rules, place(0), record.received, candidate, bytes);
            }
            Payload::Binary(attributes, bytes) => {
                let candidate = self
                    .checked_size(bytes)
                    .and_then(|()| decode_binary((**attributes).clone(), bytes));
                self.judge(id, domain, rules, place(0), record.received, candidate, bytes);
            }
            Payload::Group(events) => {
                for (index, bytes) in events.iter().enumerate() {
                    let candidate = self.checked_size(bytes).and_then(|()| decode_structured(bytes));
                    self.judge(
                        id,
                        domain,
                        rules,
                        place(index as u32),
                        record.received,
                        candidate,
                        bytes,
                    );
                }
            }
            Payload::Row(bytes) => {
                if let Err(refusal) = self.checked_size(bytes) {
                    self.refuse(
                        id,
                        domain,
                        place(0),
                        record.received,
                        &refusal,
                        bytes,
                        bytes.len() as u64,
                    );
                } else if let Some(feed) = feed {
                    for (index, candidate) in feed.mapper.map(bytes).into_iter().enumerate() {
                        self.judge(
                            id,
                            domain,
                            rules,
                            place(index as u32),
                            record.received,
                            candidate,
                            bytes,
                        );
                    }
                }
            }
        }
    }

    fn too_large(&self, size: u64) -> Refusal {
        let detail = format!("{size} bytes, edge.max_event is {}", self.settings.max_event);
        Refusal::new(RefusalReason::TooLarge, detail)
    }

    fn checked_size(&self, bytes: &[u8]) -> Result<(), Refusal> {
        if bytes.len() > self.settings.max_event {
            Err(self.too_large(bytes.len() as u64))
        } else {
            Ok(())
        }
    }

    /// Judges one event of a record, and applies or keeps it.
    #[expect(
        clippy::too_many_arguments,
        reason = "the place of the event and the event, no state"
    )]
    fn judge(
        &mut self,
        id: &PartitionId,
        domain: &Arc<str>,
        rules: &FeedRules,
        place: (i64, u32),
        received: EventTime,
        candidate: Result<Candidate<'_>, Refusal>,
        bytes: &[u8],
    ) {
        let clock = self.writer.partition(id, domain).clock();
        let layers = Arc::clone(self.writer.layers());
        let judged =
            candidate.and_then(|candidate| self.edge.judge(candidate, received, rules, clock, &layers));
        let Judged { mut event, new_layer } = match judged {
            Ok(judged) => judged,
            Err(refusal) => {
                self.refuse(id, domain, place, received, &refusal, bytes, bytes.len() as u64);
                return;
            }
        };
        let mut layers = layers;
        if let Some(layer) = new_layer {
            layers = self.learn(&layers, layer.clone());
            event.layer = layers.find(&layer.id);
        }
        let applied = self.writer.partition(id, domain).apply(&event, &layers);
        if let (
            Applied::Accepted {
                newest_of_sensor: true,
            },
            EventKind::Observation,
        ) = (applied, event.kind)
            && let (Some(layer), Some(units)) = (event.layer.and_then(|index| layers.get(index)), event.value)
        {
            let value = layer.scale().value(units as f64);
            self.observer.newest_reading(id, &event, layer, value);
        }
    }

    /// Stores a layer durably before any event of it is counted. Waits while the disk refuses: counting without it
    /// would be decided differently after a restart.
    fn learn(&mut self, layers: &LayerTable, layer: crate::layer::Layer) -> Arc<LayerTable> {
        while let Err(error) = self.layer_store.learn(layer.clone()) {
            tracing::error!(%error, layer = layer.id, "a new layer cannot be stored; ingest waits for the disk");
            std::thread::park_timeout(RETRY);
        }
        tracing::info!(
            layer = layer.id,
            unit = layer.unit,
            domain = layer.domain,
            "new layer"
        );
        let mut table = layers.clone();
        table.insert(layer);
        let table = Arc::new(table);
        self.writer.set_layers(Arc::clone(&table));
        table
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a dead letter's key and value, no state"
    )]
    fn refuse(
        &mut self,
        id: &PartitionId,
        domain: &Arc<str>,
        place: (i64, u32),
        received: EventTime,
        refusal: &Refusal,
        bytes: &[u8],
        size: u64,
    ) {
        let mut letter = DeadLetter::new(
            (&id.topic, id.partition, place.0, place.1),
            received,
            refusal,
            bytes,
        );
        letter.size = size;
        while let Err(error) = self.keep(&letter, bytes) {
            tracing::error!(error, "a dead letter cannot be stored; ingest waits");
            std::thread::park_timeout(RETRY);
        }
        self.writer.partition(id, domain).refuse(refusal.reason);
    }
}

impl Pipeline {
    /// Hands the record to the topic, whose producer is flushed before each checkpoint, and keeps it here. What is read
    /// again after a crash is produced again, under the same key: whether it had left the producer's queue is not known.
    fn keep(&self, letter: &DeadLetter, bytes: &[u8]) -> Result<(), String> {
        if let Some(topic) = &self.dead_letter_topic {
            topic.send(letter, bytes).map_err(|error| error.to_string())?;
        }
        self.dead_letters
            .insert(letter, bytes)
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pipeline")
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}
