//! A rule set, and the rule that a case gets.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::hotline::CaseKind;
use crate::hotline::deadlines::{ClockName, ClockRule};

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub struct CaseFacts<'a> {
    /// What the caller wants.
    pub kind: CaseKind,
    /// The hazard group of its layer.
    pub group: Option<&'a str>,
    /// Its layer.
    pub layer: &'a str,
    /// 1 to 4; `None` where unknown.
    pub severity: Option<u8>,
    /// By which way it came.
    pub channel: &'a str,
    /// What was said of it at its dispatch.
    pub labels: &'a [String],
}

/// What a case must be for a rule to fit: each given member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct When {
    /// Its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<CaseKind>,
    /// The group of its layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// Its severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    /// Its channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// One of its labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl When {
    fn fits(&self, case: &CaseFacts<'_>) -> bool {
        fn allows<T: PartialEq + Copy>(wanted: Option<T>, found: Option<T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let label = self.label.as_ref();
        allows(self.kind, Some(case.kind))
            && allows(self.group.as_deref(), case.group)
            && allows(self.layer.as_deref(), Some(case.layer))
            && allows(self.severity, case.severity)
            && allows(self.channel.as_deref(), Some(case.channel))
            && label.is_none_or(|label| case.labels.contains(label))
    }

    /// How many members are given.
    fn fields(&self) -> usize {
        [
            self.kind.is_some(),
            self.group.is_some(),
            self.layer.is_some(),
            self.severity.is_some(),
            self.channel.is_some(),
            self.label.is_some(),
        ]
        .into_iter()
        .filter(|is_given| *is_given)
        .count()
    }
}

/// The terms of the cases that it fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name in the set.
    pub id: String,
    /// What it fits.
    pub when: When,
    /// The name of the calendar that its terms are counted in.
    pub calendar: String,
    /// The case's office may pause and extend by itself.
    pub self_service: bool,
    /// Its clocks; one that is not here does not run, and what it would give is refused.
    pub clocks: BTreeMap<ClockName, ClockRule>,
}

/// All rules of a hotline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleSet {
    /// Its name.
    pub name: String,
    /// Where its terms come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// In the order in which they are asked.
    pub rules: Vec<Rule>,
}

impl RuleSet {
    /// Of the rules that fit, the one with the most members given; of several, the first.
    pub fn rule_for(&self, case: &CaseFacts<'_>) -> Option<&Rule> {
        let fitting = self.rules.iter().filter(|rule| rule.when.fits(case));
        // Of equal ones `max_by_key` takes the last.
        fitting.rev().max_by_key(|rule| rule.when.fields())
    }

    /// The rule of that id: a clock keeps the one that it started with.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }
}
