//! The ways through a calendar: spans that are open from an instant on, and dates that count.

use chrono::NaiveDate;
use riskgrid_ingest::EventTime;

use super::data::Calendar;

/// How many dates a way goes before it is given up.
pub const LONGEST_WALK: usize = 3_660;

/// No working time, or no working date, within the dates that are looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the calendar has no such working time within {LONGEST_WALK} dates; give it spans, or a shorter term"
)]
pub struct CalendarEmpty;

/// Dates that count: all of them, or working ones only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hotline) enum Counting {
    All,
    Working,
}

impl Calendar {
    /// What is open from `time` on, in order: of the spans that end after it, what lies at it or after.
    pub(in crate::hotline) fn open_from(
        &self,
        time: EventTime,
    ) -> impl Iterator<Item = (EventTime, EventTime)> {
        let dates = self.local_date(time).iter_days().take(LONGEST_WALK);
        dates.flat_map(move |date| {
            self.spans_of(date).iter().filter_map(move |span| {
                let (from, to) = (self.instant(date, span.from), self.instant(date, span.to));
                (from < to && time < to).then_some((from.max(time), to))
            })
        })
    }

    /// The first instant at or after `time` that is open.
    pub(in crate::hotline) fn next_opening(&self, time: EventTime) -> Result<EventTime, CalendarEmpty> {
        let (from, _) = self.open_from(time).next().ok_or(CalendarEmpty)?;
        Ok(from)
    }

    pub(in crate::hotline) fn counts(&self, counting: Counting, date: NaiveDate) -> bool {
        counting == Counting::All || self.is_working(date)
    }

    /// How many dates after `from`, up to `to`, count.
    pub(in crate::hotline) fn count_between(
        &self,
        counting: Counting,
        from: NaiveDate,
        to: NaiveDate,
    ) -> usize {
        from.iter_days()
            .skip(1)
            .take_while(|date| *date <= to)
            .filter(|date| self.counts(counting, *date))
            .count()
    }

    /// The `number`-th date after `date` that counts; none within [`LONGEST_WALK`] dates is an error.
    pub(in crate::hotline) fn nth_after(
        &self,
        counting: Counting,
        date: NaiveDate,
        number: usize,
    ) -> Result<NaiveDate, CalendarEmpty> {
        let after = date.iter_days().skip(1).take(LONGEST_WALK);
        after
            .filter(|date| self.counts(counting, *date))
            .nth(number.saturating_sub(1))
            .ok_or(CalendarEmpty)
    }

    /// The `number`-th last working date that is not after `date`, 1 for the last.
    pub(in crate::hotline) fn nth_last_working(&self, date: NaiveDate, number: usize) -> Option<NaiveDate> {
        let before = date.iter_days().rev().take(LONGEST_WALK);
        before
            .filter(|date| self.is_working(*date))
            .nth(number.saturating_sub(1))
    }
}
