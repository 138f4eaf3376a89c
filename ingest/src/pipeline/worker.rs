//! A thread that owns some of the partitions: decodes, judges and applies their records, one partition's always in order.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use hashbrown::HashMap;

use super::attempts::Attempts;
use super::origin::Progress;
use super::save_error::SaveError;
use super::shared::Shared;
use super::task::{Task, ViewDoor, Views};
use super::timers::{self, Timers};
use super::tries::Tries;
use crate::checkpoint::{PartitionState, Restored};
use crate::dead_letter::QueuedReplay;
use crate::edge::{FeedRules, PlaceCache};
use crate::grid::{Heard, Partition};
use crate::log::PartitionBatch;
use crate::observer::{EventObserver, Step};
use crate::words::{LIVE_DOMAIN, LayerTable, PartitionId};

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
    pub(super) places: PlaceCache,
    pub(super) live_rules: FeedRules,
    /// Something could not be stored before the pipeline was to stop.
    pub(super) is_cut_off: Cell<bool>,
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
    fn save(&mut self, since: &HashMap<PartitionId, u64>) -> Result<Vec<PartitionState>, SaveError> {
        self.observer.flush().map_err(SaveError::Decisions)?;
        if let Some(topic) = &self.shared.dead_letter_topic {
            topic.flush().map_err(SaveError::Refused)?;
        }
        self.shared.dead_letters.persist()?;
        let layers = self.shared.layers.table();
        let whole = self.partitions.iter_mut().filter(|(_, owned)| !owned.is_cut_off);
        let states = whole.map(|(id, owned)| {
            let since = since.get(id).copied().unwrap_or(0);
            let step = Step {
                since,
                generation: owned.partition.generation,
            };
            let rules = self.observer.save(id, step);
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
}
