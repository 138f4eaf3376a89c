//! At which event times rules are judged next that are judged at times of their own: multiples of `every`, each once, in
//! order.

use std::time::Duration;

use riskgrid_ingest::EventTime;

/// Times that are judged at one look: others can be judged and stored between two.
const AT_ONCE: i64 = 60;
/// Times that are made good after a stop or a leap of the clock. Of what lies further back nothing is decided.
const MADE_GOOD: i64 = 10_080;

/// Times to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToJudge {
    /// Ascending, each a multiple of `every`.
    pub(super) times: Vec<EventTime>,
    /// The first of them, where times before it are left out.
    pub(super) lost_sight: Option<EventTime>,
    /// No time is left that is complete.
    pub(super) is_up_to_date: bool,
}

impl ToJudge {
    /// After the last evaluation, up to what is complete. A rule that was never judged begins with the newest.
    pub(super) fn since(last: Option<EventTime>, complete_to: EventTime, every: i64) -> Self {
        let newest = complete_to.floor(every);
        let Some(last) = last else {
            return Self {
                times: vec![newest],
                lost_sight: None,
                is_up_to_date: true,
            };
        };
        let first = last.floor(every).plus(every);
        let behind = newest.since(first).div_euclid(every) + 1;
        if behind <= 0 {
            return Self {
                times: Vec::new(),
                lost_sight: None,
                is_up_to_date: true,
            };
        }
        let is_lost = behind > MADE_GOOD;
        let left = behind.min(MADE_GOOD);
        let first = newest.plus(-(left - 1) * every);
        let at_once = left.min(AT_ONCE);
        Self {
            times: (0..at_once).map(|number| first.plus(number * every)).collect(),
            lost_sight: is_lost.then_some(first),
            is_up_to_date: at_once == left,
        }
    }
}

/// The times after `complete` whose buckets are open: of each something may have come by `newest`.
pub(super) fn open_times(complete: EventTime, newest: EventTime, every: i64) -> Vec<EventTime> {
    let first = complete.floor(every).plus(every);
    let times = (0..AT_ONCE).map(|number| first.plus(number * every));
    times.take_while(|end| end.plus(-every) <= newest).collect()
}

/// As the grid counts time.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn at(bucket: i64) -> EventTime {
        EventTime::from_micros(bucket * MINUTE)
    }

    fn times(last: Option<i64>, complete_to: i64) -> ToJudge {
        ToJudge::since(last.map(at), at(complete_to), MINUTE)
    }

    #[test]
    fn a_rule_that_was_never_judged_begins_with_the_newest() {
        assert_eq!(times(None, 7).times, [at(7)]);
        assert_eq!(ToJudge::since(None, at(7), 5 * MINUTE).times, [at(5)]);
    }

    #[test]
    fn each_time_since_the_last_evaluation_is_judged_once() {
        assert_eq!(times(Some(7), 7).times, []);
        assert_eq!(times(Some(4), 7).times, [at(5), at(6), at(7)]);
        assert!(times(Some(4), 7).is_up_to_date);
        let every = |last: i64| ToJudge::since(Some(at(last)), at(16), 5 * MINUTE).times;
        assert_eq!(every(5), [at(10), at(15)]);
        // Judged by another rhythm before.
        assert_eq!(every(7), [at(10), at(15)]);
    }

    #[test]
    fn what_is_not_complete_is_not_judged() {
        let complete = at(7).plus(MINUTE - 1);
        assert_eq!(ToJudge::since(Some(at(6)), complete, MINUTE).times, [at(7)]);
    }

    #[test]
    fn what_is_long_is_judged_in_pieces_that_go_on_from_each_other() {
        let mut last = 0;
        let mut judged: Vec<EventTime> = Vec::new();
        loop {
            let piece = times(Some(last), 1_000);
            assert_eq!((piece.lost_sight, piece.times[0]), (None, at(last + 1)));
            judged.extend(&piece.times);
            if piece.is_up_to_date {
                break;
            }
            last += AT_ONCE;
        }
        assert_eq!(judged, (1..=1_000).map(at).collect::<Vec<_>>());
    }

    #[test]
    fn after_a_leap_the_rules_lose_sight_of_what_was_before() {
        let leap = times(Some(0), 5 * MADE_GOOD);
        assert_eq!(leap.lost_sight, Some(at(4 * MADE_GOOD + 1)));
        assert_eq!(leap.times[0], at(4 * MADE_GOOD + 1));
        assert_eq!(times(Some(0), MADE_GOOD).lost_sight, None);
    }

    #[test]
    fn a_clock_that_went_back_judges_nothing_twice() {
        assert_eq!(times(Some(9), 7).times, []);
    }

    #[test]
    fn buckets_are_open_from_the_first_that_is_not_complete_to_that_of_the_newest_event() {
        assert_eq!(open_times(at(4), at(4), MINUTE), [at(5)]);
        assert_eq!(open_times(at(4), at(6).plus(1), MINUTE), [at(5), at(6), at(7)]);
        assert_eq!(open_times(at(4), at(3), MINUTE), []);
    }
}
