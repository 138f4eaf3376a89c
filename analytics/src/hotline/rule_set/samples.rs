//! What a rule set would do to sample cases: each clock of each, as if it started when the case is reported.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use riskgrid_ingest::EventTime;
use serde_json::Value;

use super::data::{CaseFacts, RuleSet};
use super::shipped::SHIPPED_CALENDARS;
use crate::hotline::CaseKind;
use crate::hotline::calendar::Calendar;
use crate::hotline::deadlines::{ClockName, Course, deadline};
use crate::hotline::reading::{InvalidData, Members, Problems, joined, word};

const MOST_SAMPLES: usize = 10_000;
const LONGEST_NAME: usize = 128;
/// The working date after the last on which the supervision unit is told; no line tells it.
const SUPERVISION_AFTER: u32 = 3;

/// A clock of a sample; times are those of the calendar's zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleClock {
    /// Which sample, from 1.
    pub sample: usize,
    /// The rule that it gets.
    pub rule: String,
    /// The clock.
    pub clock: ClockName,
    /// When it is due.
    pub due: String,
    /// When it turns yellow.
    pub yellow: Option<String>,
    /// When it turns red.
    pub red: Option<String>,
    /// The calendar does not cover it.
    pub provisional: bool,
}

struct Sample {
    kind: CaseKind,
    layer: String,
    group: Option<String>,
    severity: Option<u8>,
    channel: String,
    labels: Vec<String>,
    opened_at: EventTime,
}

impl SampleClock {
    /// Reads a rule set with `samples` `[{kind, layer, channel, opened_at}]`, of which each may have `group`, `severity` and
    /// `label` too, and with `calendars` of its own by name; the shipped ones need not be given.
    ///
    /// # Errors
    /// [`InvalidData`] with every key that is wrong, a sample that no rule fits and a calendar without working time included.
    pub fn of_document(value: &Value) -> Result<Vec<Self>, InvalidData> {
        let mut problems = Problems::default();
        let read = Members::of(value, "", &mut problems).and_then(|mut members| {
            let calendars = read_calendars(&mut members);
            let set = RuleSet::read(&mut members, &|name| calendars.contains_key(name));
            let samples = read_samples(&mut members);
            members.finish();
            Some((set?, calendars, samples))
        });
        let clocks = read.map(|(set, calendars, samples)| {
            let samples = samples.iter();
            let clocks = samples
                .flat_map(|(number, sample)| clocks_of(&set, &calendars, *number, sample, &mut problems));
            clocks.collect()
        });
        problems.finish(clocks)
    }
}

fn read_calendars(members: &mut Members<'_, '_>) -> BTreeMap<String, Calendar> {
    let shipped = SHIPPED_CALENDARS.iter();
    let mut calendars: BTreeMap<String, Calendar> = shipped
        .filter_map(|shipped| Some((shipped.name.to_owned(), Calendar::shipped(shipped.name)?)))
        .collect();
    let given = members.optional("calendars", "an object by name", Value::as_object);
    for (name, value) in given.into_iter().flatten() {
        let path = joined("calendars", name);
        let calendar = Calendar::read(value, &path, members.problems());
        calendars.extend(calendar.map(|calendar| (name.clone(), calendar)));
    }
    calendars
}

fn read_samples(members: &mut Members<'_, '_>) -> Vec<(usize, Sample)> {
    let list = members.list("samples", MOST_SAMPLES);
    if list.is_empty() {
        members.complain("samples", "at least one of {kind, layer, channel, opened_at}");
    }
    let samples = list.iter().enumerate().filter_map(|(place, value)| {
        let sample = read_sample(value, &format!("samples[{place}]"), members.problems())?;
        Some((place + 1, sample))
    });
    samples.collect()
}

fn read_sample(value: &Value, path: &str, problems: &mut Problems) -> Option<Sample> {
    let mut members = Members::of(value, path, problems)?;
    let kind = members.required("kind", CaseKind::ALLOWED, |value| {
        CaseKind::from_name(value.as_str()?)
    });
    let name = |value: &Value| word(value, LONGEST_NAME);
    let layer = members.required("layer", "the id of a layer", name);
    let channel = members.required("channel", "a channel, as phone or web", name);
    let group = members.word("group", LONGEST_NAME);
    let severity = members.optional("severity", "a whole number of 1 to 4", |value| {
        let severity = u8::try_from(value.as_u64()?).ok()?;
        (1..=4).contains(&severity).then_some(severity)
    });
    let label = members.word("label", LONGEST_NAME);
    let opened_at = members.required("opened_at", "an RFC 3339 time with an offset", |value| {
        EventTime::parse_rfc3339(value.as_str()?)
    });
    members.finish();
    Some(Sample {
        kind: kind?,
        layer: layer?,
        group,
        severity,
        channel: channel?,
        labels: label.into_iter().collect(),
        opened_at: opened_at?,
    })
}

fn clocks_of(
    set: &RuleSet,
    calendars: &BTreeMap<String, Calendar>,
    number: usize,
    sample: &Sample,
    problems: &mut Problems,
) -> Vec<SampleClock> {
    let facts = CaseFacts {
        kind: sample.kind,
        group: sample.group.as_deref(),
        layer: &sample.layer,
        severity: sample.severity,
        channel: &sample.channel,
        labels: &sample.labels,
    };
    let key = format!("samples[{}]", number - 1);
    let Some(rule) = set.rule_for(&facts) else {
        problems.complain(
            &key,
            "a case that no rule fits",
            "one that a rule fits, or another rule",
        );
        return Vec::new();
    };
    let Some(calendar) = calendars.get(&rule.calendar) else {
        return Vec::new();
    };
    let local = |time: EventTime| {
        let time = time.to_utc().with_timezone(&calendar.zone());
        time.to_rfc3339_opts(SecondsFormat::Secs, false)
    };
    let mut clocks = Vec::with_capacity(rule.clocks.len());
    for (clock, terms) in &rule.clocks {
        let course = Course::from(sample.opened_at);
        match deadline(calendar, terms, course, clock.has_cards(), SUPERVISION_AFTER) {
            Ok(deadline) => clocks.push(SampleClock {
                sample: number,
                rule: rule.id.clone(),
                clock: *clock,
                due: local(deadline.due),
                yellow: deadline.yellow.map(local),
                red: deadline.red.map(local),
                provisional: deadline.provisional,
            }),
            Err(error) => {
                let found = format!("`{}` in {}: {error}", clock.as_str(), rule.calendar);
                problems.complain(&key, &found, "a term that its calendar can hold");
            }
        }
    }
    clocks
}
