//! Deadlines against an obvious loop: minute after minute, asked what the clock on the wall shows and whether it is in a span.
//! It knows nothing of spans as instants, of gaps or of folds, and cannot skip.

use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeZone, Timelike};
use chrono_tz::Tz;
use proptest::prelude::*;
use riskgrid_ingest::MINUTE;
use serde_json::{Value, json};

use super::*;
use crate::hotline::calendar::Unit;

/// Zones with whole hours, half hours, no changes, changes at midnight, and southern summers.
const ZONES: [&str; 8] = [
    "Asia/Shanghai",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Havana",
    "Asia/Beirut",
    "Pacific/Apia",
    "America/St_Johns",
];

/// A week and exceptions, as data and as the loop asks for them.
#[derive(Clone, Debug)]
struct Made {
    zone: Tz,
    week: Vec<Vec<(u16, u16)>>,
    days: Vec<(NaiveDate, Vec<(u16, u16)>)>,
}

impl Made {
    fn calendar(&self) -> Calendar {
        let text = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let spans = |spans: &[(u16, u16)]| -> Value {
            spans
                .iter()
                .map(|(from, to)| json!(format!("{}-{}", text(*from), text(*to))))
                .collect()
        };
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let week: serde_json::Map<String, Value> = names
            .iter()
            .zip(&self.week)
            .map(|(name, day)| ((*name).to_owned(), spans(day)))
            .collect();
        let days: serde_json::Map<String, Value> = self
            .days
            .iter()
            .map(|(date, day)| (date.to_string(), spans(day)))
            .collect();
        Calendar::from_json(&json!({"zone": self.zone.name(), "week": week, "days": days})).unwrap()
    }

    fn spans(&self, date: NaiveDate) -> &[(u16, u16)] {
        self.days.iter().rev().find(|(day, _)| *day == date).map_or_else(
            || &self.week[date.weekday().num_days_from_monday() as usize],
            |(_, spans)| spans,
        )
    }

    fn local(&self, minute: i64) -> NaiveDateTime {
        self.zone.timestamp_opt(minute * 60, 0).unwrap().naive_local()
    }

    fn counts(&self, date: NaiveDate, working: bool) -> bool {
        !working || !self.spans(date).is_empty()
    }

    /// The first minute that is open, not paused, and before which `length` such minutes have passed.
    ///
    /// In the hour that comes twice the wall shows a span's minutes twice. A span lasts from the earlier instant of its first
    /// minute to the earlier of its last, so minutes are looked at by the highest that the wall has shown since midnight.
    fn work(&self, start: i64, length: i64, pauses: &[(i64, i64)]) -> Option<i64> {
        let mut passed = 0;
        // What the wall had shown at most before: a fold that straddles the start is seen from its beginning.
        let mut shown = (start - 2 * 1_440..start)
            .map(|minute| self.local(minute))
            .max()?;
        for minute in start..start + 40 * 1_440 {
            // What the wall shows for the second time is past, for spans that begin or end within it.
            let before = shown;
            let wall = self.local(minute);
            shown = shown.max(wall);
            let is_open = if wall <= before {
                self.is_open_in_fold(before)
            } else {
                self.is_open(wall)
            };
            if !is_open || pauses.iter().any(|(from, to)| (*from..*to).contains(&minute)) {
                continue;
            }
            if passed == length {
                return Some(minute);
            }
            passed += 1;
        }
        None
    }

    fn is_open(&self, wall: NaiveDateTime) -> bool {
        let minutes = (wall.hour() * 60 + wall.minute()) as u16;
        self.spans(wall.date())
            .iter()
            .any(|(from, to)| (*from..*to).contains(&minutes))
    }

    /// While the wall repeats itself, a span that was open at the last minute before goes on, unless it ends right there.
    fn is_open_in_fold(&self, highest: NaiveDateTime) -> bool {
        self.is_open(highest)
    }

    /// The first minute after the last date, found by counting dates of minutes.
    fn dates(&self, start: i64, number: usize, working: bool, pauses: &[(i64, i64)]) -> NaiveDate {
        let counted = |from: i64, to: i64| {
            let (from, to) = (self.local(from).date(), self.local(to).date());
            from.iter_days()
                .skip(1)
                .take_while(|date| *date <= to)
                .filter(|date| self.counts(*date, working))
                .count()
        };
        let mut rest = number + pauses.iter().map(|(from, to)| counted(*from, *to)).sum::<usize>();
        let mut date = self.local(start).date();
        while rest > 0 {
            date = date.succ_opt().unwrap();
            rest -= usize::from(self.counts(date, working));
        }
        date
    }
}

fn day() -> impl Strategy<Value = Vec<(u16, u16)>> {
    prop_oneof![
        2 => Just(Vec::new()),
        2 => Just(vec![(0, 1440)]),
        4 => prop::collection::btree_set(0u16..=48, 0..7).prop_map(|set| {
            let marks: Vec<u16> = set.into_iter().map(|half_hours| half_hours * 30).collect();
            marks.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
        }),
    ]
}

