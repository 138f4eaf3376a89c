//! A term: a whole number of one unit.

use std::fmt;

use serde::{Serialize, Serializer};

/// What a term is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Elapsed seconds.
    Seconds,
    /// Elapsed minutes.
    Minutes,
    /// Elapsed hours.
    Hours,
    /// Seconds inside the calendar's spans.
    WorkingSeconds,
    /// Minutes inside the calendar's spans.
    WorkingMinutes,
    /// Hours inside the calendar's spans.
    WorkingHours,
    /// Dates, to the end of the last.
    Dates,
    /// Working dates, to the end of the last.
    WorkingDates,
    /// Dates, to the time of day of the start.
    DatesAt,
    /// Working dates, to the time of day of the start.
    WorkingDatesAt,
}

impl Unit {
    /// All of them; a sign that ends like another one stands before it.
    const SIGNS: [(Self, &'static str); 10] = [
        (Self::WorkingMinutes, "wmin"),
        (Self::WorkingSeconds, "ws"),
        (Self::WorkingHours, "wh"),
        (Self::WorkingDatesAt, "wd@"),
        (Self::WorkingDates, "wd"),
        (Self::DatesAt, "d@"),
        (Self::Dates, "d"),
        (Self::Minutes, "min"),
        (Self::Seconds, "s"),
        (Self::Hours, "h"),
    ];

    /// How it is written after the number.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Minutes => "min",
            Self::Hours => "h",
            Self::WorkingSeconds => "ws",
            Self::WorkingMinutes => "wmin",
            Self::WorkingHours => "wh",
            Self::Dates => "d",
            Self::WorkingDates => "wd",
            Self::DatesAt => "d@",
            Self::WorkingDatesAt => "wd@",
        }
    }

    /// The largest number of it.
    const fn most(self) -> u32 {
        match self {
            Self::Seconds | Self::Minutes | Self::WorkingSeconds | Self::WorkingMinutes => 10_000_000,
            _ => 3_660,
        }
    }

    /// It counts dates.
    pub const fn is_of_dates(self) -> bool {
        matches!(
            self,
            Self::Dates | Self::WorkingDates | Self::DatesAt | Self::WorkingDatesAt
        )
    }

    /// It keeps the time of day of the start.
    pub const fn keeps_time_of_day(self) -> bool {
        matches!(self, Self::DatesAt | Self::WorkingDatesAt)
    }

    /// Only working dates, or only time inside spans, count.
    pub const fn is_of_work(self) -> bool {
        matches!(
            self,
            Self::WorkingSeconds
                | Self::WorkingMinutes
                | Self::WorkingHours
                | Self::WorkingDates
                | Self::WorkingDatesAt
        )
    }

    /// Microseconds of one; 0 for dates.
    pub(in crate::hotline) const fn micros(self) -> i64 {
        match self {
            Self::Seconds | Self::WorkingSeconds => riskgrid_ingest::SECOND,
            Self::Minutes | Self::WorkingMinutes => riskgrid_ingest::MINUTE,
            Self::Hours | Self::WorkingHours => riskgrid_ingest::HOUR,
            _ => 0,
        }
    }
}

/// A whole number, at least 1, of a unit: `5wd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Amount {
    number: u32,
    unit: Unit,
}

impl Amount {
    /// What a term may be, for messages.
    pub const ALLOWED: &'static str = "a whole number of 1 to 3660 and a unit of s, min, h, ws, wmin, wh, d, wd, d@, wd@ (s and min to 10000000), as in 5wd";

    /// `None` for a number that the unit does not allow.
    pub fn new(number: u32, unit: Unit) -> Option<Self> {
        (1..=unit.most())
            .contains(&number)
            .then_some(Self { number, unit })
    }

    /// Reads `5wd`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, sign) = text.split_at_checked(digits)?;
        let (unit, _) = Unit::SIGNS.into_iter().find(|(_, known)| *known == sign)?;
        Self::new(number.parse().ok()?, unit)
    }

    /// How many.
    pub const fn number(self) -> u32 {
        self.number
    }

    /// Of what.
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// Microseconds of all of it; 0 for dates.
    pub const fn micros(self) -> i64 {
        self.number as i64 * self.unit.micros()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.number, self.unit.as_str())
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
