//! Partitions that stand still: records are there to be read, and none come, for a time in which the reader was waiting
//! for them. librdkafka's states have corners that nothing leads out of; a new client has none of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::words::PartitionId;

/// A remedy that did not help is tried again after twice as long, so many times doubled at most.
const MOST_DOUBLINGS: u32 = 5;

/// A wait that is not endless.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    at_first: Duration,
    since: Instant,
    /// How often it has ended in vain.
    ended: u32,
}

impl Patience {
    pub(super) const fn new(at_first: Duration, now: Instant) -> Self {
        Self {
            at_first,
            since: now,
            ended: 0,
        }
    }

    /// What was waited for came.
    pub(super) const fn begin(&mut self, now: Instant) {
        self.since = now;
        self.ended = 0;
    }

    /// It is waited as long once more: nothing could be done about it.
    pub(super) const fn once_more(&mut self, now: Instant) {
        self.since = now;
    }

    /// Something was done about it.
    pub(super) const fn again(&mut self, now: Instant) {
        self.since = now;
        self.ended += 1;
    }

    /// Time in which nobody waited.
    pub(super) fn put_off(&mut self, by: Duration) {
        self.since += by;
    }

    /// It has ended, and what was waited for has not come since.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended > 0
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        let doubled = self.at_first * 2_u32.pow(self.ended.min(MOST_DOUBLINGS));
        now.saturating_duration_since(self.since) >= doubled
    }
}

/// One partition that is read.
#[derive(Clone, Copy, Debug)]
struct Standing {
    next: i64,
    /// When it last went on.
    since: Instant,
    /// Until something is done about it.
    patience: Patience,
    is_stalled: bool,
}

/// A partition that stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stalled {
    pub(super) id: PartitionId,
    pub(super) next: i64,
    pub(super) end: i64,
    pub(super) stood: Duration,
    /// It was not known before.
    pub(super) is_news: bool,
    /// Something is to be done now.
    pub(super) is_due: bool,
}

impl Stalled {
    /// For whoever asks why not everything is read.
    pub(super) fn said(&self, made_anew: u64) -> String {
        let Self { id, next, end, .. } = self;
        format!(
            "Kafka partition {id} stands still at offset {next} of {end} since {} s although Kafka answers; the consumer \
             was made anew {made_anew} times",
            self.stood.as_secs()
        )
    }
}

/// Looks at the partitions that are read.
#[derive(Debug)]
pub(super) struct Watch {
    after: Duration,
    partitions: BTreeMap<PartitionId, Standing>,
    look_at: Instant,
}

impl Watch {
    /// One that finds a partition stalled `after` so long.
    pub(super) const fn new(after: Duration, now: Instant) -> Self {
        Self {
            after,
            partitions: BTreeMap::new(),
            look_at: now,
        }
    }

