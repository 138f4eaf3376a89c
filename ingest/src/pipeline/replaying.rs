//! Replays of dead letters, applied to the partition that refused them as records of its log would be: its
//! de-duplication, watermark and clock domain judge them, and the mapping that its feed has now.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use super::RETRY;
use super::applying::{Torn, poison};
use super::origin::Origin;
use super::replayed::{ReplayError, Replayed};
use super::shared::Shared;
use super::tries::{MOST, Subject};
use super::worker::{Owned, Worker};
use crate::dead_letter::{DeadLetter, DeadLetterError, LetterKey, QueuedReplay, RawRecord};
use crate::grid::Partition;
use crate::log::EventBytes;
use crate::words::{PartitionId, RefusalReason};

/// A letter with its record, ready to be judged anew; or why it is not.
type Ready = Result<(DeadLetter, RawRecord), &'static str>;

impl Shared {
    fn ready(&self, key: &LetterKey) -> Result<Ready, DeadLetterError> {
        let (Some(letter), Some(record)) = (self.dead_letters.get(key)?, self.dead_letters.raw(key)?) else {
            return Ok(Err("expired"));
        };
        if record.bytes.len() as u64 != letter.size {
            return Ok(Err("cut"));
        }
        Ok(Ok((letter, record)))
    }
}

impl Worker {
    /// What is queued of a partition and not in its state. Waits while the disk refuses: going on without would count
    /// less than was said.
    pub(super) fn queued_of(&self, partition: &Partition) -> VecDeque<QueuedReplay> {
        let store = &self.shared.dead_letters;
        loop {
            match store.queued(partition.id(), partition.next_replay(store.id())) {
                Ok(queued) => return queued.into(),
                Err(error) => {
                    tracing::error!(%error, partition = %partition.id(), "replays cannot be read; ingest waits");
                    std::thread::park_timeout(RETRY);
                }
            }
        }
    }

    /// Queues dead letters of a partition durably, then judges them anew.
    pub(super) fn replay(
        &mut self,
        id: &PartitionId,
        letters: Vec<LetterKey>,
    ) -> Result<Replayed, ReplayError> {
        if !self.shared.topics.contains_key(&id.topic) {
            return Err(ReplayError::NotConfigured(id.topic.to_string()));
        }
        // Out of the map while they are applied, and back after.
        let mut owned = self
            .partitions
            .remove(id)
            .ok_or_else(|| ReplayError::NotHere(id.clone()))?;
        let replayed = self.replay_owned(&mut owned, letters);
        let Ok(replayed) = replayed else {
            self.let_go(owned);
            return Err(ReplayError::CatchingUp(id.clone()));
        };
        self.partitions.insert(id.clone(), owned);
        self.shared.is_unpublished.store(true, Ordering::Release);
        self.shared.is_unsaved.store(true, Ordering::Release);
        replayed
    }

    fn replay_owned(
        &mut self,
        owned: &mut Owned,
        letters: Vec<LetterKey>,
    ) -> Result<Result<Replayed, ReplayError>, Torn> {
        let queued = match self.queue_replays(owned, letters) {
            Ok(queued) => queued,
            Err(error) => return Ok(Err(error)),
        };
        let (mut replayed, queued) = queued;
        for replay in &queued {
            self.guarded(owned, |worker, owned| {
                worker.judge_anew(owned, replay, &mut replayed);
            })?;
        }
        Ok(Ok(replayed))
    }

    /// Which of these letters are replayed, queued durably, and why the others are not.
    fn queue_replays(
        &self,
        owned: &Owned,
        letters: Vec<LetterKey>,
    ) -> Result<(Replayed, Vec<QueuedReplay>), ReplayError> {
        let partition = &owned.partition;
        if !owned.queued.is_empty() {
            return Err(ReplayError::CatchingUp(partition.id().clone()));
        }
        let mut replayed = Replayed::default();
        let store = &self.shared.dead_letters;
        let first = partition.next_replay(store.id());
        let asked = (self.shared.clock)();
        let mut queued = Vec::with_capacity(letters.len());
        for letter in letters {
            match self.shared.ready(&letter)? {
                // After a crash the queue may have been faster than who asks.
                Ok((letter, _)) if letter.replayed.is_some() => replayed.cannot("already", 1),
                Ok(_) => queued.push(QueuedReplay {
                    number: first + queued.len() as u64,
                    after: partition.next_offset(),
                    asked,
                    letter,
                }),
                Err(why) => replayed.cannot(why, 1),
            }
        }
        store.queue(partition.id(), &queued)?;
        Ok((replayed, queued))
    }

    /// Replays what is queued of all partitions that have read as far as when it was asked for.
    pub(super) fn replay_all_due(&mut self) {
        for mut owned in std::mem::take(&mut self.partitions).into_values() {
            let next = owned.partition.next_offset();
            let replayed = self.guarded(&mut owned, |worker, owned| worker.replay_due(owned, next));
            match replayed {
                Ok(()) => {
                    self.partitions.insert(owned.partition.id().clone(), owned);
                }
                Err(Torn) => self.let_go(owned),
            }
        }
    }

