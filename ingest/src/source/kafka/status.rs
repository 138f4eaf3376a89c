//! What the shell can ask of the source.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::presence::Presence;
use crate::source::progress::{Progress, Stand};
use crate::threads::lock;
use crate::words::PartitionId;

/// After so long in which the reader did not turn round it is said that the grid takes nothing.
const HELD_UP: Duration = Duration::from_secs(30);

/// What the source is doing.
#[derive(Debug)]
pub struct KafkaStatus {
    pub(super) presence: Presence,
    /// The group has given partitions, none perhaps, and those are read.
    pub(super) taken_up: AtomicBool,
    pub(super) stopping: AtomicBool,
    /// Next offset to read, and the end of the partition as last seen.
    pub(super) positions: Mutex<BTreeMap<PartitionId, (i64, i64)>>,
    /// Those whose state this node shows.
    pub(super) held: Mutex<BTreeSet<PartitionId>>,
    /// Those that are read.
    pub(super) reading: Mutex<BTreeSet<PartitionId>>,
    /// From where to where they lay in the log when they were taken up.
    pub(super) spans: Mutex<BTreeMap<PartitionId, (i64, i64)>>,
    /// How many partitions the topics have, as far as the broker has said.
    pub(super) counts: Mutex<BTreeMap<String, i32>>,
    /// Why some are not read, as the last comparison found.
    pub(super) problems: Mutex<Vec<String>>,
    /// What stands still although the broker answers.
    pub(super) standing: Mutex<Vec<String>>,
    /// How often each partition was found standing still.
    stalls: Mutex<BTreeMap<PartitionId, u64>>,
    /// How often the consumer was made anew.
    pub(super) made_anew: AtomicU64,
    /// When the reader last turned round.
    turned: Mutex<Instant>,
}

impl KafkaStatus {
    /// Of a source that is to go on at these offsets.
    pub(super) fn new(positions: BTreeMap<PartitionId, (i64, i64)>, now: Instant) -> Self {
        Self {
            presence: Presence::new(now),
            taken_up: AtomicBool::default(),
            stopping: AtomicBool::default(),
            held: Mutex::new(positions.keys().cloned().collect()),
            positions: Mutex::new(positions),
            reading: Mutex::default(),
            spans: Mutex::default(),
            counts: Mutex::default(),
            problems: Mutex::default(),
            standing: Mutex::default(),
            stalls: Mutex::default(),
            made_anew: AtomicU64::default(),
            turned: Mutex::new(now),
        }
    }

    /// Whether a broker answers.
    pub fn is_connected(&self) -> bool {
        self.presence.is_here()
    }

    /// Why not everything is read, and what to do; empty when all is. That the broker is away comes first: the others
    /// may follow from it.
    pub fn problems(&self, now: Instant) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.is_connected() {
            problems.push("Kafka does not answer".to_owned());
        }
        problems.extend(lock(&self.problems).iter().cloned());
        problems.extend(lock(&self.standing).iter().cloned());
        let held_up = now.saturating_duration_since(*lock(&self.turned));
        if held_up > HELD_UP {
            problems.push(format!(
                "Kafka is not read: what was read waits for the grid, or its checkpoints, since {} s; the log says why",
                held_up.as_secs()
            ));
        }
        problems
    }

    /// How many partitions this node shows, and how many there are.
    pub fn partitions(&self) -> (usize, usize) {
        let have = lock(&self.held).len();
        let total: i32 = lock(&self.counts).values().sum();
        (have, usize::try_from(total).unwrap_or(0).max(have))
    }

    /// How much is read of what was there when the partitions were taken up; none before the group has given any.
    pub fn progress(&self) -> Option<Progress> {
        if !self.taken_up.load(Ordering::Relaxed) {
            return None;
        }
        let spans = lock(&self.spans).clone();
        let positions = lock(&self.positions);
        let mut progress = Progress::default();
        for (id, (from, end)) in spans {
            let next = positions.get(&id).map_or(from, |(next, _)| *next);
            progress.add(Stand { from, next, end });
        }
        Some(progress)
    }

    /// Records that each partition is behind its end.
    pub fn lag(&self) -> Vec<(PartitionId, i64)> {
        let positions = lock(&self.positions);
        positions
            .iter()
            .map(|(id, (next, end))| (id.clone(), (end - next).max(0)))
            .collect()
    }

    /// How often each partition of this node had records to be read, and none came for `kafka.stalled_after`.
    pub fn stalls(&self) -> Vec<(PartitionId, u64)> {
        let mut stalls = lock(&self.stalls).clone();
        for id in lock(&self.held).iter() {
            stalls.entry(id.clone()).or_default();
        }
        stalls.into_iter().collect()
    }

    /// How often the consumer was made anew.
    pub fn made_anew(&self) -> u64 {
        self.made_anew.load(Ordering::Relaxed)
    }

    pub(super) fn has_stalled(&self, id: &PartitionId) {
        *lock(&self.stalls).entry(id.clone()).or_default() += 1;
    }

    pub(super) fn turns(&self, now: Instant) {
        *lock(&self.turned) = now;
    }

    /// Where a partition is read on: where it stands, or where its log began when it was taken up.
    pub(super) fn next(&self, id: &PartitionId) -> Option<i64> {
        let next = lock(&self.positions).get(id).map(|(next, _)| *next);
        next.or_else(|| lock(&self.spans).get(id).map(|(from, _)| *from))
    }

    pub(super) fn forget(&self, id: &PartitionId) {
        lock(&self.held).remove(id);
        lock(&self.spans).remove(id);
        lock(&self.positions).remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_the_broker_is_away_is_said_first_whatever_else_is_wrong() {
        let now = Instant::now();
        let status = KafkaStatus::new(BTreeMap::new(), now);
        status.presence.is_back(now);
        assert!(status.problems(now).is_empty());
        lock(&status.problems).push("topic `t` is not read yet".to_owned());
        status.presence.is_gone(now, "Connection refused");
        assert_eq!(
            status.problems(now),
            ["Kafka does not answer", "topic `t` is not read yet"]
        );
        status.presence.is_back(now);
        assert_eq!(status.problems(now), ["topic `t` is not read yet"]);
    }

    #[test]
    fn a_reader_that_waits_for_the_grid_is_not_silent_about_it() {
        let now = Instant::now();
        let status = KafkaStatus::new(BTreeMap::new(), now);
        status.presence.is_back(now);
        assert!(status.problems(now + HELD_UP).is_empty());
        let later = now + HELD_UP + Duration::from_secs(2);
        let said = status.problems(later).join("");
        assert!(
            said.contains("waits for the grid") && said.contains("32 s"),
            "{said}"
        );
        status.turns(later);
        assert!(status.problems(later).is_empty());
    }
}
