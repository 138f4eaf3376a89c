//! A thread that owns some of the partitions: decodes, judges and applies their records, one partition's always in order.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use tokio::sync::oneshot;

use super::applying::Progress;
use super::attempts::Attempts;
use super::defects::{self, Defect};
use super::record::{EventBytes, PartitionBatch};
use super::replaying::{ReplayError, Replayed};
use super::timers::{self, Timers};
use super::tries::Tries;
use super::{RETRY, Shared};
use crate::checkpoint::{PartitionState, Restored};
use crate::dead_letter::{DeadLetter, KeptRecord, LetterKey, QueuedReplay};
use crate::edge::{FeedRules, Judged, PlaceCache};
use crate::event::{Candidate, EventKind};
use crate::grid::{Applied, Heard, Partition, PartitionId};
use crate::layer::{LIVE_DOMAIN, Layer, LayerTable};
use crate::observer::EventObserver;
use crate::refusal::{Refusal, RefusalReason};
use crate::time::EventTime;

/// What a worker is asked to do; done in the order of asking.
pub(super) enum Task {
    /// Apply records, which have so many bytes.
    Apply(PartitionBatch, usize),
    /// Nothing but what comes after every task: see whether views are wanted.
    Look,
    /// Make decisions durable, and give the state of its partitions: of those named what changed since a generation, of
    /// the others everything.
    Save(
        Arc<HashMap<PartitionId, u64>>,
        SyncSender<Result<Vec<PartitionState>, String>>,
    ),
    /// Have a partition from now on, as its checkpoint has it; without one it begins with its first record.
    TakeOver(PartitionId, Option<Box<Restored>>),
    /// Forget a partition, and what still comes of it.
    GiveUp(PartitionId),
    /// Say which offset each of its partitions reads next.
    Offsets(SyncSender<Vec<(PartitionId, i64)>>),
    /// Replay these dead letters of a partition.
    Replay(
        PartitionId,
        Vec<LetterKey>,
        oneshot::Sender<Result<Replayed, ReplayError>>,
    ),
    /// End.
    Stop,
}

/// How a worker is asked what readers may see: not by its queue, where the question would wait behind batches.
#[derive(Debug)]
pub(super) struct ViewDoor {
    /// Set by who asks, taken by the worker between two tasks.
    pub(super) wanted: Arc<AtomicBool>,
    /// Has room for one answer; it is asked again only after that was taken.
    pub(super) answer: SyncSender<Views>,
}

/// What readers may see of a worker's partitions.
#[derive(Debug)]
pub(super) struct Views {
    pub(super) partitions: Vec<Heard>,
    /// When they were made.
    pub(super) made: Instant,
    /// How long it took to make them.
    pub(super) cost: Duration,
    /// Batches wait that are not in them.
    pub(super) has_more: bool,
}

/// A partition, and when its source was last heard from.
pub(super) struct Owned {
    pub(super) partition: Partition,
    heard: Option<Instant>,
    /// The domain whose timers run by the wall clock, while its source has nothing more.
    pub(super) by_wall_clock: Option<String>,
    /// A record was left in the middle, because the pipeline stops: nothing of what came since its last checkpoint is
    /// saved, and all of it is read again.
    is_cut_off: bool,
    /// Replays that are queued and not in the state, because a crash undid them; in their order.
    pub(super) queued: VecDeque<QueuedReplay>,
    /// What failed.
    pub(super) tries: Tries,
    /// Its source is to begin anew: what it read before that is passed over.
    awaits_rewind: bool,
}

pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) observer: Box<dyn EventObserver>,
    pub(super) partitions: BTreeMap<PartitionId, Owned>,
    /// Partitions that were given up: batches of them may still wait.
    given_up: HashSet<PartitionId>,
    /// Partitions whose state may be half changed, until they are read again.
    torn: HashSet<PartitionId>,
    /// What failed of partitions that are not here.
    pub(super) suspects: HashMap<PartitionId, Tries>,
    pub(super) attempts: Arc<Attempts>,
    pub(super) at: Progress,
    pub(super) layers: Arc<LayerTable>,
    places: PlaceCache,
    pub(super) live_rules: FeedRules,
    /// Something could not be stored before the pipeline was to stop.
    pub(super) is_cut_off: Cell<bool>,
}

