//! What failed of a partition, how often, and what is to be tried with care.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// After so many tries an event is kept as a dead letter instead.
pub(super) const MOST: u32 = 2;

/// What can fail by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Subject {
    /// An event of the log: the offset of its record, and its index in it.
    Event(i64, u32),
    /// A replay, by its number in the queue of its partition.
    Replay(u64),
}

/// Of one partition. Nearly always there is nothing in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tries {
    failed: BTreeMap<Subject, u32>,
    /// Records of batches in which the process ended.
    watched: Vec<RangeInclusive<i64>>,
    /// The events of a record before this one are in the state, although the record as a whole is not.
    done: Option<(i64, u32)>,
}

impl Tries {
    /// Whether the record at an offset is to be tried with care.
    #[inline]
    pub(super) fn concern(&self, offset: i64) -> bool {
        if self.failed.is_empty() && self.watched.is_empty() {
            return false;
        }
        let of_record = Subject::Event(offset, 0)..=Subject::Event(offset, u32::MAX);
        self.failed.range(of_record).next().is_some()
            || self.watched.iter().any(|records| records.contains(&offset))
    }

    /// Looks at all of these records.
    pub(super) fn watch(&mut self, first: i64, last: i64) {
        self.watched.push(first..=last);
    }

    /// How often something failed.
    pub(super) fn of(&self, subject: Subject) -> u32 {
        self.failed.get(&subject).copied().unwrap_or(0)
    }

    /// Says how often something failed, in all.
    pub(super) fn set(&mut self, subject: Subject, tries: u32) {
        let known = self.failed.entry(subject).or_default();
        *known = tries.max(*known);
    }

    /// Something failed once more. What came before it in its record is in the state.
    pub(super) fn fail(&mut self, subject: Subject) -> u32 {
        if let Subject::Event(offset, index) = subject {
            self.done = Some((offset, index));
        }
        let tries = self.failed.entry(subject).or_default();
        *tries += 1;
        *tries
    }

    /// The first event of a record that is not in the state.
    pub(super) fn next_of(&self, offset: i64) -> u32 {
        match self.done {
            Some((of, index)) if of == offset => index,
            _ => 0,
        }
    }

    /// The events of a record, from one on, that are not tried any more.
    pub(super) fn given_up(&self, offset: i64, from: u32) -> Vec<u32> {
        let of_record = self
            .failed
            .range(Subject::Event(offset, from)..=Subject::Event(offset, u32::MAX));
        of_record
            .filter(|(_, tries)| **tries >= MOST)
            .filter_map(|(subject, _)| match subject {
                Subject::Event(_, index) => Some(*index),
                Subject::Replay(_) => None,
            })
            .collect()
    }

    /// The record at an offset is in the state.
    pub(super) fn record_is_done(&mut self, offset: i64) {
        self.failed
            .retain(|subject, _| !matches!(subject, Subject::Event(of, _) if *of <= offset));
        self.watched.retain(|records| *records.end() > offset);
        self.done = None;
    }

    /// A replay is in the state.
    pub(super) fn replay_is_done(&mut self, number: u64) {
        self.failed.remove(&Subject::Replay(number));
    }

    /// Knows what another one does too.
    pub(super) fn add(&mut self, other: Self) {
        for (subject, tries) in other.failed {
            self.set(subject, tries);
        }
        self.watched.extend(other.watched);
    }

    /// For the partition as it was before: nothing of any record is in the state.
    pub(super) fn begin_anew(&mut self) {
        self.done = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_given_up_after_two_tries_and_forgotten_once_its_record_is_done() {
        let mut tries = Tries::default();
        assert!(!tries.concern(5));
        assert_eq!(tries.fail(Subject::Event(5, 2)), 1);
        assert!(tries.concern(5) && !tries.concern(4) && !tries.concern(6));
        assert_eq!((tries.next_of(5), tries.next_of(6)), (2, 0));
        assert!(tries.given_up(5, 0).is_empty());
        assert_eq!(tries.fail(Subject::Event(5, 2)), 2);
        assert_eq!(tries.given_up(5, 0), [2]);
        assert!(tries.given_up(5, 3).is_empty());
        tries.fail(Subject::Replay(7));
        tries.watch(3, 6);
        tries.record_is_done(5);
        assert!(tries.concern(6) && tries.given_up(5, 0).is_empty());
        assert_eq!(tries.of(Subject::Replay(7)), 1);
        tries.record_is_done(6);
        assert!(!tries.concern(6));
    }
}
