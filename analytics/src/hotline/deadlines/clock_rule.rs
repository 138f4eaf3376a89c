//! What a rule says of one clock.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::lifecycle::ClockName;
use crate::hotline::calendar::{Amount, Unit};
use crate::hotline::reading::{InvalidData, Members, Problems, quoted};

const YELLOW: &str = "an amount in s, min, h, d or wd, as in 1wd";

/// When the office is warned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yellow {
    /// At the beginning of the n-th last working date, 1 for the last one.
    LastWorkingDates(u32),
    /// So long before due, elapsed.
    Before(Amount),
}

/// When it is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Red {
    /// At due.
    #[default]
    Due,
    /// At the beginning of the first working date after the last.
    NextWd,
}

/// The term of a clock, its cards, and how it may be extended. Serialises as the object that it is read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClockRule {
    /// How long.
    pub term: Amount,
    /// No yellow card where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yellow: Option<Yellow>,
    /// When it turns red.
    pub red: Red,
    /// A last date off moves on to a working date.
    pub roll: bool,
    /// It ends with the last span of the last date, not with the date.
    pub close: bool,
    /// The longest extension, in the unit of the term.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extend: Option<Amount>,
    /// How often it may be extended.
    pub extensions: u32,
}

impl ClockRule {
    /// A term and nothing else.
    pub const fn of(term: Amount) -> Self {
        Self {
            term,
            yellow: None,
            red: Red::Due,
            roll: false,
            close: false,
            extend: None,
            extensions: 0,
        }
    }

    /// Reads what was serialised, or what a rule set says: an object, or the term as a text alone.
    ///
    /// # Errors
    /// [`InvalidData`] with every key that is wrong.
    pub fn from_json(clock: ClockName, value: &Value) -> Result<Self, InvalidData> {
        let mut problems = Problems::default();
        let rule = Self::read(clock, value, "", &mut problems);
        problems.finish(rule)
    }

    pub(in crate::hotline) fn read(
        clock: ClockName,
        value: &Value,
        path: &str,
        problems: &mut Problems,
    ) -> Option<Self> {
        if let Some(text) = value.as_str() {
            let term = Amount::parse(text);
            if term.is_none() {
                problems.complain(path, &quoted(Some(value)), Amount::ALLOWED);
            }
            return term.map(Self::of);
        }
        let mut members = Members::of(value, path, problems)?;
        let term = members.required("term", Amount::ALLOWED, |value| Amount::parse(value.as_str()?));
        let yellow = members.optional("yellow", YELLOW, |value| Yellow::parse(value.as_str()?));
        let red = members.optional("red", "due, next_wd", |value| match value.as_str()? {
            "due" => Some(Red::Due),
            "next_wd" => Some(Red::NextWd),
            _ => None,
        });
        if !clock.has_cards() {
            for (name, is_given) in [("yellow", yellow.is_some()), ("red", red == Some(Red::NextWd))] {
                if is_given {
                    members.complain(name, "nothing: this clock has no cards");
                }
            }
        }
        let (roll, close) = (members.flag("roll"), members.flag("close"));
        if let Some(unit) = term.map(Amount::unit) {
            if roll && !unit.is_of_dates() {
                members.complain("roll", "true for terms in d, wd, d@ or wd@ alone");
            }
            if close && !matches!(unit, Unit::Dates | Unit::WorkingDates) {
                members.complain("close", "true for terms in d or wd alone");
            }
        }
        let extend = members.optional("extend", "an amount in the unit of the term", |value| {
            Amount::parse(value.as_str()?)
                .filter(|extend| term.is_none_or(|term| term.unit() == extend.unit()))
        });
        let extensions = members.optional(
            "extensions",
            "a whole number of 0 to 100, beside `extend`",
            |value| {
                let number = u32::try_from(value.as_u64()?).ok()?;
                (number <= 100 && (extend.is_some() || number == 0)).then_some(number)
            },
        );
        if clock != ClockName::Handle && extend.is_some() {
            members.complain("extend", "nothing: only `handle` is extended");
        }
        members.finish();
        Some(Self {
            term: term?,
            yellow,
            red: red.unwrap_or_default(),
            roll,
            close,
            extend,
            extensions: extensions.unwrap_or(u32::from(extend.is_some())),
        })
    }
}

impl Yellow {
    fn parse(text: &str) -> Option<Self> {
        let amount = Amount::parse(text)?;
        match amount.unit() {
            Unit::WorkingDates => Some(Self::LastWorkingDates(amount.number())),
            Unit::Seconds | Unit::Minutes | Unit::Hours | Unit::Dates => Some(Self::Before(amount)),
            _ => None,
        }
    }
}

impl Serialize for Yellow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::LastWorkingDates(number) => serializer.collect_str(&format_args!("{number}wd")),
            Self::Before(amount) => serializer.collect_str(amount),
        }
    }
}
