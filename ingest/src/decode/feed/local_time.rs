//! How a feed writes time, and in which zone.

use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::field_spec::TimeSettings;
use crate::words::{CandidateTime, EventTime};

/// Reads the texts of one feed's time fields.
#[derive(Debug)]
pub(super) struct TimeReader {
    style: Style,
    /// The format as it is written in the settings, for messages.
    format: String,
}

#[derive(Debug)]
enum Style {
    Rfc3339,
    /// A count since the epoch; the number of microseconds of one.
    Unix(i64),
    Pattern {
        items: Vec<Item<'static>>,
        fixed: Option<FixedPattern>,
        /// `None` when the pattern itself reads an offset.
        zone: Option<Tz>,
    },
}

impl TimeReader {
    /// A reader for these settings.
    ///
    /// # Errors
    /// Which of the keys `format` and `zone` is wrong (`None` as value when it is missing), and what is allowed.
    pub(super) fn new(settings: &TimeSettings) -> Result<Self, TimeSettingsError> {
        let style = match settings.format.as_str() {
            "rfc3339" => Style::Rfc3339,
            "unix" => Style::Unix(1_000_000),
            "unix_ms" => Style::Unix(1_000),
            pattern => Self::pattern(pattern, settings.zone.as_deref())?,
        };
        if settings.zone.is_some()
            && matches!(
                style,
                Style::Rfc3339 | Style::Unix(_) | Style::Pattern { zone: None, .. }
            )
        {
            return Err(TimeSettingsError {
                key: "zone",
                value: settings.zone.clone(),
                allowed: "this format says its offset itself: leave `zone` out".to_owned(),
            });
        }
        Ok(Self {
            style,
            format: settings.format.clone(),
        })
    }

    fn pattern(pattern: &str, zone: Option<&str>) -> Result<Style, TimeSettingsError> {
        let wrong = |allowed: &str| TimeSettingsError {
            key: "format",
            value: Some(pattern.to_owned()),
            allowed: allowed.to_owned(),
        };
        let items = StrftimeItems::new(pattern)
            .parse_to_owned()
            .map_err(|_| wrong("a strftime pattern, `rfc3339`, `unix` or `unix_ms` is allowed"))?;
        // Whether a pattern reads a whole date is seen by letting it read what it wrote.
        let sample = DateTime::<Utc>::from_timestamp(1_424_000_000, 0).unwrap_or_default();
        let written = sample.format_with_items(items.iter()).to_string();
        let mut parsed = Parsed::new();
        let read = parse(&mut parsed, &written, items.iter())
            .ok()
            .and_then(|()| naive(&parsed));
        if read.is_none() {
            return Err(wrong(
                "a strftime pattern that reads at least a whole date is needed",
            ));
        }
        let zone = match (has_offset(&parsed), zone) {
            // A zone beside an offset is refused by the caller.
            (true, _) => None,
            (false, None) => {
                return Err(TimeSettingsError {
                    key: "zone",
                    value: None,
                    allowed: "the format reads no offset; name a zone such as `UTC` or `America/New_York`"
                        .to_owned(),
                });
            }
            (false, Some(name)) => Some(name.parse::<Tz>().map_err(|_| TimeSettingsError {
                key: "zone",
                value: Some(name.to_owned()),
                allowed:
                    "a name of the IANA time zone database is needed, such as `America/New_York`".to_owned(),
            })?),
        };
        Ok(Style::Pattern {
            fixed: FixedPattern::new(pattern),
            items,
            zone,
        })
    }

    /// Reads one text, spaces around it aside: a time, [`CandidateTime::Missing`] when it is empty, or why it is none.
    pub(super) fn read(&self, text: &str) -> CandidateTime<'static> {
        let text = text.trim();
        if text.is_empty() {
            return CandidateTime::Missing;
        }
        let read = match &self.style {
            Style::Rfc3339 => EventTime::parse_rfc3339(text),
            Style::Unix(scale) => parse_unix(text, *scale),
            Style::Pattern { items, fixed, zone } => match read_pattern(text, items, fixed.as_ref(), *zone) {
                Ok(time) => time,
                Err(gap) => return CandidateTime::Invalid(gap),
            },
        };
        match read {
            Some(time) => CandidateTime::Resolved(time),
            None => CandidateTime::Invalid(format!(
                "time `{}` is not written as {}",
                short(text),
                self.format
            )),
        }
    }
}

