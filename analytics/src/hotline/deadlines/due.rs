//! When a clock is due, and what follows from that: its last date, its cards, the steps of the ladder.

use chrono::{Days, NaiveDate};
use riskgrid_ingest::EventTime;
use serde::{Deserialize, Serialize};

use super::clock_rule::{ClockRule, Red, Yellow};
use crate::hotline::calendar::{Calendar, CalendarEmpty, Counting, Unit};

/// A span in which a clock stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it was paused.
    pub from: EventTime,
    /// When it went on.
    pub to: EventTime,
}

/// What became of a clock so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course<'a> {
    /// Its start.
    pub start: EventTime,
    /// Its pauses that are over, in order.
    pub pauses: &'a [Pause],
    /// By how much it was extended, in the unit of its term.
    pub extended: u32,
}

impl Course<'_> {
    /// One that only began.
    pub const fn from(start: EventTime) -> Self {
        Self {
            start,
            pauses: &[],
            extended: 0,
        }
    }
}

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// In time is what comes before it.
    pub due: EventTime,
    /// The last date on which it can be done in time.
    pub last: NaiveDate,
    /// When the office is warned.
    pub yellow: Option<EventTime>,
    /// When it is late; `None` for clocks without cards.
    pub red: Option<EventTime>,
    /// When the supervision unit is told.
    pub supervision: Option<EventTime>,
    /// The calendar does not cover it: its exceptions are not known.
    pub provisional: bool,
}

/// Works out a deadline. `has_cards` is the clock's; the supervision unit is told on the `supervision_after`-th working date
/// after the last.
///
/// # Errors
/// [`CalendarEmpty`] where the calendar has no such time.
pub fn deadline(
    calendar: &Calendar,
    rule: &ClockRule,
    course: Course<'_>,
    has_cards: bool,
    supervision_after: u32,
) -> Result<Deadline, CalendarEmpty> {
    let due = due(calendar, rule, course)?;
    let unit = rule.term.unit();
    let last_instant = if unit.keeps_time_of_day() {
        due
    } else {
        due.plus(-1)
    };
    // With `close` due lies in the last date, with its end the instant before it does.
    let last = calendar.local_date(last_instant);
    let working_after = |number: u32| {
        let date = calendar.nth_after(Counting::Working, last, number as usize);
        date.ok().map(|date| calendar.midnight(date))
    };
    let (mut yellow, mut red, mut supervision) = (None, None, None);
    if has_cards {
        yellow = rule
            .yellow
            .and_then(|yellow| yellow_at(calendar, yellow, last, due))
            .filter(|yellow| course.start < *yellow);
        red = Some(match rule.red {
            Red::Due => due,
            Red::NextWd => working_after(1).unwrap_or(due),
        });
        supervision = working_after(supervision_after);
    }
    let start = calendar.local_date(course.start);
    Ok(Deadline {
        due,
        last,
        yellow,
        red,
        supervision,
        provisional: calendar.covers_to().is_some_and(|to| to < last)
            || calendar.covers_from().is_some_and(|from| start < from),
    })
}

fn yellow_at(calendar: &Calendar, yellow: Yellow, last: NaiveDate, due: EventTime) -> Option<EventTime> {
    match yellow {
        Yellow::LastWorkingDates(number) => {
            let date = calendar.nth_last_working(last, number as usize)?;
            Some(calendar.midnight(date))
        }
        Yellow::Before(amount) if amount.unit() == Unit::Dates => {
            let earlier = calendar
                .local(due)
                .checked_sub_days(Days::new(u64::from(amount.number())))?;
            Some(calendar.wall(earlier))
        }
        Yellow::Before(amount) => Some(due.plus(-amount.micros())),
    }
}

fn due(calendar: &Calendar, rule: &ClockRule, course: Course<'_>) -> Result<EventTime, CalendarEmpty> {
    let unit = rule.term.unit();
    let number = i64::from(rule.term.number()) + i64::from(course.extended);
    if !unit.is_of_dates() {
        let length = number.saturating_mul(unit.micros());
        return if unit.is_of_work() {
            due_of_work(calendar, course, length)
        } else {
            let paused: i64 = course.pauses.iter().map(|pause| pause.to.since(pause.from)).sum();
            Ok(course.start.plus(length).plus(paused))
        };
    }
    let counting = if unit.is_of_work() {
        Counting::Working
    } else {
        Counting::All
    };
    let start = if unit == Unit::WorkingDatesAt {
        calendar.next_opening(course.start)?
    } else {
        course.start
    };
    let paused: usize = course
        .pauses
        .iter()
        .map(|pause| {
            let (from, to) = (calendar.local_date(pause.from), calendar.local_date(pause.to));
            calendar.count_between(counting, from, to)
        })
        .sum();
    let number = usize::try_from(number)
        .unwrap_or(usize::MAX)
        .saturating_add(paused);
    let mut last = calendar.nth_after(counting, calendar.local_date(start), number)?;
    if rule.roll && !calendar.is_working(last) {
        last = calendar.nth_after(Counting::Working, last, 1)?;
    }
    if unit.keeps_time_of_day() {
        return Ok(calendar.wall(last.and_time(calendar.local(start).time())));
    }
    let closing = calendar.spans_of(last).last().filter(|_| rule.close);
    Ok(closing.map_or_else(|| calendar.end_of(last), |span| calendar.instant(last, span.to)))
}

/// The first open instant that is not paused and before which so much open time, not paused, has passed.
fn due_of_work(calendar: &Calendar, course: Course<'_>, length: i64) -> Result<EventTime, CalendarEmpty> {
    let (mut rest, mut at) = (length, course.start);
    for pause in course.pauses {
        for (from, to) in calendar.open_from(at) {
            if pause.from <= from {
                break;
            }
            let open = to.min(pause.from).since(from);
            if rest < open {
                return Ok(from.plus(rest));
            }
            rest -= open;
        }
        at = at.max(pause.to);
    }
    for (from, to) in calendar.open_from(at) {
        if rest < to.since(from) {
            return Ok(from.plus(rest));
        }
        rest -= to.since(from);
    }
    Err(CalendarEmpty)
}