/// Where an event is in its partition, and when its record was received.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) offset: i64,
    pub(super) index: u32,
    pub(super) received: EventTime,
}

impl Worker {
    pub(super) fn new(number: usize, shared: Arc<Shared>, observer: Box<dyn EventObserver>) -> Self {
        let layers = shared.layers.table();
        let places = PlaceCache::new(shared.edge.resolution).with_areas_of(&shared.places);
        Self {
            number,
            shared,
            observer,
            partitions: BTreeMap::new(),
            given_up: HashSet::new(),
            torn: HashSet::new(),
            suspects: HashMap::new(),
            attempts: Arc::default(),
            at: Progress::default(),
            layers,
            places,
            live_rules: FeedRules {
                domain: LIVE_DOMAIN.to_owned(),
                ..FeedRules::default()
            },
            is_cut_off: Cell::new(false),
        }
    }

    /// Puts in a partition that a checkpoint gave, and what alert rules knew of it.
    pub(super) fn restore(&mut self, partition: Partition, rules: &[(u64, Vec<u8>)]) {
        self.observer.restore(partition.id(), rules);
        let owned = self.own(partition);
        self.partitions.insert(owned.partition.id().clone(), owned);
    }

    fn own(&mut self, partition: Partition) -> Owned {
        let mut owned = Owned {
            queued: self.queued_of(&partition),
            tries: self.suspects.remove(partition.id()).unwrap_or_default(),
            awaits_rewind: false,
            partition,
            heard: None,
            by_wall_clock: None,
            is_cut_off: false,
        };
        self.know_poison(&mut owned);
        owned
    }

    /// A partition of which nothing is read.
    fn unread(&self, id: &PartitionId) -> Restored {
        let feed = self.shared.topics.get(&id.topic).cloned().flatten();
        let domain = feed.map_or_else(
            || self.live_rules.domain.clone(),
            |feed| feed.rules.domain.clone(),
        );
        Restored {
            partition: Partition::new(id.clone(), domain.as_str().into(), self.shared.grid, 0),
            rules: Vec::new(),
        }
    }

    fn forget(&mut self, id: &PartitionId) {
        self.partitions.remove(id);
        self.observer.forget(id);
    }