fn made() -> impl Strategy<Value = Made> {
    let date = (0i32..800).prop_map(|day| NaiveDate::from_num_days_from_ce_opt(738_900 + day).unwrap());
    let week = prop::collection::vec(day(), 7);
    (0..ZONES.len(), week, prop::collection::vec((date, day()), 0..12)).prop_map(|(zone, week, days)| Made {
        zone: ZONES[zone].parse().unwrap(),
        week,
        days,
    })
}

/// Minutes since the epoch of 2024 and 2025, often near a change of clocks.
fn start(zone: Tz) -> impl Strategy<Value = i64> {
    let changes: Vec<i64> = (28_401_120..29_450_000i64)
        .step_by(60)
        .filter(|minute| {
            let offset = |minute: i64| {
                let local = zone.timestamp_opt(minute * 60, 0).unwrap().naive_local();
                local.and_utc().timestamp() - minute * 60
            };
            offset(*minute) != offset(*minute - 60)
        })
        .collect();
    let near: BoxedStrategy<i64> = if changes.is_empty() {
        (28_401_120i64..29_450_000).boxed()
    } else {
        (0..changes.len(), -3_000i64..3_000)
            .prop_map(move |(change, away)| changes[change] + away)
            .boxed()
    };
    prop_oneof![(28_401_120i64..29_450_000).boxed(), near]
}

/// Pauses in order: so long after the start or the one before, so long.
fn pauses() -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((0i64..3_000, 0i64..4_000), 0..4)
}

fn case() -> impl Strategy<Value = (Made, i64, Vec<(i64, i64)>)> {
    made().prop_flat_map(|made| {
        let zone = made.zone;
        (Just(made), start(zone), pauses()).prop_map(|(made, start, lengths)| {
            let mut at = start;
            let pauses = lengths
                .into_iter()
                .map(|(wait, length)| {
                    let from = at + wait;
                    at = from + length;
                    (from, at)
                })
                .collect();
            (made, start, pauses)
        })
    })
}

fn at(minute: i64) -> EventTime {
    EventTime::from_micros(minute * MINUTE)
}

fn found(made: &Made, start: i64, pauses: &[(i64, i64)], number: u32, unit: Unit) -> Option<EventTime> {
    let pauses: Vec<Pause> = pauses
        .iter()
        .map(|(from, to)| Pause {
            from: at(*from),
            to: at(*to),
        })
        .collect();
    let course = Course {
        start: at(start),
        pauses: &pauses,
        extended: 0,
    };
    let rule = ClockRule::of(Amount::new(number, unit).unwrap());
    deadline(&made.calendar(), &rule, course, true, 3)
        .ok()
        .map(|deadline| deadline.due)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn working_minutes_are_those_that_a_loop_counts((made, start, pauses) in case(), number in 1u32..6_000) {
        let expected = made.work(start, i64::from(number), &pauses);
        prop_assume!(expected.is_some());
        prop_assert_eq!(found(&made, start, &pauses, number, Unit::WorkingMinutes), expected.map(at));
    }

    #[test]
    fn dates_end_where_the_wall_first_shows_a_later_one((made, start, pauses) in case(), number in 1u32..40, working in any::<bool>()) {
        prop_assume!(!working || made.week.iter().any(|day| !day.is_empty()));
        let last = made.dates(start, number as usize, working, &pauses);
        // From a time surely before its end: the first minute of a later date.
        let before = last.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp() / 60 - 1_440;
        let end = (before..before + 4 * 1_440).find(|minute| made.local(*minute).date() > last);
        let unit = if working { Unit::WorkingDates } else { Unit::Dates };
        prop_assert_eq!(found(&made, start, &pauses, number, unit), end.map(at));
    }

    #[test]
    fn dates_at_a_time_come_when_the_wall_first_shows_it((made, start, pauses) in case(), number in 1u32..40) {
        let last = made.dates(start, number as usize, false, &pauses);
        let wanted = last.and_time(made.local(start).time());
        let before = wanted.and_utc().timestamp() / 60 - 2 * 1_440;
        let end = (before..before + 5 * 1_440).find(|minute| made.local(*minute) >= wanted);
        prop_assert_eq!(found(&made, start, &pauses, number, Unit::DatesAt), end.map(at));
    }

    #[test]
    fn an_extension_or_a_pause_never_makes_it_earlier((made, start, pauses) in case(), number in 1u32..40, more in 0u32..20) {
        for unit in [Unit::Hours, Unit::WorkingHours, Unit::Dates, Unit::WorkingDates, Unit::DatesAt] {
            let (Some(first), Some(extended)) =
                (found(&made, start, &pauses, number, unit), found(&made, start, &pauses, number + more, unit)) else { continue };
            prop_assert!(first <= extended);
            let without = found(&made, start, pauses.get(1..).unwrap_or_default(), number, unit);
            if pauses.len() == 1 {
                prop_assert!(without.unwrap() <= first);
            }
        }
    }
}
