//! A rule set from its data.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::data::{Rule, RuleSet, When};
use crate::hotline::CaseKind;
use crate::hotline::deadlines::{ClockName, ClockRule};
use crate::hotline::reading::{InvalidData, Members, Problems, joined, quoted};

/// Longest name of anything.
const LONGEST_NAME: usize = 128;
/// Longest text that says where terms come from.
const LONGEST_SOURCE: usize = 1_000;
/// Most rules of a set.
const MOST_RULES: usize = 10_000;

impl RuleSet {
    /// Reads `{"name", "source", "rules": [{"id", "when", "calendar", "self_service", "clocks"}]}`; `has_calendar` tells
    /// whether there is a calendar of that name.
    ///
    /// # Errors
    /// [`InvalidData`] with every key that is wrong.
    pub fn from_json(value: &Value, has_calendar: impl Fn(&str) -> bool) -> Result<Self, InvalidData> {
        let mut problems = Problems::default();
        let set = Members::of(value, "", &mut problems).and_then(|mut members| {
            let set = Self::read(&mut members, &has_calendar);
            members.finish();
            set
        });
        problems.finish(set)
    }

    /// Takes the members of a set; others may stand beside them.
    pub(in crate::hotline) fn read(
        members: &mut Members<'_, '_>,
        has_calendar: &dyn Fn(&str) -> bool,
    ) -> Option<Self> {
        let allowed = format!("a text of 1 to {LONGEST_NAME} characters");
        let name = members.required("name", &allowed, |value| {
            crate::hotline::reading::word(value, LONGEST_NAME)
        });
        let source = members.word("source", LONGEST_SOURCE);
        members.required("rules", "a list of rules", Value::as_array);
        let list = members.list("rules", MOST_RULES);
        let mut ids = BTreeSet::new();
        let mut rules = Vec::with_capacity(list.len());
        for (place, value) in list.iter().enumerate() {
            let path = members.key(&format!("rules[{place}]"));
            let problems = members.problems();
            let Some(rule) = read_rule(value, &path, has_calendar, problems) else {
                continue;
            };
            if !ids.insert(rule.id.clone()) {
                let found = format!("\"{}\", twice", rule.id);
                problems.complain(&joined(&path, "id"), &found, "an id of its own");
            }
            rules.push(rule);
        }
        Some(Self {
            name: name?,
            source,
            rules,
        })
    }
}

fn read_rule(
    value: &Value,
    path: &str,
    has_calendar: &dyn Fn(&str) -> bool,
    problems: &mut Problems,
) -> Option<Rule> {
    let mut members = Members::of(value, path, problems)?;
    let allowed = format!("a text of 1 to {LONGEST_NAME} characters");
    let id = members.required("id", &allowed, |value| {
        crate::hotline::reading::word(value, LONGEST_NAME)
    });
    let when_key = members.key("when");
    let when = members.value("when");
    let when = when.map_or_else(
        || Some(When::default()),
        |when| read_when(when, &when_key, members.problems()),
    );
    let calendar = members.required("calendar", "the name of a calendar that is there", |value| {
        let name = value.as_str()?;
        has_calendar(name).then(|| name.to_owned())
    });
    let self_service = members.flag("self_service");
    let clocks_key = members.key("clocks");
    let clocks = members.required("clocks", "an object by clock", Value::as_object);
    let mut read = BTreeMap::new();
    for (name, value) in clocks.into_iter().flatten() {
        let key = joined(&clocks_key, name);
        let problems = members.problems();
        let Some(clock) = ClockName::from_name(name) else {
            let known = ClockName::ALL.map(ClockName::as_str).join(", ");
            problems.complain(&key, &quoted(Some(value)), &known);
            continue;
        };
        read.extend(ClockRule::read(clock, value, &key, problems).map(|rule| (clock, rule)));
    }
    members.finish();
    Some(Rule {
        id: id?,
        when: when?,
        calendar: calendar?,
        self_service,
        clocks: read,
    })
}

fn read_when(value: &Value, path: &str, problems: &mut Problems) -> Option<When> {
    let mut members = Members::of(value, path, problems)?;
    let when = When {
        kind: members.optional("kind", CaseKind::ALLOWED, |value| {
            CaseKind::from_name(value.as_str()?)
        }),
        group: members.word("group", LONGEST_NAME),
        layer: members.word("layer", LONGEST_NAME),
        severity: members.optional("severity", "a whole number of 1 to 4", |value| {
            let severity = u8::try_from(value.as_u64()?).ok()?;
            (1..=4).contains(&severity).then_some(severity)
        }),
        channel: members.word("channel", LONGEST_NAME),
        label: members.word("label", LONGEST_NAME),
    };
    members.finish();
    Some(when)
}