    pub(super) fn run(mut self, tasks: &Receiver<Task>, door: &ViewDoor) {
        self.replay_all_due();
        let mut timers = Timers::default();
        loop {
            timers.run(&mut self);
            let task = match tasks.recv_timeout(timers::LOOK_EVERY) {
                Ok(task) => task,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match task {
                Task::Apply(batch, bytes) => {
                    self.apply(&batch);
                    drop(batch);
                    if let Some(waiting) = self.shared.waiting.get(self.number) {
                        waiting.leave(bytes);
                    }
                    self.shared.is_unpublished.store(true, Ordering::Release);
                    self.shared.is_unsaved.store(true, Ordering::Release);
                }
                Task::Look => {}
                // Whoever asked and does not listen any more has ended.
                Task::Save(since, answer) => drop(answer.send(self.save(&since))),
                Task::TakeOver(id, restored) => {
                    self.forget(&id);
                    self.given_up.remove(&id);
                    let is_read_again = self.torn.remove(&id);
                    let restored = restored.map(|restored| *restored).or_else(|| {
                        // Without a checkpoint its log is read again from its beginning.
                        (is_read_again && id.is_of_one_node()).then(|| self.unread(&id))
                    });
                    if let Some(restored) = restored {
                        self.restore(restored.partition, &restored.rules);
                        if let Some(owned) = self.partitions.get_mut(&id) {
                            owned.awaits_rewind = is_read_again && id.is_of_one_node();
                        }
                        self.replay_all_due();
                    }
                    self.shared.is_unpublished.store(true, Ordering::Release);
                }
                Task::GiveUp(id) => {
                    self.forget(&id);
                    self.torn.remove(&id);
                    self.given_up.insert(id);
                    self.shared.is_unpublished.store(true, Ordering::Release);
                }
                // Whoever asked and does not listen any more has ended.
                Task::Offsets(answer) => drop(answer.send(self.next_offsets())),
                // Whoever asked and does not listen any more has asked all the same.
                Task::Replay(id, letters, done) => drop(done.send(self.replay(&id, letters))),
                Task::Stop => return,
            }
            if door.wanted.swap(false, Ordering::AcqRel) {
                let made = Instant::now();
                let waiting = self.shared.waiting.get(self.number);
                let views = Views {
                    has_more: waiting.is_some_and(|waiting| waiting.batches() > 0),
                    partitions: self.views(),
                    made,
                    cost: made.elapsed(),
                };
                // There is room, by the door's rule; an error means that nobody publishes any more.
                let _ = door.answer.try_send(views);
            }
        }
    }

    pub(super) fn views(&mut self) -> Vec<Heard> {
        let calendar = &self.shared.grid.calendar;
        self.partitions
            .values_mut()
            .map(|owned| Heard {
                view: owned.partition.view(calendar),
                heard: owned.heard,
            })
            .collect()
    }

    fn next_offsets(&self) -> Vec<(PartitionId, i64)> {
        let partitions = self.partitions.iter();
        partitions
            .map(|(id, owned)| (id.clone(), owned.partition.next_offset()))
            .collect()
    }

    /// Decisions first, dead letters next: what the state's offsets cover must not be lost when it is durable.
    fn save(&mut self, since: &HashMap<PartitionId, u64>) -> Result<Vec<PartitionState>, String> {
        self.observer
            .flush()
            .map_err(|error| format!("alert decisions could not be stored: {error}"))?;
        if let Some(topic) = &self.shared.dead_letter_topic {
            topic
                .flush()
                .map_err(|error| format!("refused records are not in Kafka: {error}"))?;
        }
        self.shared
            .dead_letters
            .persist()
            .map_err(|error| error.to_string())?;
        let layers = self.shared.layers.table();
        let whole = self.partitions.iter_mut().filter(|(_, owned)| !owned.is_cut_off);
        let states = whole.map(|(id, owned)| {
            let since = since.get(id).copied().unwrap_or(0);
            let rules = self.observer.save(id, since, owned.partition.generation);
            PartitionState::take(&mut owned.partition, &layers, since, rules)
        });
        Ok(states.collect())
    }

    fn apply(&mut self, batch: &PartitionBatch) {
        let rules = batch
            .feed
            .as_ref()
            .map_or_else(|| self.live_rules.clone(), |feed| feed.rules.clone());
        let id = &batch.partition;
        let Some(offsets) = batch.offsets().filter(|_| !self.is_left_out(id)) else {
            return;
        };
        // Out of the map while its records are applied, and back after.
        let mut owned = self.partitions.remove(id).unwrap_or_else(|| {
            let domain = rules.domain.as_str().into();
            self.own(Partition::new(id.clone(), domain, self.shared.grid, 0))
        });
        if owned.is_cut_off {
            self.partitions.insert(id.clone(), owned);
            return;
        }
        if owned.awaits_rewind && offsets.0 > owned.partition.next_offset() {
            // Read before its source knew that it is to begin anew.
            self.partitions.insert(id.clone(), owned);
            return;
        }
        owned.awaits_rewind = false;
        let now = (self.shared.clock)();
        owned.heard = Some(Instant::now());
        self.layers = self.shared.layers.table();
        self.attempts.batch(id, offsets);
        let applied = self.guarded(&mut owned, |worker, owned| {
            worker.apply_records(owned, &rules, batch, now);
        });
        self.attempts.none();
        if applied.is_err() {
            self.let_go(owned);
            return;
        }
        if self.is_cut_off.get() {
            owned.is_cut_off = true;
            self.partitions.insert(id.clone(), owned);
            return;
        }
        let newest = owned.partition.newest();
        let is_by_wall_clock = batch.caught_up && rules.valid.is_none();
        owned.by_wall_clock = is_by_wall_clock.then(|| rules.domain.clone());
        self.partitions.insert(id.clone(), owned);
        self.keep_within_bytes();
        // Timers run by the wall clock once caught up, by the events' own until then, and always so for historic feeds.
        if is_by_wall_clock {
            self.observer.advance(id, &rules.domain, (self.shared.clock)());
        } else if let Some(newest) = newest {
            self.observer.advance(id, &rules.domain, newest);
        }
    }

    /// Another node has it, or it is to be read again from its checkpoint.
    fn is_left_out(&self, id: &PartitionId) -> bool {
        self.given_up.contains(id) || self.torn.contains(id)
    }

    /// The state of a partition may be half changed: it is read again from its checkpoint, by who has the checkpoints.
    pub(super) fn let_go(&mut self, owned: Owned) {
        let Owned {
            partition, mut tries, ..
        } = owned;
        let id = partition.id().clone();
        tracing::error!(partition = %id, "its state may be half changed; it is read again from its checkpoint");
        tries.begin_anew();
        self.suspects.entry(id.clone()).or_default().add(tries);
        self.observer.forget(&id);
        self.torn.insert(id.clone());
        self.shared.is_unpublished.store(true, Ordering::Release);
        self.shared.mend(id);
    }

    /// Ingest is never refused for the bytes of the grid: the past of the largest partition becomes coarser, and ends
    /// later.
    fn keep_within_bytes(&mut self) {
        let mut partitions: Vec<&mut Partition> = self
            .partitions
            .values_mut()
            .map(|owned| &mut owned.partition)
            .collect();
        while partitions
            .iter()
            .map(|partition| partition.slice_bytes())
            .sum::<usize>()
            > self.shared.worker_bytes
        {
            partitions.sort_unstable_by_key(|partition| std::cmp::Reverse(partition.slice_bytes()));
            let given_up = partitions.iter_mut().find_map(|partition| {
                let before = partition.given_up().slices;
                let (step, from) = partition.give_up_oldest()?;
                let is_first = before.get(step.index()) == Some(&0);
                Some((partition.id(), step.name(), from, is_first))
            });
            match given_up {
                Some((id, step, from, true)) => {
                    tracing::warn!(partition = %id, step, %from, "the grid is over grid.memory: its oldest past becomes coarser or is dropped; `riskgrid_grid_given_up_slices_total` counts it");
                }
                Some((id, step, from, false)) => {
                    tracing::debug!(partition = %id, step, %from, "over grid.memory: kept from this time on");
                }
                // What is not closed yet is kept whatever it takes.
                None => return,
            }
        }
    }

    pub(super) fn too_large(&self, size: u64) -> Refusal {
        let detail = format!("{size} bytes, edge.max_event is {}", self.shared.max_event);
        Refusal::new(RefusalReason::TooLarge, detail)
    }

    /// Reads the events of some bytes, judges and applies those that are asked for by their index in the record, and
    /// says of each what became of it.
    pub(super) fn judge_some(
        &mut self,
        partition: &mut Partition,
        rules: &FeedRules,
        origin: Origin,
        event: &EventBytes<'_>,
        is_asked: impl Fn(u32) -> bool,
        mut done: impl FnMut(&Self, &mut Partition, u32, Result<Applied, Refusal>),
    ) {
        let size = event.kept().bytes.len();
        if size > self.shared.max_event {
            done(self, partition, origin.index, Err(self.too_large(size as u64)));
            return;
        }
        self.at.offset = origin.offset;
        self.at.index = origin.index;
        event.decode(|index, candidate| {
            let origin = Origin {
                index: origin.index + index,
                ..origin
            };
            if !is_asked(origin.index) {
                return;
            }
            self.at.index = origin.index;
            let judged = candidate
                .and_then(|candidate| self.judge_and_apply(partition, rules, origin, candidate))
                .and_then(|judged| match judged {
                    Ok(applied) => Ok(applied),
                    // Once in the life of a layer: learnt, the event is read and judged again by what is known now, which
                    // another worker may have learnt at the same moment from an event with another unit.
                    Err(layer) => {
                        self.learn(&layer);
                        let mut again = Err(too_many(&layer));
                        event.decode(|other, candidate| {
                            if other == index {
                                again = candidate
                                    .and_then(|c| self.judge_and_apply(partition, rules, origin, c))
                                    .and_then(|judged| judged.map_err(|layer| too_many(&layer)));
                            }
                        });
                        again
                    }
                });
            done(self, partition, origin.index, judged);
        });
    }

    /// What became of the event, or the layer that must be learnt before it can be counted.
    fn judge_and_apply(
        &mut self,
        partition: &mut Partition,
        rules: &FeedRules,
        origin: Origin,
        candidate: Candidate<'_>,
    ) -> Result<Result<Applied, Layer>, Refusal> {
        let Judged { event, new_layer } = self.shared.edge.judge(
            candidate,
            origin.received,
            rules,
            partition.clock(),
            &self.layers,
            &mut self.places,
        )?;
        if let Some(layer) = new_layer {
            return Ok(Err(layer));
        }
        defects::strike(Defect::BeforeApplying, &event.id);
        self.at.is_changing = true;
        let applied = partition.apply(&event, &self.layers);
        defects::strike(Defect::WhileApplying, &event.id);
        if let (
            Applied::Accepted {
                newest_of_sensor: true,
            },
            EventKind::Observation,
        ) = (applied, event.kind)
            && let (Some(layer), Some(units)) =
                (event.layer.and_then(|index| self.layers.get(index)), event.value)
        {
            let value = layer.scale().value(units as f64);
            self.observer.newest_reading(partition.id(), &event, layer, value);
        }
        self.at.is_changing = false;
        Ok(Ok(applied))
    }

    /// Stores a layer durably before any event of it is counted. Waits while the disk refuses: counting without it
    /// would be decided differently after a restart.
    fn learn(&mut self, layer: &Layer) {
        self.insist("a new layer", || {
            self.shared.layers.learn(layer).map_err(|error| error.to_string())
        });
        self.layers = self.shared.layers.table();
    }

    pub(super) fn refuse(
        &self,
        partition: &mut Partition,
        origin: Origin,
        refusal: &Refusal,
        record: KeptRecord<'_>,
        size: u64,
    ) {
        if self.is_cut_off.get() {
            return;
        }
        let id = partition.id();
        let mut letter = DeadLetter::new(
            (&id.topic, id.partition, origin.offset, origin.index),
            origin.received,
            refusal,
            record.bytes,
        );
        letter.size = size;
        self.insist("a dead letter", || self.keep(&letter, record));
        partition.refuse(refusal.reason);
    }

    /// Tries until it is stored, and says so once when it is not. When the pipeline is to stop it gives up: then the
    /// partition is left as its last checkpoint has it.
    fn insist(&self, what: &str, store: impl Fn() -> Result<(), String>) {
        let mut is_told = false;
        while let Err(error) = store() {
            // Whoever ends the process while it waits for its disk, it is not the record.
            self.attempts.none();
            if self.shared.is_stopping.load(Ordering::Relaxed) {
                self.is_cut_off.set(true);
                return;
            }
            if !is_told {
                tracing::error!(error, "{what} cannot be stored; ingest waits for the disk");
                is_told = true;
            }
            std::thread::park_timeout(RETRY);
        }
        if is_told {
            tracing::warn!("{what} is stored now; ingest goes on");
        }
    }

    /// Keeps the record here, and hands it to the topic, whose producer is flushed before each checkpoint. What is read
    /// again after a crash is produced again, under the same key: whether it had left the producer's queue is not known.
    fn keep(&self, letter: &DeadLetter, record: KeptRecord<'_>) -> Result<(), String> {
        self.shared
            .dead_letters
            .insert(letter, record)
            .map_err(|error| error.to_string())?;
        match &self.shared.dead_letter_topic {
            Some(topic) => topic
                .send(letter, record.bytes)
                .map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }
}

/// The table took no more layers between the look at it and the learning.
fn too_many(layer: &Layer) -> Refusal {
    let detail = format!("`{}` would be one layer more than grid.max_layers", layer.label);
    Refusal::new(RefusalReason::UnknownLayer, detail)
}
