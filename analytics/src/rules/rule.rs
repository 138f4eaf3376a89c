//! What a rule says: checked once, when it is made; a [`Rule`] that exists is valid.

use std::collections::BTreeMap;
use std::time::Duration;

use riskgrid_ingest::Layer;
use serde::Serialize;
use serde_json::Value;

use super::emergency::{Emergency, SetsMode, read_emergency, read_sets_mode};
use super::every_kind::{read_areas, read_group, read_labels, read_mutes};
use super::fields::{Fields, InvalidRule};
use super::kinds::{What, kinds_allowed, read_what};
use super::printed::{as_humantime, is_true};
use super::public_warning::{PublicWarning, Words, read_cap, read_text};
use super::read::{one_problem, read_hold, read_name, read_names};
use super::seen::Seen;
use super::words::{Audience, Severity};

/// Bytes of a rule as JSON.
pub const MAX_RULE_BYTES: usize = 256 << 10;

/// What the grid can answer, so that a rule it cannot serve is refused when it is made.
#[derive(Clone, Copy, Debug)]
pub struct RuleBounds {
    /// The resolution that the grid stores: the finest that a rule may ask for.
    pub base_resolution: u8,
    /// The longest window that the grid's retention covers.
    pub longest_window: Duration,
    /// The shortest window: two buckets, so that one of them is always whole.
    pub shortest_window: Duration,
    /// A bucket, which `every` counts in; zero: any.
    pub bucket: Duration,
}

impl Default for RuleBounds {
    /// Any H3 resolution, windows of up to ten years: what a stored rule is read with.
    fn default() -> Self {
        Self {
            base_resolution: 15,
            longest_window: Duration::from_hours(3_650 * 24),
            shortest_window: Duration::ZERO,
            bucket: Duration::ZERO,
        }
    }
}

/// A valid rule. Serialises as the object that clients see.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// Given by the server; never used twice.
    pub id: String,
    /// Given by the client; unique.
    pub name: String,
    /// Its kind, and what it watches.
    #[serde(flatten)]
    pub what: What,
    /// How long the value must stay over the limit before the alert fires.
    #[serde(rename = "for", serialize_with = "as_humantime")]
    pub hold: Duration,
    /// How long the value must stay clear before the alert resolves.
    #[serde(serialize_with = "as_humantime")]
    pub keep_firing_for: Duration,
    /// Of its alerts.
    pub severity: Severity,
    /// Names of the webhooks to tell.
    pub webhooks: Vec<String>,
    /// Ids of the areas outside which it has no instances; empty: everywhere.
    #[serde(rename = "in", skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<String>,
    /// What its alerts are gathered in incidents by; `None`: what its layer says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Own words to pick it by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Names of the mutes that hold its beginnings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mute: Vec<String>,
    /// What is otherwise while an area is in emergency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency: Option<Emergency>,
    /// The area that it puts into emergency while it fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sets_mode: Option<SetsMode>,
    /// How its alerts are told to the public.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<PublicWarning>,
    /// In which words, by language.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub text: BTreeMap<String, Words>,
    /// Whether it is judged.
    #[serde(skip_serializing_if = "is_true")]
    pub enabled: bool,
    /// What whoever changed it last said to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Who is told of its alerts.
    #[serde(skip_serializing_if = "Audience::is_staff")]
    pub audience: Audience,
    /// Its alerts are cases of the hotline.
    #[serde(rename = "case", skip_serializing_if = "std::ops::Not::not")]
    pub makes_case: bool,
    /// How often it was changed, and once more; the store's.
    #[serde(skip)]
    pub version: i64,
    /// What it sees: what its maker saw as it was made; the store's.
    #[serde(skip)]
    pub seen: Seen,
}

impl Rule {
    /// Reads and checks a client's rule.
    ///
    /// # Errors
    /// [`InvalidRule`] with every field that is missing, unknown or out of bounds.
    pub fn from_json(id: &str, json: &Value, bounds: &RuleBounds) -> Result<Self, InvalidRule> {
        let bytes = json.to_string().len();
        if bytes > MAX_RULE_BYTES {
            let allowed = format!("up to {MAX_RULE_BYTES} bytes");
            return Err(one_problem("rule", &format!("{bytes} bytes"), &allowed));
        }
        Self::read(id, json, bounds, true)
    }

