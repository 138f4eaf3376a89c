//! Whose turn it is: queries of one asker in the order of their coming, askers one after the other, live queries last.
//!
//! Pure: the engine says who comes, who leaves and how long it ran, and is told who may start.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Run times that the expected wait is reckoned from.
const REMEMBERED: usize = 32;
/// The shortest and the longest wait that is proposed, in seconds.
const RETRY_AFTER: (u64, u64) = (1, 60);

/// Who asks, as far as turns go: an identity, or the address of somebody unknown.
pub(super) type Asker = Arc<str>;

/// How many queries of one asker may run and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) running: usize,
    pub(super) waiting: usize,
}

/// Refused: as many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueFull {
    /// When to try again, in seconds.
    pub(super) retry_after: u64,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

#[derive(Debug)]
struct Waiting {
    place: Place,
    share: Share,
}

/// The askers of one kind of query that wait, in the order of their turns.
#[derive(Debug, Default)]
struct Ring {
    turns: VecDeque<Asker>,
    waiting: HashMap<Asker, VecDeque<Waiting>>,
}

impl Ring {
    fn push(&mut self, asker: &Asker, waiting: Waiting) {
        let of_asker = self.waiting.entry(Arc::clone(asker)).or_default();
        if of_asker.is_empty() {
            self.turns.push_back(Arc::clone(asker));
        }
        of_asker.push_back(waiting);
    }

    fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    fn of(&self, asker: &Asker) -> usize {
        self.waiting.get(asker).map_or(0, VecDeque::len)
    }

    /// The next whose asker may run one more; its asker's next turn is after all others.
    fn take(&mut self, running: &HashMap<Asker, usize>) -> Option<(Asker, Place)> {
        let may_run = |asker: &Asker| {
            let first = self.waiting.get(asker).and_then(VecDeque::front);
            first.is_some_and(|first| running.get(asker).copied().unwrap_or(0) < first.share.running)
        };
        let at = self.turns.iter().position(may_run)?;
        let asker = self.turns.remove(at)?;
        let of_asker = self.waiting.get_mut(&asker)?;
        let next = of_asker.pop_front()?;
        if of_asker.is_empty() {
            self.waiting.remove(&asker);
        } else {
            self.turns.push_back(Arc::clone(&asker));
        }
        Some((asker, next.place))
    }

    fn remove(&mut self, asker: &Asker, place: Place) {
        let Some(of_asker) = self.waiting.get_mut(asker) else {
            return;
        };
        of_asker.retain(|waiting| waiting.place != place);
        if of_asker.is_empty() {
            self.waiting.remove(asker);
            self.turns.retain(|other| other != asker);
        }
    }
}

/// All that run and wait.
#[derive(Debug)]
pub(super) struct Turns {
    /// How many may run, and wait, in all.
    all: Share,
    running: HashMap<Asker, usize>,
    number_running: usize,
    asked: Ring,
    live: Ring,
    next: u64,
    run_times: VecDeque<Duration>,
    /// Places that may start, and have not been told yet.
    granted: BTreeMap<Place, Asker>,
}

impl Turns {
    pub(super) fn new(all: Share) -> Self {
        Self {
            all,
            running: HashMap::new(),
            number_running: 0,
            asked: Ring::default(),
            live: Ring::default(),
            next: 0,
            run_times: VecDeque::with_capacity(REMEMBERED),
            granted: BTreeMap::new(),
        }
    }

    /// A query comes, and waits until its place is granted.
    ///
    /// # Errors
    /// When it would have to wait and as many do as may, of its asker or in all.
    pub(super) fn come(&mut self, asker: &Asker, share: Share, is_live: bool) -> Result<Place, QueueFull> {
        let waiting = self.asked.len() + self.live.len();
        let of_asker = self.asked.of(asker) + self.live.of(asker);
        let is_free = self.number_running < self.all.running
            && self.running.get(asker).copied().unwrap_or(0) < share.running
            && of_asker == 0;
        if !is_free && (of_asker >= share.waiting || waiting >= self.all.waiting) {
            return Err(QueueFull {
                retry_after: self.retry_after(waiting + 1),
            });
        }
        let place = Place(self.next);
        self.next += 1;
        let ring = if is_live { &mut self.live } else { &mut self.asked };
        ring.push(asker, Waiting { place, share });
        self.grant();
        Ok(place)
    }

    /// Whether a place was granted; it is told once.
    pub(super) fn starts(&mut self, place: Place) -> bool {
        self.granted.remove(&place).is_some()
    }

