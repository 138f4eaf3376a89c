//! How the alerts of a rule are told to the public, and in which words.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::fields::Fields;
use super::printed::{as_optional_humantime, is_false};
use super::read::read_duration;

/// How alerts become warnings of the Common Alerting Protocol.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PublicWarning {
    /// Whether they do.
    #[serde(skip_serializing_if = "is_false")]
    pub publish: bool,
    /// Categories of the protocol.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub category: Vec<String>,
    /// Instead of what the kind says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgency: Option<String>,
    /// Instead of what the kind says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certainty: Option<String>,
    /// What people should do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// How long a warning stands unless it is renewed.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_optional_humantime"
    )]
    pub expires: Option<Duration>,
    /// Around a sensor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius_km: Option<f64>,
}

/// The words of one language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Words {
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// One line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// What happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
}

const CATEGORIES: [&str; 12] = [
    "Geo",
    "Met",
    "Safety",
    "Security",
    "Rescue",
    "Fire",
    "Health",
    "Env",
    "Transport",
    "Infra",
    "CBRNE",
    "Other",
];
const URGENCIES: [&str; 5] = ["Immediate", "Expected", "Future", "Past", "Unknown"];
const CERTAINTIES: [&str; 5] = ["Observed", "Likely", "Possible", "Unlikely", "Unknown"];
const RESPONSES: [&str; 9] = [
    "Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None",
];
const LANGUAGES: [&str; 2] = ["en", "zh-CN"];
/// What is filled in, in braces.
const FILLED_IN: [&str; 7] = ["rule", "value", "limit", "unit", "sensor", "place", "at"];

/// `cap`.
pub(super) fn read_cap(fields: &mut Fields<'_>) -> Option<PublicWarning> {
    let allowed = "an object with publish, category, urgency, certainty, response, expires, radius_km";
    fields.object("cap", allowed, |fields| {
        let categories = format!("a list of some of {}, each once", CATEGORIES.join(", "));
        PublicWarning {
            publish: fields
                .optional("publish", "true or false", Value::as_bool)
                .unwrap_or(false),
            category: fields
                .optional("category", &categories, |value| {
                    let names = super::read::read_names(value, CATEGORIES.len())?;
                    names
                        .iter()
                        .all(|name| CATEGORIES.contains(&&**name))
                        .then_some(names)
                })
                .unwrap_or_default(),
            urgency: read_one_of(fields, "urgency", &URGENCIES),
            certainty: read_one_of(fields, "certainty", &CERTAINTIES),
            response: read_one_of(fields, "response", &RESPONSES),
            expires: read_duration(
                fields,
                "expires",
                "a duration from 1m to 7d, like 2h",
                Duration::from_mins(1)..=Duration::from_hours(7 * 24),
            ),
            radius_km: fields.optional("radius_km", "a number from 0.01 to 100", |value| {
                value.as_f64().filter(|radius| (0.01..=100.0).contains(radius))
            }),
        }
    })
}

fn read_one_of(fields: &mut Fields<'_>, name: &'static str, allowed: &[&str]) -> Option<String> {
    let read = fields.optional(name, &allowed.join(", "), |value| {
        value.as_str().filter(|text| allowed.contains(text))
    });
    read.map(str::to_owned)
}

/// `text`.
pub(super) fn read_text(fields: &mut Fields<'_>) -> BTreeMap<String, Words> {
    let read = fields.object(
        "text",
        "an object with words by language, en or zh-CN",
        |fields| {
            let mut text = BTreeMap::new();
            for language in LANGUAGES {
                let allowed = "an object with event, headline, description, instruction";
                let words = fields.object(language, allowed, |fields| Words {
                    event: read_words(fields, "event", 64),
                    headline: read_words(fields, "headline", 160),
                    description: read_words(fields, "description", 2_000),
                    instruction: read_words(fields, "instruction", 2_000),
                });
                text.extend(words.map(|words| (language.to_owned(), words)));
            }
            text
        },
    );
    read.unwrap_or_default()
}

fn read_words(fields: &mut Fields<'_>, name: &'static str, most: usize) -> Option<String> {
    let braces: Vec<String> = FILLED_IN.iter().map(|name| format!("{{{name}}}")).collect();
    let allowed = format!("1 to {most} characters; {} are filled in", braces.join(", "));
    fields.optional(name, &allowed, |value| {
        let text = value
            .as_str()
            .filter(|text| (1..=most).contains(&text.chars().count()))?;
        has_known_braces(text).then(|| text.to_owned())
    })
}

/// Whether all that stands in braces is filled in.
fn has_known_braces(text: &str) -> bool {
    let mut pieces = text.split('{');
    let begins = pieces.next().is_none_or(|piece| !piece.contains('}'));
    begins
        && pieces.all(|piece| {
            let named = piece.split_once('}');
            named.is_some_and(|(name, rest)| FILLED_IN.contains(&name) && !rest.contains('}'))
        })
}
