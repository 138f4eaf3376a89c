//! Hours in which rules that name them begin no talk: by weekdays, times of day and dates of a zone. Pure.

use chrono::{
    DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc, Weekday,
};
use chrono_tz::Tz;
use riskgrid_ingest::EventTime;
use serde::{Deserialize, Serialize};

/// `[[alerts.mutes]]`, as it is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MuteSettings {
    /// By which rules name it.
    pub name: String,
    /// Of the times and dates: `Europe/Berlin`. Default: UTC.
    pub zone: String,
    /// `mon` to `sun`, or spans like `mon-fri`. Default: every day.
    pub days: Vec<String>,
    /// Spans like `22:00-06:00`; over midnight it belongs to the day it starts. Default: the whole day.
    pub times: Vec<String>,
    /// Dates like `2026-12-24`, or spans like `2026-12-24/2026-12-26`. Default: every date.
    pub dates: Vec<String>,
}

/// Minutes of a day; the end may be the next day's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    start: NaiveTime,
    end: NaiveTime,
    ends_next_day: bool,
}

/// Hours that were checked.
#[derive(Clone, Debug)]
pub struct Mute {
    /// By which rules name it.
    pub name: String,
    zone: Tz,
    /// From Monday on.
    days: [bool; 7],
    times: Vec<Times>,
    dates: Vec<(NaiveDate, NaiveDate)>,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MIDNIGHT: NaiveTime = NaiveTime::MIN;

impl MuteSettings {
    /// Checks it.
    ///
    /// # Errors
    /// The first thing that cannot be, with what is allowed.
    pub fn compile(&self) -> Result<Mute, String> {
        let wrong = |key: &str, value: &str, allowed: &str| {
            format!(
                "`alerts.mutes`: mute \"{}\": `{key}` has \"{value}\"; allowed: {allowed}",
                self.name
            )
        };
        if !(1..=128).contains(&self.name.chars().count()) {
            return Err("`alerts.mutes`: each needs a `name` of 1 to 128 characters".to_owned());
        }
        let zone = if self.zone.is_empty() { "UTC" } else { &self.zone };
        let zone = zone
            .parse::<Tz>()
            .map_err(|_| wrong("zone", zone, "a name of the IANA database, like Europe/Berlin"))?;
        let mut days = [self.days.is_empty(); 7];
        for span in &self.days {
            let allowed = "mon, tue, wed, thu, fri, sat, sun, or a span like mon-fri";
            let (first, last) = read_days(span).ok_or_else(|| wrong("days", span, allowed))?;
            let mut day = first;
            loop {
                if let Some(is_muted) = days.get_mut(day) {
                    *is_muted = true;
                }
                if day == last {
                    break;
                }
                day = (day + 1) % DAYS.len();
            }
        }
        let times = self.times.iter().map(|span| {
            let allowed = "a span like 22:00-06:00, of two times that differ; 24:00 ends a day";
            read_times(span).ok_or_else(|| wrong("times", span, allowed))
        });
        let mut times: Vec<Times> = times.collect::<Result<_, _>>()?;
        if times.is_empty() {
            times.push(Times {
                start: MIDNIGHT,
                end: MIDNIGHT,
                ends_next_day: true,
            });
        }
        let dates = self.dates.iter().map(|span| {
            let allowed = "a date like 2026-12-24, or a span like 2026-12-24/2026-12-26";
            read_dates(span).ok_or_else(|| wrong("dates", span, allowed))
        });
        Ok(Mute {
            name: self.name.clone(),
            zone,
            days,
            times,
            dates: dates.collect::<Result<_, _>>()?,
        })
    }
}

fn read_days(span: &str) -> Option<(usize, usize)> {
    let of = |name: &str| DAYS.iter().position(|day| *day == name.trim());
    match span.split_once('-') {
        Some((first, last)) => Some((of(first)?, of(last)?)),
        None => of(span).map(|day| (day, day)),
    }
}

fn read_times(span: &str) -> Option<Times> {
    let (start, end) = span.split_once('-')?;
    let read = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
    let start = read(start)?;
    if end.trim() == "24:00" {
        return Some(Times {
            start,
            end: MIDNIGHT,
            ends_next_day: true,
        });
    }
    let end = read(end)?;
    (start != end).then_some(Times {
        start,
        end,
        ends_next_day: end < start,
    })
}

fn read_dates(span: &str) -> Option<(NaiveDate, NaiveDate)> {
    let read = |text: &str| text.trim().parse::<NaiveDate>().ok();
    let (first, last) = match span.split_once('/') {
        Some((first, last)) => (read(first)?, read(last)?),
        None => (read(span)?, read(span)?),
    };
    (first <= last).then_some((first, last))
}

impl Mute {
    /// Whether it holds at a time.
    pub fn holds_at(&self, at: EventTime) -> bool {
        let at = at.to_utc();
        let today = at.with_timezone(&self.zone).date_naive();
        // What began yesterday may go on over midnight.
        let yesterday = today.checked_sub_days(Days::new(1));
        [Some(today), yesterday]
            .into_iter()
            .flatten()
            .filter(|day| self.begins_on(*day))
            .any(|day| self.times.iter().any(|times| self.holds_from(day, *times, at)))
    }

