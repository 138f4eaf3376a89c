//! Event time: an instant in UTC, in microseconds. Nothing in this module reads a clock.

use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// Microseconds of one second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of one minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds of one hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds of one day of 24 hours.
pub const DAY: i64 = 24 * HOUR;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// # use riskgrid_ingest::EventTime;
/// let time = EventTime::parse_rfc3339("2026-11-22T09:00:00+01:00").unwrap();
/// assert_eq!(time.to_string(), "2026-11-22T08:00:00Z");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventTime(i64);

impl EventTime {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with an offset; digits past the microsecond are cut.
    /// `None` when the text is anything else, a local time without offset included.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        if let Some(time) = parse_plain_utc(text.as_bytes()) {
            return Some(time);
        }
        let parsed = DateTime::parse_from_rfc3339(text).ok()?;
        Some(Self(parsed.timestamp_micros()))
    }

    /// This instant later (or earlier, when negative) by `micros`; stops at the ends of the range.
    #[must_use]
    pub const fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this instant.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The start of the span of `length` microseconds that holds this instant, counted from the epoch.
    /// `length` must be positive.
    #[must_use]
    pub const fn floor(self, length: i64) -> Self {
        Self(self.0.div_euclid(length).saturating_mul(length))
    }

    /// The first multiple of `length` at or after this instant.
    #[must_use]
    pub const fn ceil(self, length: i64) -> Self {
        let floor = self.floor(length);
        if floor.0 == self.0 {
            floor
        } else {
            floor.plus(length)
        }
    }

    /// The same instant as a chrono value; the ends of chrono's range for instants beyond it.
    pub fn to_utc(self) -> DateTime<Utc> {
        Utc.timestamp_micros(self.0).single().unwrap_or(if self.0 < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        })
    }
}

impl From<DateTime<Utc>> for EventTime {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }
}

impl fmt::Display for EventTime {
    /// RFC 3339 in UTC with `Z`, with as many digits of a second as are needed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&rfc3339(self.to_utc()))
    }
}

/// RFC 3339 in UTC with `Z`, with as many digits of a second as are needed: thousandths, millionths, or none.
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The fast path of [`EventTime::parse_rfc3339`]: `YYYY-MM-DDTHH:MM:SS[.fraction]Z`, the form nearly every producer
/// writes. Anything unusual (offsets, leap seconds, out-of-range fields) is left to chrono.
fn parse_plain_utc(text: &[u8]) -> Option<EventTime> {
    let [
        y0,
        y1,
        y2,
        y3,
        b'-',
        m0,
        m1,
        b'-',
        d0,
        d1,
        b'T',
        h0,
        h1,
        b':',
        n0,
        n1,
        b':',
        s0,
        s1,
        rest @ ..,
    ] = text
    else {
        return None;
    };
    let two = |high: &u8, low: &u8| -> Option<i64> {
        (high.is_ascii_digit() && low.is_ascii_digit())
            .then(|| i64::from(high - b'0') * 10 + i64::from(low - b'0'))
    };
    let year = two(y0, y1)? * 100 + two(y2, y3)?;
    let (month, day) = (two(m0, m1)?, two(d0, d1)?);
    let (hour, minute, second) = (two(h0, h1)?, two(n0, n1)?, two(s0, s1)?);
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=month_length).contains(&day) {
        return None;
    }
    let fraction = match rest {
        [b'Z'] => 0,
        [b'.', digits @ .., b'Z'] if !digits.is_empty() => {
            let mut micros = 0;
            let mut unit = 100_000;
            for digit in digits {
                if !digit.is_ascii_digit() {
                    return None;
                }
                micros += i64::from(digit - b'0') * unit;
                unit /= 10;
            }
            micros
        }
        _ => return None,
    };
    // Days from civil date, by counting years from March (Hinnant 2013, "chrono-compatible low-level date algorithms").
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(EventTime(
        days * DAY + hour * HOUR + minute * MINUTE + second * SECOND + fraction,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_are_needed_and_applied() {
        assert_eq!(
            EventTime::parse_rfc3339("1970-01-01T01:00:00+01:00"),
            Some(EventTime(0))
        );
        assert_eq!(EventTime::parse_rfc3339("1970-01-01T00:00:00"), None);
        assert_eq!(EventTime::parse_rfc3339("1970-01-01"), None);
        assert_eq!(EventTime::parse_rfc3339("2015-02-29T00:00:00Z"), None);
        assert_eq!(
            EventTime::parse_rfc3339("1969-12-31T23:59:59.9999999Z"),
            Some(EventTime(-1))
        );
    }

    #[test]
    fn floor_goes_towards_the_past() {
        assert_eq!(EventTime(-1).floor(MINUTE), EventTime(-MINUTE));
        assert_eq!(EventTime(MINUTE).ceil(MINUTE), EventTime(MINUTE));
        assert_eq!(EventTime(MINUTE + 1).ceil(MINUTE), EventTime(2 * MINUTE));
    }

    proptest! {
        #[test]
        fn the_fast_path_agrees_with_chrono(micros in -50_000_000_000_000_000i64..250_000_000_000_000_000) {
            let time = EventTime(micros);
            let text = time.to_string();
            let slow = DateTime::parse_from_rfc3339(&text).map(|t| t.timestamp_micros()).ok();
            prop_assert_eq!(EventTime::parse_rfc3339(&text).map(EventTime::micros), slow);
            prop_assert_eq!(slow, Some(micros));
        }
    }
}