    /// Replays what was asked for before the record at `offset` was read: read again, the log makes the same state.
    pub(super) fn replay_due(&mut self, owned: &mut Owned, offset: i64) {
        while let Some(replay) = owned.queued.front().filter(|replay| replay.after <= offset) {
            let replay = replay.clone();
            self.judge_anew(owned, &replay, &mut Replayed::default());
            owned.queued.pop_front();
            self.shared.is_unpublished.store(true, Ordering::Release);
            self.shared.is_unsaved.store(true, Ordering::Release);
        }
    }

    fn judge_anew(&mut self, owned: &mut Owned, replay: &QueuedReplay, replayed: &mut Replayed) {
        let Owned { partition, tries, .. } = owned;
        let subject = Subject::Replay(replay.number);
        let tried = tries.of(subject);
        self.at.replay = Some(replay.number);
        self.attempts.one(partition.id(), subject, tried + 1);
        match self.shared.ready(&replay.letter) {
            Ok(Ok((letter, _))) if tried >= MOST => {
                // Counted as replayed when it was tried first.
                let refusal = poison("when it was replayed");
                replayed.count(&Err(refusal.clone()));
                partition.refuse(refusal.reason);
                if let Err(error) = self.shared.dead_letters.mark_refused(&letter.key(), &refusal) {
                    tracing::warn!(%error, letter = %letter.key(), "what became of a replay is not noted with its dead letter");
                }
            }
            Ok(Ok((letter, record))) => {
                replayed.replayed += u64::from(tried == 0);
                self.judge_letter(partition, &letter, &record, replayed);
            }
            Ok(Err(why)) => replayed.cannot(why, 1),
            // Its row is still there, and can be replayed anew.
            Err(error) => tracing::error!(%error, letter = %replay.letter, "a queued replay is passed over"),
        }
        partition.replayed_to(self.shared.dead_letters.id(), replay.number + 1);
        tries.replay_is_done(replay.number);
        self.at.replay = None;
        self.attempts.none();
    }

    fn judge_letter(
        &mut self,
        partition: &mut Partition,
        letter: &DeadLetter,
        record: &RawRecord,
        replayed: &mut Replayed,
    ) {
        self.layers = self.shared.layers.table();
        let feed = self.shared.topics.get(&letter.topic).cloned().flatten();
        let rules = feed
            .as_ref()
            .map_or_else(|| self.live_rules.clone(), |feed| feed.rules.clone());
        let event = match (&feed, &record.attributes) {
            (Some(feed), _) => EventBytes::Row(feed, &record.bytes),
            (None, Some(attributes)) => EventBytes::Binary(attributes.clone(), &record.bytes),
            (None, None) => EventBytes::Structured(&record.bytes),
        };
        // A row's events are counted from its first; any other record is the one event that was refused.
        let index = if feed.is_some() { 0 } else { letter.index };
        let origin = Origin {
            offset: letter.offset,
            index,
            received: letter.time,
        };
        // A row that could not be read was refused as a whole, under the index of its first event.
        let was_whole_row = feed.is_some()
            && letter.index == 0
            && matches!(
                letter.reason,
                RefusalReason::Malformed | RefusalReason::TooLarge | RefusalReason::Poison
            );
        let shared = std::sync::Arc::clone(&self.shared);
        let is_asked = |index| {
            index == letter.index
                || (was_whole_row
                    && shared
                        .dead_letters
                        .get(&LetterKey {
                            index,
                            ..letter.key()
                        })
                        .is_ok_and(|other| other.is_none()))
        };
        let mut was_found = false;
        self.judge_some(
            partition,
            &rules,
            origin,
            &event,
            is_asked,
            |worker, partition, index, judged| {
                replayed.count(&judged);
                if index != letter.index {
                    if let Err(refusal) = judged {
                        let origin = Origin { index, ..origin };
                        worker.refuse(partition, origin, &refusal, event.kept(), letter.size);
                    }
                    return;
                }
                was_found = true;
                let marked = match &judged {
                    Ok(_) => worker
                        .shared
                        .dead_letters
                        .mark_replayed(&letter.key(), (worker.shared.clock)()),
                    Err(refusal) => {
                        partition.refuse(refusal.reason);
                        worker.shared.dead_letters.mark_refused(&letter.key(), refusal)
                    }
                };
                // Replayed once more it is a duplicate, or refused again.
                if let Err(error) = marked {
                    tracing::warn!(%error, letter = %letter.key(), "what became of a replay is not noted with its dead letter");
                }
            },
        );
        if !was_found {
            replayed.replayed -= 1;
            replayed.cannot("no_event", 1);
        }
    }
}