    fn begins_on(&self, day: NaiveDate) -> bool {
        let weekday = day.weekday().days_since(Weekday::Mon) as usize;
        self.days.get(weekday).copied().unwrap_or_default()
            && (self.dates.is_empty()
                || self
                    .dates
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&day)))
    }

    fn holds_from(&self, day: NaiveDate, times: Times, at: DateTime<Utc>) -> bool {
        let last = if times.ends_next_day {
            day.checked_add_days(Days::new(1))
        } else {
            Some(day)
        };
        let begins = self.instant(day, times.start, false);
        let ends = last.and_then(|last| self.instant(last, times.end, true));
        begins.is_some_and(|begins| begins <= at) && ends.is_some_and(|ends| at < ends)
    }

    /// When a local time is. One that the clocks leave out is when they go on; of one that comes twice the first begins and
    /// the second ends.
    fn instant(&self, day: NaiveDate, time: NaiveTime, is_end: bool) -> Option<DateTime<Utc>> {
        let mut local = day.and_time(time);
        // No zone leaves out more than a day.
        for _ in 0..=24 * 60 {
            match self.zone.from_local_datetime(&local) {
                LocalResult::Single(instant) => return Some(instant.to_utc()),
                LocalResult::Ambiguous(first, second) => {
                    return Some(if is_end { second } else { first }.to_utc());
                }
                LocalResult::None => local = local.checked_add_signed(TimeDelta::minutes(1))?,
            }
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn mute(days: &[&str], times: &[&str], dates: &[&str]) -> Result<Mute, String> {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        MuteSettings {
            name: "nights".to_owned(),
            zone: "Europe/Berlin".to_owned(),
            days: list(days),
            times: list(times),
            dates: list(dates),
        }
        .compile()
    }

    fn at(text: &str) -> EventTime {
        EventTime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn over_midnight_it_belongs_to_the_day_it_starts() {
        // 2026-11-27 is a Friday.
        let friday_night = mute(&["fri"], &["22:00-06:00"], &[]).unwrap();
        let holds = |text| friday_night.holds_at(at(text));
        assert!(!holds("2026-11-27T20:59:59Z") && holds("2026-11-27T21:00:00Z"));
        assert!(holds("2026-11-28T04:59:59Z") && !holds("2026-11-28T05:00:00Z"));
        assert!(!holds("2026-11-28T21:00:00Z") && !holds("2026-11-27T04:00:00Z"));
    }

    #[test]
    fn a_time_in_the_gap_of_spring_is_the_end_of_the_gap() {
        // 2026-03-29: from 02:00 to 03:00, at 01:00 UTC.
        let gap = mute(&[], &["02:30-04:00"], &[]).unwrap();
        assert!(!gap.holds_at(at("2026-03-29T00:59:59Z")));
        assert!(gap.holds_at(at("2026-03-29T01:00:00Z")) && gap.holds_at(at("2026-03-29T01:59:59Z")));
        assert!(!gap.holds_at(at("2026-03-29T02:00:00Z")));
        let only_gap = mute(&[], &["02:10-02:50"], &[]).unwrap();
        assert!(
            !only_gap.holds_at(at("2026-03-29T01:00:00Z")),
            "an empty span holds nothing"
        );
    }

    #[test]
    fn at_the_fold_of_autumn_both_hours_count() {
        // 2026-10-25: 02:00 to 03:00 comes twice, from 00:00 UTC to 02:00 UTC.
        let fold = mute(&[], &["02:00-03:00"], &[]).unwrap();
        let holds = |text| fold.holds_at(at(text));
        assert!(!holds("2026-10-24T23:59:59Z") && holds("2026-10-25T00:00:00Z"));
        assert!(holds("2026-10-25T01:59:59Z") && !holds("2026-10-25T02:00:00Z"));
        let inside = mute(&[], &["02:30-02:45"], &[]).unwrap();
        assert!(inside.holds_at(at("2026-10-25T00:30:00Z")) && inside.holds_at(at("2026-10-25T01:44:00Z")));
    }

    #[test]
    fn dates_and_days_both_have_to_be_right_and_no_times_are_the_whole_day() {
        let holidays = mute(&["mon-fri"], &[], &["2026-12-24/2026-12-26"]).unwrap();
        assert!(holidays.holds_at(at("2026-12-24T12:00:00Z")), "a Thursday");
        assert!(!holidays.holds_at(at("2026-12-26T12:00:00Z")), "a Saturday");
        assert!(!holidays.holds_at(at("2026-12-28T12:00:00Z")));
        let weekend = mute(&["sat-sun"], &["00:00-24:00"], &[]).unwrap();
        assert!(
            weekend.holds_at(at("2026-11-28T12:00:00Z")) && !weekend.holds_at(at("2026-11-27T12:00:00Z"))
        );
    }

    #[test]
    fn what_cannot_be_is_named_with_what_is_allowed() {
        assert!(
            mute(&["someday"], &[], &[])
                .unwrap_err()
                .contains("`days` has \"someday\"")
        );
        assert!(
            mute(&[], &["22:00"], &[])
                .unwrap_err()
                .contains("like 22:00-06:00")
        );
        assert!(mute(&[], &["08:00-08:00"], &[]).is_err());
        assert!(mute(&[], &[], &["2026-12-26/2026-12-24"]).is_err());
        let zone = MuteSettings {
            name: "a".to_owned(),
            zone: "Berlin".to_owned(),
            ..MuteSettings::default()
        };
        assert!(zone.compile().unwrap_err().contains("IANA"));
    }
}
