//! What a clock is by its rule, and the times that follow from it.

use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// A clock's rule, as the clock keeps it: later rules do not change it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    /// How long, as `5wd`.
    pub(super) term: String,
    /// By which calendar.
    pub(super) calendar: String,
    /// When it turns yellow, before its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) yellow: Option<String>,
    /// When it turns red, if not at its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) red: Option<String>,
    /// The last date is moved on to a working one.
    #[serde(default)]
    pub(super) roll: bool,
    /// It ends at the last closing of its last date.
    #[serde(default)]
    pub(super) close: bool,
    /// How much it may be extended at once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) extend: Option<String>,
    /// How often.
    #[serde(default)]
    pub(super) extensions: u32,
    /// Handlers may pause and extend it.
    #[serde(default)]
    pub(super) self_service: bool,
    /// When the supervision unit is told, microseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) supervise_at: Option<i64>,
}

impl Spec {
    /// How often it may be extended.
    pub(super) fn extensions_given(&self) -> u32 {
        if self.extend.is_some() { self.extensions } else { 0 }
    }
}

/// Times of a clock, microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    /// Until when it is in time.
    pub(super) due: i64,
    /// When it turns yellow, if it does.
    pub(super) yellow: Option<i64>,
    /// When it turns red.
    pub(super) red: Option<i64>,
    /// When the supervision unit is told.
    pub(super) supervise_at: Option<i64>,
    /// The calendar does not say so far.
    pub(super) is_provisional: bool,
    /// The version of the calendar.
    pub(super) calendar_version: Option<i64>,
}

/// So much time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    /// How many.
    pub(super) count: i64,
    unit: String,
}

impl Amount {
    /// Reads `10wd`.
    ///
    /// # Errors
    /// 422: it is none.
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let most = if matches!(unit, "s" | "min") {
            10_000_000
        } else {
            3_660
        };
        let is_unit = matches!(
            unit,
            "s" | "min" | "h" | "ws" | "wmin" | "wh" | "d" | "wd" | "d@" | "wd@"
        );
        let count = count.parse().ok().filter(|count| (1..=most).contains(count));
        match count {
            Some(count) if is_unit => Ok(Self {
                count,
                unit: unit.to_owned(),
            }),
            _ => {
                let shown: String = text.chars().take(32).collect();
                Err(Problem::unprocessable(format!(
                    "`amount` is \"{shown}\"; it is a whole number from 1 to 3660 (of s and min to 10000000) and a unit of s, \
                     min, h, ws, wmin, wh, d, wd, d@, wd@"
                )))
            }
        }
    }

    /// Whether it is counted as a term is.
    pub(super) fn has_unit_of(&self, term: &str) -> bool {
        term.trim_start_matches(|letter: char| letter.is_ascii_digit()) == self.unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_whole_number_and_a_unit() {
        let amount = Amount::read("10wd").unwrap();
        assert_eq!(amount.count, 10);
        assert!(amount.has_unit_of("5wd") && !amount.has_unit_of("5d") && !amount.has_unit_of("5wd@"));
        assert!(Amount::read("2wd@").unwrap().has_unit_of("10wd@"));
        assert!(Amount::read("10000000s").is_ok());
        for text in [
            "",
            "wd",
            "0wd",
            "-1d",
            "1.5d",
            "3661d",
            "1w",
            "10000001min",
            "1 d",
            "1D",
            "99999999999999999999d",
        ] {
            assert!(Amount::read(text).is_err(), "{text}");
        }
    }
}
