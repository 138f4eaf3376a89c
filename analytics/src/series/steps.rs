//! Steps of equal length, or of whole local days, back from a moment.

use riskgrid_ingest::grid::{Calendar, Span, Step};
use riskgrid_ingest::{DAY, EventTime};

/// How long a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepLength {
    /// So many local days, from midnight to midnight.
    Days(u32),
    /// So many microseconds.
    Micros(i64),
}

impl StepLength {
    /// Of so many microseconds: days where they are whole.
    pub fn of(micros: i64) -> Self {
        match u32::try_from(micros / DAY) {
            Ok(days) if days > 0 && micros % DAY == 0 => Self::Days(days),
            _ => Self::Micros(micros.max(1)),
        }
    }

    /// In microseconds, of days of 24 hours.
    pub const fn micros(self) -> i64 {
        match self {
            Self::Days(days) => days as i64 * DAY,
            Self::Micros(micros) => micros,
        }
    }

    /// In days.
    pub fn days(self) -> f64 {
        self.micros() as f64 / DAY as f64
    }

    /// The start of the step that holds a moment: a local midnight, or counted from one where a day has a whole number of
    /// steps, else from the epoch.
    fn start(self, calendar: &Calendar, time: EventTime) -> EventTime {
        match self {
            Self::Days(_) => calendar.span(Step::Day, time).start,
            Self::Micros(micros) if DAY % micros == 0 => {
                let midnight = calendar.span(Step::Day, time).start;
                midnight.plus(time.since(midnight) / micros * micros)
            }
            Self::Micros(micros) => time.floor(micros),
        }
    }

    /// Where the last step ends: at a moment that was named it is the one that holds what is just before it; else the
    /// last that is over by then.
    pub fn end(self, calendar: &Calendar, at: EventTime, is_named: bool) -> EventTime {
        let start = self.start(calendar, at);
        if start == at || !is_named {
            return start;
        }
        match self {
            Self::Days(_) => calendar.span(Step::Day, at).end,
            Self::Micros(micros) => start.plus(micros),
        }
    }
}

/// So many steps that follow each other, the last to end at `end`, oldest first. Days before `earliest` may be off by the
/// hours that clocks were changed by: nothing is known of them.
pub fn steps_back(
    calendar: &Calendar,
    length: StepLength,
    number: usize,
    end: EventTime,
    earliest: EventTime,
) -> Vec<Span> {
    let mut steps = Vec::with_capacity(number);
    let mut end = end;
    for _ in 0..number {
        let start = match length {
            StepLength::Days(days) if end > earliest => {
                let mut start = end;
                for _ in 0..days {
                    if start <= earliest {
                        start = start.plus(-DAY);
                        continue;
                    }
                    start = calendar.span(Step::Day, start.plus(-1)).start;
                }
                start
            }
            length => end.plus(-length.micros()),
        };
        steps.push(Span { start, end });
        end = start;
    }
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Tz;
    use riskgrid_ingest::{HOUR, MINUTE};

    fn at(text: &str) -> EventTime {
        EventTime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_step_of_days_ends_at_a_local_midnight() {
        let berlin = Calendar::new(MINUTE, Tz::Europe__Berlin);
        let day = StepLength::of(DAY);
        let noon = at("2026-10-26T12:00:00+01:00");
        assert_eq!(day.end(&berlin, noon, false), at("2026-10-26T00:00:00+01:00"));
        assert_eq!(day.end(&berlin, noon, true), at("2026-10-27T00:00:00+01:00"));
        let midnight = at("2026-10-26T00:00:00+01:00");
        for is_named in [false, true] {
            assert_eq!(day.end(&berlin, midnight, is_named), midnight);
        }
        let days = steps_back(&berlin, day, 3, midnight, at("2020-01-01T00:00:00Z"));
        let lengths: Vec<i64> = days.iter().map(|day| day.end.since(day.start) / HOUR).collect();
        // Clocks went back on the 25th.
        assert_eq!(lengths, [24, 24, 25]);
        assert_eq!(days[2].end, midnight);
        assert!(days.is_sorted());
        let weeks = steps_back(
            &berlin,
            StepLength::of(7 * DAY),
            2,
            midnight,
            at("2020-01-01T00:00:00Z"),
        );
        assert_eq!(weeks[1].start, at("2026-10-19T00:00:00+02:00"));
        assert_eq!(weeks[0].start, at("2026-10-12T00:00:00+02:00"));
    }

    #[test]
    fn a_step_within_a_day_is_counted_from_midnight_and_another_from_the_epoch() {
        let kolkata = Calendar::new(MINUTE, Tz::Asia__Kolkata);
        let six = StepLength::of(6 * HOUR);
        let morning = at("2026-11-22T08:00:00+05:30");
        assert_eq!(six.end(&kolkata, morning, false), at("2026-11-22T06:00:00+05:30"));
        assert_eq!(six.end(&kolkata, morning, true), at("2026-11-22T12:00:00+05:30"));
        let odd = StepLength::of(7 * HOUR);
        assert_eq!(odd.end(&kolkata, morning, false), morning.floor(7 * HOUR));
    }

    #[test]
    fn steps_of_a_million_days_are_made_at_once() {
        let calendar = Calendar::new(MINUTE, Tz::Europe__Berlin);
        let end = at("2026-11-22T00:00:00+01:00");
        let ages = StepLength::Days(2_000_000);
        assert_eq!(steps_back(&calendar, ages, 4000, end, end.plus(-DAY)).len(), 4000);
    }
}
