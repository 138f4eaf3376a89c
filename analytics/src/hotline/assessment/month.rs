//! A month of a calendar.

use std::fmt;

use chrono::{Datelike, NaiveDate};
use riskgrid_ingest::EventTime;

use crate::hotline::calendar::{Calendar, CalendarEmpty, Counting};

/// A local month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first: NaiveDate,
}

impl Month {
    /// The month that a unit belongs to: that of the instant before it is due.
    pub fn of_due(calendar: &Calendar, due: EventTime) -> Self {
        Self::of_date(calendar.local_date(due.plus(-1)))
    }

    /// The month of a date.
    pub fn of_date(date: NaiveDate) -> Self {
        Self {
            first: date.with_day(1).unwrap_or(date),
        }
    }

    /// Reads `2026-03`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        // No sign, and no year of more digits.
        if text.len() != "2026-03".len() {
            return None;
        }
        let first = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok()?;
        let month = Self { first };
        (text.len() == 7 && month.to_string() == text).then_some(month)
    }

    /// Its first date.
    pub const fn first(self) -> NaiveDate {
        self.first
    }

    /// The first date of the next.
    pub fn next(self) -> NaiveDate {
        let (year, month) = (self.first.year(), self.first.month());
        let next = if month == 12 {
            NaiveDate::from_ymd_opt(year + 1, 1, 1)
        } else {
            NaiveDate::from_ymd_opt(year, month + 1, 1)
        };
        next.unwrap_or(self.first)
    }

    /// Its instants: from the first to the one after the last. A unit is due after the first and not after the last.
    pub fn span(self, calendar: &Calendar) -> (EventTime, EventTime) {
        (calendar.midnight(self.first), calendar.midnight(self.next()))
    }

    /// When its rows are frozen: at the beginning of the `working_date`-th working date of the next month.
    ///
    /// # Errors
    /// [`CalendarEmpty`] where there is none.
    pub fn frozen_at(self, calendar: &Calendar, working_date: u32) -> Result<EventTime, CalendarEmpty> {
        let last = self.next().pred_opt().ok_or(CalendarEmpty)?;
        let date = calendar.nth_after(Counting::Working, last, working_date as usize)?;
        Ok(calendar.midnight(date))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}
