//! Spans of time as people write them, in the configuration, in rules, in requests and in feeds: one reader for all.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time, written as humantime has it: `250ms`, `90s`, `2m`, `48h`, `90d`, `3y`. A type of our own, for
/// humantime-serde's errors do not say what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timespan(pub Duration);

impl Timespan {
    /// Of so many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// In microseconds; spans beyond 290 000 years count as that.
    pub fn micros(self) -> i64 {
        i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX)
    }

    /// Whole hours.
    pub const fn hours(self) -> u64 {
        self.0.as_secs() / 3600
    }

    /// Reads the length of a window: a whole number, not 0, and one of `m`, `h`, `d`, as `15m`, `24h`, `7d`.
    pub fn window(text: &str) -> Option<Self> {
        let seconds_per_unit: u64 = match text.chars().last()? {
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let digits = text.get(..text.len() - 1)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u64 = digits.parse().ok().filter(|number| *number > 0)?;
        number.checked_mul(seconds_per_unit).map(Self::seconds)
    }

    /// As the length of a window is written: `15m`, `24h` as `1d`.
    pub fn as_window(self) -> String {
        let minutes = self.0.as_secs() / 60;
        match minutes {
            _ if minutes.is_multiple_of(1_440) => format!("{}d", minutes / 1_440),
            _ if minutes.is_multiple_of(60) => format!("{}h", minutes / 60),
            _ => format!("{minutes}m"),
        }
    }
}

impl fmt::Display for Timespan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(formatter)
    }
}

/// A text that is no span of time.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{text}` is not a span of time like 90s, 2m, 48h or 3y: {source}")]
pub struct NoTimespan {
    /// What was written.
    text: String,
    /// What is wrong with it.
    source: humantime::DurationError,
}

impl FromStr for Timespan {
    type Err = NoTimespan;

    fn from_str(text: &str) -> Result<Self, NoTimespan> {
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|source| NoTimespan {
                text: text.to_owned(),
                source,
            })
    }
}

impl Serialize for Timespan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timespan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_span_is_read_as_it_is_written(millis in 0_u64..1 << 45) {
            let span = Timespan(Duration::from_millis(millis));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn a_window_is_read_as_it_is_written(minutes in 1_u64..1 << 30) {
            let window = Timespan::seconds(minutes * 60);
            prop_assert_eq!(Timespan::window(&window.as_window()), Some(window));
        }
    }

    #[test]
    fn a_window_has_one_whole_number_and_one_unit() {
        assert_eq!(Timespan::window("15m"), Some(Timespan::seconds(900)));
        assert_eq!(Timespan::window("7d"), Some(Timespan::seconds(604_800)));
        for wrong in [
            "",
            "m",
            "0m",
            "15",
            "15s",
            "1.5h",
            "-1h",
            "+1h",
            "1h30m",
            " 1h",
            "1h ",
            "99999999999999999999d",
            "1\u{b5}",
        ] {
            assert_eq!(Timespan::window(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_text_that_is_none_says_what_one_looks_like() {
        let error = "soon".parse::<Timespan>().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`soon` is not a span of time like 90s"),
            "{error}"
        );
    }
}