    /// The places that were granted and do not know it yet.
    #[cfg(test)]
    fn granted(&self) -> impl Iterator<Item = Place> + '_ {
        self.granted.keys().copied()
    }

    /// One that waited goes away; one that was granted meanwhile makes room.
    pub(super) fn leave(&mut self, asker: &Asker, place: Place) {
        self.asked.remove(asker, place);
        self.live.remove(asker, place);
        if self.granted.remove(&place).is_some() {
            self.make_room(asker);
        }
    }

    /// One that ran has ended.
    pub(super) fn end(&mut self, asker: &Asker, ran: Duration) {
        if self.run_times.len() == REMEMBERED {
            self.run_times.pop_front();
        }
        self.run_times.push_back(ran);
        self.make_room(asker);
    }

    /// How many run, and how many wait.
    pub(super) fn numbers(&self) -> (usize, usize) {
        (self.number_running, self.asked.len() + self.live.len())
    }

    fn make_room(&mut self, asker: &Asker) {
        self.number_running = self.number_running.saturating_sub(1);
        if let Some(of_asker) = self.running.get_mut(asker) {
            *of_asker -= 1;
            if *of_asker == 0 {
                self.running.remove(asker);
            }
        }
        self.grant();
    }

    fn grant(&mut self) {
        while self.number_running < self.all.running {
            let next = self
                .asked
                .take(&self.running)
                .or_else(|| self.live.take(&self.running));
            let Some((asker, place)) = next else {
                return;
            };
            self.number_running += 1;
            *self.running.entry(Arc::clone(&asker)).or_default() += 1;
            self.granted.insert(place, asker);
        }
    }

    /// When the one at `position` in the queue would come to its turn, in seconds.
    fn retry_after(&self, position: usize) -> u64 {
        let all: Duration = self.run_times.iter().sum();
        let mean = all.as_secs_f64() / self.run_times.len().max(1) as f64;
        let seconds = (position as f64 * mean / self.all.running.max(1) as f64).ceil();
        (seconds as u64).clamp(RETRY_AFTER.0, RETRY_AFTER.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHARE: Share = Share {
        running: 2,
        waiting: 3,
    };

    fn turns(running: usize, waiting: usize) -> Turns {
        Turns::new(Share { running, waiting })
    }

    fn told(turns: &mut Turns) -> Vec<Place> {
        let granted: Vec<Place> = turns.granted().collect();
        granted.into_iter().filter(|place| turns.starts(*place)).collect()
    }

    #[test]
    fn askers_take_turns_and_live_queries_come_last() {
        let (busy, other): (Asker, Asker) = ("busy".into(), "other".into());
        let mut turns = turns(1, 100);
        let first = turns.come(&busy, SHARE, false).unwrap();
        assert_eq!(told(&mut turns), [first]);
        let live = turns.come(&other, SHARE, true).unwrap();
        let of_busy: Vec<Place> = (0..2).map(|_| turns.come(&busy, SHARE, false).unwrap()).collect();
        let of_other = turns.come(&other, SHARE, false).unwrap();
        let mut order = Vec::new();
        let mut ended = busy.clone();
        for _ in 0..4 {
            turns.end(&ended, Duration::from_secs(1));
            let next = told(&mut turns);
            assert_eq!(next.len(), 1);
            ended = if of_busy.contains(&next[0]) {
                busy.clone()
            } else {
                other.clone()
            };
            order.extend(next);
        }
        assert_eq!(order, [of_busy[0], of_other, of_busy[1], live]);
    }

    #[test]
    fn who_finds_the_queue_full_is_told_when_to_come_again() {
        let asker: Asker = "a".into();
        let mut turns = turns(1, 100);
        turns.come(&asker, SHARE, false).unwrap();
        for _ in 0..3 {
            turns.come(&asker, SHARE, false).unwrap();
        }
        // Nothing has ended yet.
        assert_eq!(
            turns.come(&asker, SHARE, false),
            Err(QueueFull { retry_after: 1 })
        );
        turns.end(&asker, Duration::from_secs(10));
        turns.come(&asker, SHARE, false).unwrap();
        assert_eq!(
            turns.come(&asker, SHARE, false),
            Err(QueueFull { retry_after: 40 })
        );
        turns.end(&asker, Duration::from_secs(1000));
        turns.come(&asker, SHARE, false).unwrap();
        assert_eq!(
            turns.come(&asker, SHARE, false),
            Err(QueueFull { retry_after: 60 })
        );
        // Another asker has a share of its own.
        assert!(turns.come(&"b".into(), SHARE, false).is_ok());
    }

    proptest! {
        #[test]
        fn nobody_runs_more_than_may_and_nobody_waits_while_there_is_room(
            steps in prop::collection::vec((0..4_u8, 0..3_usize, any::<bool>()), 1..200),
        ) {
            let askers: Vec<Asker> = ["a", "b", "c"].map(Asker::from).into();
            let all = Share { running: 3, waiting: 6 };
            let mut turns = Turns::new(all);
            let (mut waiting, mut running): (Vec<(usize, Place)>, Vec<usize>) = Default::default();
            for (what, asker, is_live) in steps {
                match what {
                    0 | 1 => match turns.come(&askers[asker], SHARE, is_live) {
                        Ok(place) => waiting.push((asker, place)),
                        Err(_) => prop_assert!(
                            waiting.len() >= all.waiting || waiting.iter().filter(|(other, _)| *other == asker).count() >= SHARE.waiting
                        ),
                    },
                    2 if !running.is_empty() => {
                        let ended = running.remove(asker % running.len());
                        turns.end(&askers[ended], Duration::from_millis(5));
                    }
                    3 if !waiting.is_empty() => {
                        let (of, place) = waiting.remove(asker % waiting.len());
                        turns.leave(&askers[of], place);
                    }
                    _ => {}
                }
                waiting.retain(|(asker, place)| {
                    let starts = turns.starts(*place);
                    if starts {
                        running.push(*asker);
                    }
                    !starts
                });
                prop_assert_eq!(turns.numbers(), (running.len(), waiting.len()));
                prop_assert!(running.len() <= all.running);
                for asker in 0..askers.len() {
                    let runs = running.iter().filter(|other| **other == asker).count();
                    prop_assert!(runs <= SHARE.running);
                    let waits = waiting.iter().any(|(other, _)| *other == asker);
                    prop_assert!(!waits || runs == SHARE.running || running.len() == all.running);
                }
            }
        }
    }
}