    /// Whether it is time to look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.look_at
    }

    /// The reader did not wait for records for so long: that time does not count.
    pub(super) fn put_off(&mut self, by: Duration) {
        for standing in self.partitions.values_mut() {
            standing.patience.put_off(by);
        }
    }

    /// The broker is away: what stands still waits for it, and has its time when it is back.
    pub(super) fn wait_for_the_broker(&mut self, now: Instant) {
        for standing in self.partitions.values_mut() {
            standing.patience.once_more(now);
        }
    }

    /// Takes note of where the partitions that are read stand, and says which have not gone on since the last look.
    pub(super) fn look(&mut self, now: Instant, reading: &BTreeMap<PartitionId, i64>) -> Vec<PartitionId> {
        self.look_at = now + self.after / 6;
        self.partitions.retain(|id, _| reading.contains_key(id));
        let mut quiet = Vec::new();
        for (id, next) in reading {
            match self.partitions.get_mut(id) {
                Some(standing) if standing.next == *next => quiet.push(id.clone()),
                _ => {
                    let standing = Standing {
                        next: *next,
                        since: now,
                        patience: Patience::new(self.after, now),
                        is_stalled: false,
                    };
                    self.partitions.insert(id.clone(), standing);
                }
            }
        }
        quiet
    }

    /// Which of them have stood still for too long, by the ends of their logs.
    pub(super) fn stalled(&mut self, now: Instant, ends: &BTreeMap<PartitionId, i64>) -> Vec<Stalled> {
        let mut all = Vec::new();
        for (id, standing) in &mut self.partitions {
            let Some(end) = ends.get(id).copied() else {
                continue;
            };
            if end <= standing.next {
                // Nothing to be read: from here on it counts.
                standing.since = now;
                standing.patience.begin(now);
                standing.is_stalled = false;
                continue;
            }
            let is_due = standing.patience.is_over(now);
            if !is_due && !standing.is_stalled {
                continue;
            }
            all.push(Stalled {
                id: id.clone(),
                next: standing.next,
                end,
                stood: now.saturating_duration_since(standing.since),
                is_news: !standing.is_stalled,
                is_due,
            });
            standing.is_stalled = true;
        }
        all
    }

    /// Those of these partitions, whose ends nobody tells, for which that is too long, and whether something is to be done
    /// now.
    pub(super) fn untold(&mut self, now: Instant, ids: &[PartitionId]) -> (Vec<PartitionId>, bool) {
        let (mut found, mut is_due) = (Vec::new(), false);
        for id in ids {
            let Some(standing) = self.partitions.get_mut(id) else {
                continue;
            };
            let is_over = standing.patience.is_over(now);
            if is_over || standing.is_stalled {
                found.push(id.clone());
                standing.is_stalled = true;
                is_due |= is_over;
            }
        }
        (found, is_due)
    }

    /// The consumer was made anew: all have time to go on, those that stood still twice as long as before.
    pub(super) fn made_anew(&mut self, now: Instant) {
        for standing in self.partitions.values_mut() {
            if standing.is_stalled {
                standing.patience.again(now);
            } else {
                standing.patience.begin(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(30);
    const SECOND: Duration = Duration::from_secs(1);

    fn id(partition: i32) -> PartitionId {
        PartitionId {
            topic: "t".into(),
            partition,
        }
    }

    fn at<const N: usize>(offsets: [i64; N]) -> BTreeMap<PartitionId, i64> {
        (0..).map(id).zip(offsets).collect()
    }

    /// What is found at `now`, and whether something is due.
    fn found(
        watch: &mut Watch,
        now: Instant,
        next: &BTreeMap<PartitionId, i64>,
        ends: &BTreeMap<PartitionId, i64>,
    ) -> Vec<(i32, bool)> {
        watch.look(now, next);
        let stalled = watch.stalled(now, ends);
        stalled
            .into_iter()
            .map(|stalled| (stalled.id.partition, stalled.is_due))
            .collect()
    }

    #[test]
    fn only_what_has_records_and_does_not_go_on_is_found() {
        let began = Instant::now();
        let mut watch = Watch::new(AFTER, began);
        // 0 is read to its end, 1 goes on, 2 stands still.
        for second in 0..90 {
            let now = began + second * SECOND;
            let (next, ends) = (at([7, i64::from(second), 5]), at([7, 1000, 6]));
            let expected = if second < 30 { vec![] } else { vec![(2, true)] };
            assert_eq!(found(&mut watch, now, &next, &ends), expected, "{second}");
        }
    }

    #[test]
    fn a_stall_is_news_once_and_over_when_it_goes_on() {
        let began = Instant::now();
        let mut watch = Watch::new(AFTER, began);
        watch.look(began, &at([5]));
        let mut news = Vec::new();
        for second in 1..=60 {
            let now = began + second * SECOND;
            watch.look(now, &at([5]));
            let stalled = watch.stalled(now, &at([6]));
            news.extend(stalled.iter().filter(|stalled| stalled.is_news).map(|_| second));
        }
        assert_eq!(news, [30]);
        let now = began + 61 * SECOND;
        assert_eq!(found(&mut watch, now, &at([6]), &at([9])), []);
    }

    #[test]
    fn a_remedy_that_does_not_help_is_tried_less_and_less_often() {
        let began = Instant::now();
        let mut watch = Watch::new(AFTER, began);
        let mut tried = Vec::new();
        for second in 0..4_000 {
            let now = began + second * SECOND;
            if found(&mut watch, now, &at([5]), &at([6])) == [(0, true)] {
                watch.made_anew(now);
                tried.push(second);
            }
        }
        assert_eq!(tried, [30, 90, 210, 450, 930, 1890, 2850, 3810]);
    }

    #[test]
    fn records_that_come_after_a_long_silence_have_their_time() {
        let began = Instant::now();
        let mut watch = Watch::new(AFTER, began);
        for second in 0..100 {
            assert_eq!(found(&mut watch, began + second * SECOND, &at([5]), &at([5])), []);
        }
        for second in 100..129 {
            assert_eq!(found(&mut watch, began + second * SECOND, &at([5]), &at([6])), []);
        }
        let now = began + 129 * SECOND;
        assert_eq!(found(&mut watch, now, &at([5]), &at([6])), [(0, true)]);
    }

    #[test]
    fn time_in_which_nobody_reads_does_not_count() {
        let began = Instant::now();
        let mut watch = Watch::new(AFTER, began);
        watch.look(began, &at([5]));
        watch.put_off(3600 * SECOND);
        let woke = began + 3600 * SECOND;
        assert_eq!(found(&mut watch, woke + 29 * SECOND, &at([5]), &at([6])), []);
        assert_eq!(
            found(&mut watch, woke + 30 * SECOND, &at([5]), &at([6])),
            [(0, true)]
        );
    }

    #[test]
    fn the_broker_s_absence_does_not_count() {
        let began = Instant::now();
        let mut watch = Watch::new(AFTER, began);
        for second in 0..100 {
            watch.look(began + second * SECOND, &at([5]));
            watch.wait_for_the_broker(began + second * SECOND);
        }
        let back = began + 99 * SECOND;
        assert_eq!(found(&mut watch, back + 29 * SECOND, &at([5]), &at([6])), []);
        assert_eq!(
            found(&mut watch, back + 30 * SECOND, &at([5]), &at([6])),
            [(0, true)]
        );
    }

    #[test]
    fn a_partition_whose_end_nobody_tells_is_found_too() {
        let began = Instant::now();
        let mut watch = Watch::new(AFTER, began);
        let both = [id(0), id(1)];
        assert_eq!(found(&mut watch, began, &at([5, 5]), &at([5, 6])), []);
        watch.look(began + 29 * SECOND, &at([5, 7]));
        assert_eq!(watch.untold(began + 29 * SECOND, &both), (vec![], false));
        assert_eq!(watch.untold(began + 30 * SECOND, &both), (vec![id(0)], true));
        watch.made_anew(began + 30 * SECOND);
        assert_eq!(watch.untold(began + 40 * SECOND, &both), (vec![id(0)], false));
        let now = began + 41 * SECOND;
        assert_eq!(found(&mut watch, now, &at([5, 7]), &at([5, 7])), []);
        assert_eq!(watch.untold(now, &both), (vec![], false));
    }

    #[test]
    fn what_is_not_read_is_not_watched_and_begins_anew() {
        let began = Instant::now();
        let mut watch = Watch::new(AFTER, began);
        assert_eq!(found(&mut watch, began, &at([5, 5]), &at([6, 6])), []);
        let now = began + 20 * SECOND;
        assert_eq!(found(&mut watch, now, &at([5]), &at([6, 6])), []);
        let now = began + 40 * SECOND;
        assert_eq!(found(&mut watch, now, &at([5, 5]), &at([6, 6])), [(0, true)]);
    }
}