/// What is wrong with `time.format` or `time.zone`.
#[derive(Debug)]
pub(super) struct TimeSettingsError {
    /// `format` or `zone`.
    pub(super) key: &'static str,
    /// What it holds; `None` when it is missing.
    pub(super) value: Option<String>,
    /// What it may hold.
    pub(super) allowed: String,
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn parse_unix(text: &str, scale: i64) -> Option<EventTime> {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.checked_mul(scale).map(EventTime::from_micros);
    }
    let micros = text.parse::<f64>().ok()? * scale as f64;
    // Past 2^62 an f64 no longer tells neighbouring instants apart, and no calendar reaches there.
    (micros.abs() < 4.6e18).then(|| EventTime::from_micros(micros.round() as i64))
}

/// `Ok(None)`: not in this pattern; `Err`: in a gap of its zone.
fn read_pattern(
    text: &str,
    items: &[Item<'_>],
    fixed: Option<&FixedPattern>,
    zone: Option<Tz>,
) -> Result<Option<EventTime>, String> {
    let local = fixed.and_then(|fixed| fixed.read(text)).or_else(|| {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, items.iter()).ok()?;
        naive(&parsed)
    });
    let (Some(local), Some(zone)) = (local, zone) else {
        return Ok(local.map(|utc| utc.and_utc().into()));
    };
    if zone == Tz::UTC {
        return Ok(Some(local.and_utc().into()));
    }
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) => Ok(Some(time.to_utc().into())),
        LocalResult::Ambiguous(one, other) => Ok(Some(one.to_utc().min(other.to_utc()).into())),
        LocalResult::None => Err(format!(
            "time `{}` never was in {zone}: the clocks skipped it",
            short(text)
        )),
    }
}

fn has_offset(parsed: &Parsed) -> bool {
    parsed.offset().is_some() || parsed.timestamp().is_some()
}

/// The date and time that were read: local, or UTC when an offset was read too. A date alone is its midnight.
fn naive(parsed: &Parsed) -> Option<NaiveDateTime> {
    if has_offset(parsed) {
        let offset = parsed.offset().unwrap_or(0);
        let local = parsed.to_naive_datetime_with_offset(offset).ok()?;
        return local.checked_sub_signed(chrono::TimeDelta::seconds(i64::from(offset)));
    }
    let date = parsed.to_naive_date().ok()?;
    let no_time_of_day = parsed.hour_div_12().is_none() && parsed.hour_mod_12().is_none();
    let time = if no_time_of_day {
        NaiveTime::MIN
    } else {
        parsed.to_naive_time().ok()?
    };
    Some(date.and_time(time))
}

/// The fast way for patterns of plain digits, such as `%Y-%m-%d %H:%M:%S`. What it does not read is left to chrono.
#[derive(Debug)]
struct FixedPattern {
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Literal(u8),
    /// Index of the part (year, month, day, hour, minute, second).
    Digits(usize),
}

