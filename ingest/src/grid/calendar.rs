//! Steps of time: minutes (the base bucket), hours and days, the latter two by the grid's time zone.

use chrono::{Datelike as _, Days, NaiveDate, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::words::{DAY, EventTime, HOUR};

/// The three lengths at which aggregates are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The base bucket, one minute by default.
    Bucket,
    /// An hour.
    Hour,
    /// A local day: 24 hours, or 23 or 25 where clocks change.
    Day,
}

impl Step {
    /// From the finest to the coarsest.
    pub const ALL: [Self; 3] = [Self::Bucket, Self::Hour, Self::Day];

    /// Its place in arrays by step.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// As the configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bucket => "minutes",
            Self::Hour => "hours",
            Self::Day => "days",
        }
    }
}

/// A half-open span of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Its first instant.
    pub start: EventTime,
    /// The first instant after it.
    pub end: EventTime,
}

impl Span {
    /// Whether `time` is in it.
    pub fn contains(&self, time: EventTime) -> bool {
        self.start <= time && time < self.end
    }

    /// Its length in seconds.
    pub fn seconds(&self) -> i64 {
        self.end.since(self.start) / 1_000_000
    }
}

/// Cuts event time into buckets, hours and days.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    bucket: i64,
    zone: Tz,
}

impl Calendar {
    /// `bucket` in microseconds, a divisor of an hour; days are those of `zone`.
    pub const fn new(bucket: i64, zone: Tz) -> Self {
        Self { bucket, zone }
    }

    /// The time zone of days.
    pub const fn zone(&self) -> Tz {
        self.zone
    }

    /// Length of the base bucket in microseconds.
    pub const fn bucket(&self) -> i64 {
        self.bucket
    }

    /// The span of `step` that holds `time`.
    pub fn span(&self, step: Step, time: EventTime) -> Span {
        match step {
            Step::Bucket => {
                let start = time.floor(self.bucket);
                Span {
                    start,
                    end: start.plus(self.bucket),
                }
            }
            Step::Hour => {
                // Zones at half an hour from UTC have their hours there too.
                let offset = self.offset(time).rem_euclid(HOUR);
                let start = time.plus(offset).floor(HOUR).plus(-offset);
                Span {
                    start,
                    end: start.plus(HOUR),
                }
            }
            Step::Day if self.zone == Tz::UTC => {
                let start = time.floor(DAY);
                Span {
                    start,
                    end: start.plus(DAY),
                }
            }
            Step::Day => self.local_day(time),
        }
    }

    /// The local hour of the week that holds `time`: 0 is the first of Monday, 167 the last of Sunday.
    pub fn hour_of_week(&self, time: EventTime) -> usize {
        // The epoch was a Thursday.
        let local = time.micros() + self.offset(time) + 3 * DAY;
        local.rem_euclid(7 * DAY).div_euclid(HOUR) as usize
    }

    fn offset(&self, time: EventTime) -> i64 {
        if self.zone == Tz::UTC {
            return 0;
        }
        let local = self.zone.from_utc_datetime(&time.to_utc().naive_utc());
        i64::from(local.offset().fix().local_minus_utc()) * 1_000_000
    }

    /// The seven local days, from a Monday on, that hold `time`.
    pub fn week(&self, time: EventTime) -> Span {
        let date = self.local_date(time);
        let since = Days::new(u64::from(date.weekday().num_days_from_monday()));
        let monday = date.checked_sub_days(since).unwrap_or(date);
        self.days(monday, 7)
    }

    fn local_day(&self, time: EventTime) -> Span {
        self.days(self.local_date(time), 1)
    }

    fn local_date(&self, time: EventTime) -> NaiveDate {
        let local = self.zone.from_utc_datetime(&time.to_utc().naive_utc());
        local.date_naive()
    }

    /// So many local days from `date` on.
    fn days(&self, date: NaiveDate, number: u64) -> Span {
        let next = date.checked_add_days(Days::new(number)).unwrap_or(date);
        Span {
            start: self.midnight(date),
            end: self.midnight(next),
        }
    }

    /// When a local day begins.
    fn midnight(&self, date: NaiveDate) -> EventTime {
        let local = date.and_time(NaiveTime::MIN);
        // Where the clock skips midnight the day begins when it lands.
        let found = (0..4).find_map(|half_hours| {
            let shifted = local + chrono::Duration::minutes(30 * half_hours);
            self.zone.from_local_datetime(&shifted).earliest()
        });
        found.map_or_else(
            || EventTime::from(Utc.from_utc_datetime(&local)),
            |start| EventTime::from_micros(start.timestamp_micros()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::MINUTE;
    use proptest::prelude::*;

    fn at(text: &str) -> EventTime {
        EventTime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn hours_of_the_week_are_local_and_begin_on_monday() {
        let utc = Calendar::new(MINUTE, Tz::UTC);
        assert_eq!(utc.hour_of_week(at("2026-11-30T00:00:00Z")), 0);
        assert_eq!(utc.hour_of_week(at("2026-11-29T23:59:59Z")), 167);
        let shanghai = Calendar::new(MINUTE, Tz::Asia__Shanghai);
        assert_eq!(shanghai.hour_of_week(at("2026-11-29T16:30:00Z")), 0);
        assert_eq!(utc.hour_of_week(at("1969-12-29T01:00:00Z")), 1);
    }

    #[test]
    fn local_days_have_23_or_25_hours_where_clocks_change() {
        let calendar = Calendar::new(MINUTE, Tz::America__New_York);
        let spring = calendar.span(Step::Day, at("2026-03-08T12:00:00Z"));
        assert_eq!(
            (spring.start, spring.seconds()),
            (at("2026-03-08T05:00:00Z"), 23 * 3600)
        );
        let autumn = calendar.span(Step::Day, at("2026-11-01T12:00:00Z"));
        assert_eq!(
            (autumn.start, autumn.seconds()),
            (at("2026-11-01T04:00:00Z"), 25 * 3600)
        );
    }

    proptest! {
        #[test]
        fn spans_hold_their_time_and_nest(seconds in 1_262_304_000i64..1_893_456_000, zone in prop::sample::select(vec![
            Tz::UTC, Tz::Asia__Shanghai, Tz::America__New_York, Tz::Asia__Kolkata, Tz::America__St_Johns, Tz::Africa__Cairo,
        ])) {
            let calendar = Calendar::new(MINUTE, zone);
            let time = EventTime::from_micros(seconds * 1_000_000);
            let [bucket, hour, day] = Step::ALL.map(|step| calendar.span(step, time));
            for span in [bucket, hour, day] {
                prop_assert!(span.contains(time));
            }
            prop_assert!(hour.start <= bucket.start && bucket.end <= hour.end);
            prop_assert!(day.start <= hour.start && hour.end <= day.end);
            prop_assert_eq!(calendar.span(Step::Day, day.end).start, day.end);
        }
    }
}
