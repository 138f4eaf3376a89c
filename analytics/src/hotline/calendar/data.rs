//! A calendar: a zone, the spans of each weekday, the dates that have others, and how far it was made.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::{GapInfo, Tz};
use riskgrid_ingest::EventTime;

/// Minutes of a day.
pub(super) const DAY_END: u16 = 24 * 60;
/// Microseconds at which local dates begin to lie beyond what people write: the year 1 and the year 11 000.
const READABLE: (i64, i64) = (-62_100_000_000_000_000, 285_000_000_000_000_000);

/// A half-open span of a local day, in minutes after its midnight; 1440 is the next midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySpan {
    /// Its first minute.
    pub from: u16,
    /// The first minute after it.
    pub to: u16,
}

/// When work is done. One that exists is valid: its spans are in order and do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub(super) zone: Tz,
    pub(super) week: [Vec<DaySpan>; 7],
    pub(super) days: BTreeMap<NaiveDate, Vec<DaySpan>>,
    pub(super) covers: Option<(NaiveDate, NaiveDate)>,
}

impl Calendar {
    /// The zone in which its spans and dates are.
    pub const fn zone(&self) -> Tz {
        self.zone
    }

    /// The spans of a date, in order; none on a day off.
    pub fn spans_of(&self, date: NaiveDate) -> &[DaySpan] {
        self.days.get(&date).map_or_else(
            || {
                let weekday = date.weekday().num_days_from_monday() as usize;
                self.week.get(weekday).map_or(&[][..], Vec::as_slice)
            },
            Vec::as_slice,
        )
    }

    /// Whether the date has a span.
    pub fn is_working(&self, date: NaiveDate) -> bool {
        !self.spans_of(date).is_empty()
    }

    /// The last date that its exceptions were written for; after it the week is all that is known.
    pub fn covers_to(&self) -> Option<NaiveDate> {
        self.covers.map(|(_, to)| to)
    }

    /// The first date that its exceptions were written for.
    pub fn covers_from(&self) -> Option<NaiveDate> {
        self.covers.map(|(from, _)| from)
    }

    /// The local wall time of an instant.
    pub fn local(&self, time: EventTime) -> NaiveDateTime {
        let (first, last) = READABLE;
        let readable = EventTime::from_micros(time.micros().clamp(first, last));
        readable.to_utc().with_timezone(&self.zone).naive_local()
    }

    /// The local date of an instant.
    pub fn local_date(&self, time: EventTime) -> NaiveDate {
        self.local(time).date()
    }

    /// The first instant of a local date.
    pub fn midnight(&self, date: NaiveDate) -> EventTime {
        self.instant(date, 0)
    }

    /// The end of a local date: the first instant of the next.
    pub fn end_of(&self, date: NaiveDate) -> EventTime {
        self.instant(date, DAY_END)
    }

    /// The instant at which a local date is so many minutes old; 24:00 is 00:00 of the next.
    pub fn instant(&self, date: NaiveDate, minutes: u16) -> EventTime {
        let day = date + Days::new(u64::from(minutes / DAY_END));
        let time = day.and_time(NaiveTime::MIN) + TimeDelta::minutes(i64::from(minutes % DAY_END));
        self.wall(time)
    }

    /// The instant of a local wall time: in a gap the first one after it, in a fold the earlier.
    pub fn wall(&self, local: NaiveDateTime) -> EventTime {
        let found = self.zone.from_local_datetime(&local).earliest();
        let found = found.or_else(|| GapInfo::new(&local, &self.zone).and_then(|gap| gap.end));
        found.map_or_else(
            || EventTime::from(local.and_utc()),
            |time| EventTime::from(time.to_utc()),
        )
    }

    /// Whether an instant lies in a span: as the spans of its own date and of the one before say.
    pub fn is_open(&self, time: EventTime) -> bool {
        let date = self.local_date(time);
        [date.pred_opt(), Some(date)].into_iter().flatten().any(|day| {
            self.spans_of(day)
                .iter()
                .any(|span| self.instant(day, span.from) <= time && time < self.instant(day, span.to))
        })
    }
}