    /// One that is stored already stays a rule, though its limit may be none that a new one may have.
    fn read(id: &str, json: &Value, bounds: &RuleBounds, is_new: bool) -> Result<Self, InvalidRule> {
        let Some(object) = json.as_object() else {
            return Err(one_problem(
                "rule",
                "not a JSON object",
                "an object with name, kind, layer, per, …",
            ));
        };
        let mut fields = Fields::new(object);
        let name = fields.required("name", "1 to 128 characters", read_name);
        let kind = fields.required("kind", &kinds_allowed(), |kind| {
            kind.as_str().filter(|kind| super::kinds::is_known(kind))
        });
        let is_given = fields.value("kind").is_some();
        if is_given && kind.is_none() {
            // What a rule of no kind may have, nobody knows.
            return Err(InvalidRule {
                problems: fields.problems(),
            });
        }
        let what = read_what(kind.unwrap_or("threshold"), &mut fields, bounds, is_new);
        let hold = read_hold(&mut fields, "for");
        let keep_firing_for = read_hold(&mut fields, "keep_firing_for");
        let severity = fields.required("severity", "minor, moderate, major, critical", |value| {
            Severity::from_name(value.as_str()?)
        });
        let webhooks = fields
            .optional(
                "webhooks",
                "a list of at most 16 names of webhooks, each once",
                |value| read_names(value, 16),
            )
            .unwrap_or_default();
        let areas = read_areas(&mut fields);
        let group = read_group(&mut fields);
        let labels = read_labels(&mut fields);
        let mute = read_mutes(&mut fields);
        let sets_mode = read_sets_mode(&mut fields);
        let cap = read_cap(&mut fields);
        let text = read_text(&mut fields);
        let enabled = fields.optional("enabled", "true or false", Value::as_bool);
        let comment = fields.optional("comment", "1 to 2000 characters", |value| {
            let comment = value.as_str().map(str::trim)?;
            (1..=2_000).contains(&comment.chars().count()).then_some(comment)
        });
        let audience = fields.optional("audience", "staff, public", |value| {
            Audience::from_name(value.as_str()?)
        });
        let makes_case = fields.optional("case", "true or false", Value::as_bool);
        let mut rule = match (name, what, severity) {
            (Some(name), Some(what), Some(severity)) => Some(Self {
                id: id.to_owned(),
                name: name.to_owned(),
                what,
                hold,
                keep_firing_for,
                severity,
                webhooks,
                areas,
                group,
                labels,
                mute,
                emergency: None,
                sets_mode,
                cap,
                text,
                enabled: enabled.unwrap_or(true),
                comment: comment.map(str::to_owned),
                audience: audience.unwrap_or_default(),
                makes_case: makes_case.unwrap_or(false),
                version: 1,
                seen: Seen::default(),
            }),
            _ => None,
        };
        let emergency = read_emergency(&mut fields, rule.as_ref(), bounds);
        if let Some(rule) = &mut rule {
            rule.emergency = emergency;
        }
        let problems = fields.finish();
        rule.filter(|_| problems.is_empty())
            .ok_or(InvalidRule { problems })
    }

    /// Whether it can fire on its layer: what the layer has no such thing of, or no such value, is named.
    ///
    /// # Errors
    /// [`InvalidRule`] with every field that makes it a rule that never fires.
    pub fn fits(&self, layer: &Layer) -> Result<(), InvalidRule> {
        match &self.what {
            What::Threshold(threshold) => threshold.fits(layer),
            _ => Ok(()),
        }
    }

    /// The layer that it watches, where it watches one.
    pub fn layer(&self) -> Option<&str> {
        self.what.layer()
    }

    /// The name of its kind.
    pub const fn kind(&self) -> &'static str {
        self.what.kind()
    }

    /// Whether the alerts of `before` are alerts of this rule too: it watches the same things by the same keys.
    pub fn is_same_watch(&self, before: &Self) -> bool {
        self.areas == before.areas && self.what.identity() == before.what.identity()
    }

    /// Reads a rule as it was serialised, `id` included.
    ///
    /// # Errors
    /// [`InvalidRule`] when the text is not such a rule.
    pub fn from_stored(text: &str) -> Result<Self, InvalidRule> {
        let mut json: Value = serde_json::from_str(text)
            .map_err(|error| one_problem("rule", &error.to_string(), "a stored rule"))?;
        let id = json.as_object_mut().and_then(|object| object.remove("id"));
        match id.as_ref().and_then(Value::as_str) {
            Some(id) => Self::read(id, &json, &RuleBounds::default(), false),
            None => Err(one_problem("id", "missing", "the id of the rule")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#[path = "rule_tests.rs"]
mod tests;
