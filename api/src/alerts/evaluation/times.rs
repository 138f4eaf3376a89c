//! At which event times rules on cells are judged next.

use riskgrid_ingest::EventTime;

/// Times that are judged at one look: others can be judged and stored between two.
const AT_ONCE: i64 = 60;
/// Buckets that are made good after a stop or a leap of the clock. Of what lies further back nothing is decided.
const MADE_GOOD: i64 = 10_080;

/// Times to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToJudge {
    /// Ascending, each the end of a bucket.
    pub(super) times: Vec<EventTime>,
    /// The first of them, where buckets before it are left out.
    pub(super) lost_sight: Option<EventTime>,
    /// The last of them is the newest.
    pub(super) is_up_to_date: bool,
}

impl ToJudge {
    /// From the last evaluation, itself once more, to `newest`.
    pub(super) fn since(last: Option<EventTime>, newest: EventTime, bucket: i64) -> Self {
        let Some(last) = last.filter(|last| *last <= newest) else {
            return Self {
                times: vec![newest],
                lost_sight: None,
                is_up_to_date: true,
            };
        };
        let behind = newest.since(last).div_euclid(bucket);
        let is_lost = behind > MADE_GOOD;
        let left = behind.min(MADE_GOOD);
        let first = newest.plus(-left * bucket);
        let at_once = left.min(AT_ONCE);
        Self {
            times: (0..=at_once).map(|number| first.plus(number * bucket)).collect(),
            lost_sight: is_lost.then_some(first),
            is_up_to_date: at_once == left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(bucket: i64) -> EventTime {
        EventTime::from_micros(bucket * 60_000_000)
    }

    fn times(last: Option<i64>, newest: i64) -> ToJudge {
        ToJudge::since(last.map(at), at(newest), 60_000_000)
    }

    #[test]
    fn a_rule_that_was_never_judged_begins_with_the_newest() {
        assert_eq!(times(None, 7).times, [at(7)]);
    }

    #[test]
    fn each_bucket_since_the_last_evaluation_is_judged_once_and_that_one_again() {
        assert_eq!(times(Some(7), 7).times, [at(7)]);
        assert_eq!(times(Some(4), 7).times, [at(4), at(5), at(6), at(7)]);
        assert!(times(Some(4), 7).is_up_to_date);
    }

    #[test]
    fn what_is_long_is_judged_in_pieces_that_go_on_from_each_other() {
        let mut last = 0;
        let mut judged = vec![at(0)];
        loop {
            let piece = times(Some(last), 1_000);
            assert_eq!((piece.lost_sight, piece.times[0]), (None, at(last)));
            judged.extend(&piece.times[1..]);
            if piece.is_up_to_date {
                break;
            }
            last += AT_ONCE;
        }
        assert_eq!(judged, (0..=1_000).map(at).collect::<Vec<_>>());
    }

    #[test]
    fn after_a_leap_the_rules_lose_sight_of_what_was_before() {
        let leap = times(Some(0), 5 * MADE_GOOD);
        assert_eq!(leap.lost_sight, Some(at(4 * MADE_GOOD)));
        assert_eq!(leap.times[0], at(4 * MADE_GOOD));
        assert_eq!(times(Some(0), MADE_GOOD).lost_sight, None);
    }

    #[test]
    fn a_clock_that_went_back_is_judged_as_it_is() {
        assert_eq!(times(Some(9), 7).times, [at(7)]);
    }
}
