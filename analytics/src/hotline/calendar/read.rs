//! A calendar from its data.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use chrono_tz::Tz;
use serde_json::Value;

use super::data::{Calendar, DAY_END, DaySpan};
use crate::hotline::reading::{InvalidData, Members, Problems, joined, quoted};

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const SPANS: &str = "a list of spans like \"09:00-12:00\", in order, each ending after it begins and none reaching into the next";

impl Calendar {
    /// Reads `{"zone", "week": {"mon": ["09:00-12:00"], …}, "days": {"2026-02-16": []}, "covers": {"from", "to"}}`.
    ///
    /// # Errors
    /// [`InvalidData`] with every key that is wrong.
    pub fn from_json(value: &Value) -> Result<Self, InvalidData> {
        let mut problems = Problems::default();
        let calendar = Self::read(value, "", &mut problems);
        problems.finish(calendar)
    }

    pub(in crate::hotline) fn read(value: &Value, path: &str, problems: &mut Problems) -> Option<Self> {
        let mut members = Members::of(value, path, problems)?;
        let zone = members.required("zone", "an IANA name like Asia/Shanghai", |value| {
            value.as_str()?.parse::<Tz>().ok()
        });
        let week_key = members.key("week");
        let week = members.required("week", "an object with mon, tue, …, sun", Some);
        let week = week.map(|week| read_week(week, &week_key, members.problems()));
        let days_key = members.key("days");
        let days = members.optional("days", "an object by date", Value::as_object);
        let days = days.map(|days| {
            let spans = days.iter().filter_map(|(name, spans)| {
                let key = joined(&days_key, name);
                let problems = members.problems();
                let date = date(name);
                if date.is_none() {
                    problems.complain(&key, "no date", "a date as 2026-02-16");
                }
                Some((date?, read_spans(spans, &key, problems)?))
            });
            spans.collect::<BTreeMap<_, _>>()
        });
        let covers_key = members.key("covers");
        let covers = members.optional("covers", "an object with from, to", Some);
        let covers = covers.and_then(|covers| read_covers(covers, &covers_key, members.problems()));
        members.finish();
        Some(Self {
            zone: zone?,
            week: week?,
            days: days.unwrap_or_default(),
            covers,
        })
    }
}

fn read_week(value: &Value, path: &str, problems: &mut Problems) -> [Vec<DaySpan>; 7] {
    let mut week = <[Vec<DaySpan>; 7]>::default();
    let Some(mut members) = Members::of(value, path, problems) else {
        return week;
    };
    for (spans, name) in week.iter_mut().zip(WEEKDAYS) {
        let key = members.key(name);
        if let Some(value) = members.value(name) {
            *spans = read_spans(value, &key, members.problems()).unwrap_or_default();
        }
    }
    members.finish();
    week
}

fn read_covers(value: &Value, path: &str, problems: &mut Problems) -> Option<(NaiveDate, NaiveDate)> {
    let mut members = Members::of(value, path, problems)?;
    let from = members.required("from", "a date as 2026-01-01", |value| date(value.as_str()?));
    let to = members.required("to", "a date as 2026-12-31, not before `from`", |value| {
        date(value.as_str()?).filter(|to| from.is_none_or(|from| from <= *to))
    });
    members.finish();
    Some((from?, to?))
}

fn read_spans(value: &Value, path: &str, problems: &mut Problems) -> Option<Vec<DaySpan>> {
    let spans = value.as_array().and_then(|list| {
        let spans: Option<Vec<DaySpan>> = list.iter().map(|span| read_span(span.as_str()?)).collect();
        spans.filter(|spans| spans.is_sorted_by(|earlier, later| earlier.to <= later.from))
    });
    if spans.is_none() {
        problems.complain(path, &quoted(Some(value)), SPANS);
    }
    spans
}

/// `09:00-12:00`; 24:00 ends a day.
fn read_span(text: &str) -> Option<DaySpan> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minutes(from)?, minutes(to)?);
    (from < to).then_some(DaySpan { from, to })
}

fn minutes(text: &str) -> Option<u16> {
    let [h0, h1, b':', m0, m1] = text.as_bytes() else {
        return None;
    };
    let two = |high: &u8, low: &u8| {
        (high.is_ascii_digit() && low.is_ascii_digit())
            .then(|| u16::from(high - b'0') * 10 + u16::from(low - b'0'))
    };
    let (hours, minutes) = (two(h0, h1)?, two(m0, m1)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY_END).then_some(all)
}

/// A date of four, two and two digits.
pub(in crate::hotline) fn date(text: &str) -> Option<NaiveDate> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (date.format("%Y-%m-%d").to_string() == text && text.len() == 10).then_some(date)
}
