//! The records of a batch, applied one after the other, whatever a record does to the code that reads it.
//!
//! A panic is caught around the batch, so that it costs nothing while there is none. Where it struck before the event
//! changed anything the event is tried once more, and then kept as a dead letter. Where the state may be half changed the
//! partition is let go of, read again from its checkpoint and the log, and the event tried then.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::origin::{Origin, Progress};
use super::tries::{MOST, Subject};
use super::worker::{Owned, Worker};
use crate::dead_letter::LetterKey;
use crate::edge::FeedRules;
use crate::grid::Partition;
use crate::log::{EventBytes, Feed, PartitionBatch, Payload, Records};
use crate::words::{EventTime, Refusal, RefusalReason};

/// The state of the partition may be half changed: it must not be shown, saved or added to.
#[derive(Debug)]
pub(super) struct Torn;

/// The refusal of what failed too often.
pub(super) fn poison(detail: &str) -> Refusal {
    let detail = format!(
        "riskgrid failed on it {MOST} times ({detail}); the log says more. Replay it after an update that mends this"
    );
    Refusal::new(RefusalReason::Poison, detail)
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

impl Worker {
    /// Does some work on a partition, again after each panic that left its state whole.
    pub(super) fn guarded(
        &mut self,
        owned: &mut Owned,
        mut work: impl FnMut(&mut Self, &mut Owned),
    ) -> Result<(), Torn> {
        loop {
            self.at = Progress::default();
            let result = catch_unwind(AssertUnwindSafe(|| work(self, owned)));
            let Err(panic) = result else { return Ok(()) };
            let at = std::mem::take(&mut self.at);
            let tries = owned.tries.fail(at.subject());
            tracing::error!(
                partition = %owned.partition.id(), offset = at.offset, index = at.index, replay = at.replay, tries,
                panic = message(&*panic), "a record cannot be applied, by a defect of riskgrid; it is tried again, then kept as a dead letter `poison`"
            );
            if at.is_changing {
                return Err(Torn);
            }
        }
    }

    /// Reads, judges and applies the records that are not in the state yet.
    pub(super) fn apply_records(
        &mut self,
        owned: &mut Owned,
        rules: &FeedRules,
        batch: &PartitionBatch,
        now: EventTime,
    ) {
        match &batch.records {
            Records::Owned(records) => {
                for record in records {
                    if !owned.partition.expects(record.offset) || self.is_cut_off.get() {
                        continue;
                    }
                    self.replay_due(owned, record.offset);
                    let origin = Origin {
                        offset: record.offset,
                        index: 0,
                        received: record.received,
                    };
                    self.apply_payload(owned, rules, batch.feed.as_deref(), origin, &record.payload);
                    self.record_is_done(owned, record.offset);
                }
            }
            Records::Kafka(messages) => {
                for message in messages.iter() {
                    let offset = message.offset();
                    if !owned.partition.expects(offset) || self.is_cut_off.get() {
                        continue;
                    }
                    self.replay_due(owned, offset);
                    let origin = Origin {
                        offset,
                        index: 0,
                        received: message.received().unwrap_or(now),
                    };
                    let bytes = message.payload();
                    let event = match batch.feed.as_deref() {
                        Some(feed) => EventBytes::Row(feed, bytes),
                        None => message
                            .attributes()
                            .map_or(EventBytes::Structured(bytes), |attributes| {
                                EventBytes::Binary(attributes, bytes)
                            }),
                    };
                    self.apply_event(owned, rules, origin, &event);
                    self.record_is_done(owned, offset);
                }
            }
            // What was deleted before it was read, and what Kafka keeps for itself, is behind it too.
            Records::NoneBefore(next) if owned.partition.expects(*next) => owned.partition.advance_to(*next),
            Records::NoneBefore(_) => {}
        }
        if !self.is_cut_off.get() {
            let next = owned.partition.next_offset();
            self.replay_due(owned, next);
        }
    }

    fn record_is_done(&self, owned: &mut Owned, offset: i64) {
        owned.partition.advance_to(offset + 1);
        if owned.tries.concern(offset) {
            owned.tries.record_is_done(offset);
            self.attempts.none();
        }
    }

    fn apply_payload(
        &mut self,
        owned: &mut Owned,
        rules: &FeedRules,
        feed: Option<&Feed>,
        origin: Origin,
        payload: &Payload,
    ) {
        match payload {
            Payload::TooLarge(start, size) => {
                let refusal = self.too_large(*size);
                self.refuse(
                    &mut owned.partition,
                    origin,
                    &refusal,
                    start.as_slice().into(),
                    *size,
                );
            }
            Payload::Structured(bytes) => {
                self.apply_event(owned, rules, origin, &EventBytes::Structured(bytes));
            }
            Payload::Group(events) => {
                for (index, bytes) in (0..).zip(events) {
                    let origin = Origin { index, ..origin };
                    self.apply_event(owned, rules, origin, &EventBytes::Structured(bytes));
                }
            }
            Payload::Row(bytes) => {
                if let Some(feed) = feed {
                    self.apply_event(owned, rules, origin, &EventBytes::Row(feed, bytes));
                }
            }
        }
    }

    /// Reads, judges and applies the events of some bytes; or keeps them as a dead letter.
    fn apply_event(&mut self, owned: &mut Owned, rules: &FeedRules, origin: Origin, event: &EventBytes<'_>) {
        if owned.tries.concern(origin.offset) {
            self.apply_with_care(owned, rules, origin, event);
            return;
        }
        let all = |_| true;
        let partition = &mut owned.partition;
        self.judge_some(partition, rules, origin, event, all, keep_refused(origin, event));
    }

    /// The same of a record that is suspect: each event is noted before it is tried, those that are in the state are passed
    /// over, and those that failed too often are kept as dead letters. A row whose first event fails is kept as a whole, as
    /// one that cannot be read is.
    fn apply_with_care(
        &mut self,
        owned: &mut Owned,
        rules: &FeedRules,
        origin: Origin,
        event: &EventBytes<'_>,
    ) {
        let Owned { partition, tries, .. } = owned;
        let (offset, base) = (origin.offset, origin.index);
        let next = tries.next_of(offset);
        let is_row = matches!(event, EventBytes::Row(..));
        if base < next && !is_row {
            return;
        }
        let mut given_up = tries.given_up(offset, base.max(next));
        given_up.retain(|index| is_row || *index == base);
        for index in &given_up {
            let detail = format!("event {index} of the record at offset {offset}");
            self.keep_poison(
                partition,
                Origin {
                    index: *index,
                    ..origin
                },
                &detail,
                event,
            );
        }
        if given_up.contains(&base) {
            return;
        }
        let attempts = std::sync::Arc::clone(&self.attempts);
        let id = partition.id().clone();
        let note = |index: u32| {
            let subject = Subject::Event(offset, index);
            attempts.one(&id, subject, tries.of(subject) + 1);
        };
        note(base);
        let is_asked = |index: u32| {
            let is_asked = index >= next && !given_up.contains(&index);
            if is_asked {
                note(index);
            }
            is_asked
        };
        self.judge_some(
            partition,
            rules,
            origin,
            event,
            is_asked,
            keep_refused(origin, event),
        );
    }

    /// Durable at once: a start that reads the log again knows by its letter what it must not try.
    fn keep_poison(
        &mut self,
        partition: &mut Partition,
        origin: Origin,
        detail: &str,
        event: &EventBytes<'_>,
    ) {
        let kept = event.kept();
        let size = kept.bytes.len() as u64;
        self.refuse(partition, origin, &poison(detail), kept, size);
        if let Err(error) = self.shared.dead_letters.persist() {
            tracing::error!(%error, "a dead letter is not on the disk yet; the next checkpoint tries again");
        }
        tracing::error!(
            partition = %partition.id(), offset = origin.offset, index = origin.index,
            "an event is kept as a dead letter `poison` and not counted; `riskgrid_poisoned_total` counts it, `riskgrid dead-letters` shows it"
        );
    }

    /// What is kept as poison of a partition from its next record on: it is not tried again. Waits while the disk refuses.
    pub(super) fn know_poison(&self, owned: &mut Owned) {
        let id = owned.partition.id();
        let before = LetterKey {
            topic: std::sync::Arc::clone(&id.topic),
            partition: id.partition,
            offset: owned.partition.next_offset() - 1,
            index: u32::MAX,
        };
        let letters = self.shared.dead_letters.iter_after(Some(&before));
        let of_partition = letters
            .take_while(|letter| {
                letter
                    .as_ref()
                    .map_or(true, |letter| letter.key().partition_id() == *id)
            })
            .filter_map(Result::ok);
        for letter in of_partition.filter(|letter| letter.reason == RefusalReason::Poison) {
            owned.tries.set(Subject::Event(letter.offset, letter.index), MOST);
        }
    }
}

/// Keeps what of an event's bytes is refused.
fn keep_refused<'a>(
    origin: Origin,
    event: &'a EventBytes<'_>,
) -> impl FnMut(&Worker, &mut Partition, u32, Result<crate::grid::Applied, Refusal>) + 'a {
    move |worker, partition, index, judged| {
        if let Err(refusal) = judged {
            let origin = Origin { index, ..origin };
            let size = event.kept().bytes.len() as u64;
            worker.refuse(partition, origin, &refusal, event.kept(), size);
        }
    }
}