impl FixedPattern {
    /// `None` when the pattern holds anything else, or does not have each of its parts once.
    fn new(pattern: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut seen = [false; 6];
        let expanded = pattern.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S");
        let mut bytes = expanded.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                pieces.push(Piece::Literal(byte));
                continue;
            }
            let directive = bytes.next()?;
            let part = b"YmdHMS".iter().position(|known| *known == directive)?;
            let place = seen.get_mut(part)?;
            if std::mem::replace(place, true) {
                return None;
            }
            pieces.push(Piece::Digits(part));
        }
        matches!(
            seen,
            [true, true, true, true, true, _] | [true, true, true, false, false, false]
        )
        .then_some(Self { pieces })
    }

    fn read(&self, text: &str) -> Option<NaiveDateTime> {
        let mut rest = text.as_bytes();
        let mut parts = [0_u32; 6];
        for piece in &self.pieces {
            match piece {
                Piece::Literal(byte) => rest = rest.strip_prefix(&[*byte])?,
                Piece::Digits(part) => {
                    let width = if *part == 0 { 4 } else { 2 };
                    let (digits, after) = rest.split_at_checked(width)?;
                    let mut number = 0;
                    for digit in digits {
                        number = number * 10 + u32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
                    }
                    *parts.get_mut(*part)? = number;
                    rest = after;
                }
            }
        }
        if !rest.is_empty() {
            return None;
        }
        let [year, month, day, hour, minute, second] = parts;
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        date.and_hms_opt(hour, minute, second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reader(format: &str, zone: Option<&str>) -> TimeReader {
        TimeReader::new(&TimeSettings {
            field: "t".to_owned(),
            format: format.to_owned(),
            zone: zone.map(str::to_owned),
        })
        .unwrap()
    }

    fn utc(reader: &TimeReader, text: &str) -> String {
        match reader.read(text) {
            CandidateTime::Resolved(time) => time.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_autumn_fold_is_its_earlier_instant_and_the_spring_gap_is_invalid() {
        let boston = reader("%Y-%m-%dT%H:%M:%S", Some("America/New_York"));
        assert_eq!(utc(&boston, "2015-01-01T00:20:09"), "2015-01-01T05:20:09Z");
        assert_eq!(utc(&boston, "2015-11-01T01:30:00"), "2015-11-01T05:30:00Z");
        assert_eq!(utc(&boston, "2015-11-01T02:00:00"), "2015-11-01T07:00:00Z");
        assert_eq!(utc(&boston, "2015-03-08T01:59:59"), "2015-03-08T06:59:59Z");
        assert!(utc(&boston, "2015-03-08T02:30:00").contains("skipped"));
        assert_eq!(utc(&boston, "2015-03-08T03:00:00"), "2015-03-08T07:00:00Z");
    }

    #[test]
    fn formats() {
        assert_eq!(utc(&reader("unix", None), "1560184338"), "2019-06-10T16:32:18Z");
        assert_eq!(utc(&reader("unix", None), "1.5"), "1970-01-01T00:00:01.500Z");
        assert_eq!(utc(&reader("unix_ms", None), "-1"), "1969-12-31T23:59:59.999Z");
        for text in ["1e300", "NaN", "inf", "9223372036854775807", "soon"] {
            assert!(utc(&reader("unix", None), text).contains("Invalid"), "{text}");
        }
        assert_eq!(
            utc(&reader("rfc3339", None), " 2019-06-11T04:15:02Z "),
            "2019-06-11T04:15:02Z"
        );
        assert!(utc(&reader("rfc3339", None), "2019-06-11T04:15:02").contains("rfc3339"));
        assert_eq!(
            utc(&reader("%d/%m/%Y", Some("UTC")), "01/02/2020"),
            "2020-02-01T00:00:00Z"
        );
        assert_eq!(
            utc(
                &reader("%m/%d/%Y %I:%M %p", Some("Asia/Shanghai")),
                "02/01/2020 03:04 PM"
            ),
            "2020-02-01T07:04:00Z"
        );
        assert_eq!(
            utc(
                &reader("%Y-%m-%d %H:%M:%S%.f %z", None),
                "2020-02-01 03:04:05.25 +0800"
            ),
            "2020-01-31T19:04:05.250Z"
        );
        assert_eq!(utc(&reader("%Y-%m-%d", Some("UTC")), ""), "Missing");
    }

    #[test]
    fn settings_that_cannot_work_say_which_key() {
        let key_of = |format: &str, zone: Option<&str>| {
            TimeReader::new(&TimeSettings {
                field: "t".to_owned(),
                format: format.to_owned(),
                zone: zone.map(str::to_owned),
            })
            .unwrap_err()
            .key
        };
        assert_eq!(key_of("%Y-%m-%d", None), "zone");
        assert_eq!(key_of("%Y-%m-%d", Some("Boston")), "zone");
        assert_eq!(key_of("rfc3339", Some("UTC")), "zone");
        assert_eq!(key_of("%Y-%m-%dT%H:%M:%S%z", Some("UTC")), "zone");
        assert_eq!(key_of("%H:%M", Some("UTC")), "format");
        assert_eq!(key_of("%Y-%", Some("UTC")), "format");
    }

    proptest! {
        #[test]
        fn the_fast_way_agrees_with_chrono(seconds in -60_000_000_000_i64..250_000_000_000, noise in "[0-9:T -]{0,3}", at in 0_usize..19) {
            let pattern = "%Y-%m-%d %H:%M:%S";
            let fixed = FixedPattern::new(pattern).unwrap();
            let mut text = DateTime::from_timestamp(seconds, 0).unwrap().format(pattern).to_string();
            prop_assert_eq!(fixed.read(&text), NaiveDateTime::parse_from_str(&text, pattern).ok());
            if text.is_char_boundary(at) {
                text.insert_str(at, &noise);
            }
            if let Some(read) = fixed.read(&text) {
                prop_assert_eq!(NaiveDateTime::parse_from_str(&text, pattern).ok(), Some(read));
            }
        }
    }
}
