//! What a rule does otherwise in an emergency, and the emergency that it makes.

use std::time::Duration;

use serde::Serialize;

use super::fields::Fields;
use super::printed::{as_humantime, as_optional_humantime, as_window};
use super::read::{Numbers, read_every, read_limit, read_name, read_names, read_optional_hold};
use super::rule::{Rule, RuleBounds};
use super::words::{Limit, Severity};

/// What is otherwise while an area that holds an instance is in emergency: nothing of it is laxer than the rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Emergency {
    /// Its limit.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Its `for`.
    #[serde(
        rename = "for",
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_optional_humantime"
    )]
    pub hold: Option<Duration>,
    /// How long it keeps firing.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_optional_humantime"
    )]
    pub keep_firing_for: Option<Duration>,
    /// How often it is judged.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_window")]
    pub every: Option<Duration>,
    /// Its severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Who is told: those of the rule, and more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<Vec<String>>,
}

/// An area that is in emergency while a rule fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetsMode {
    /// Id of the area.
    pub area: String,
    /// How long it stays so after the last alert has ended.
    #[serde(serialize_with = "as_humantime")]
    pub hold: Duration,
}

/// `sets_mode`.
pub(super) fn read_sets_mode(fields: &mut Fields<'_>) -> Option<SetsMode> {
    let allowed = "an object with `area`, the id of an area, and `hold`, like 2h";
    fields.object("sets_mode", allowed, |fields| {
        let area = fields.required("area", "the id of an area; GET /v1/areas lists them", read_name);
        let hold = read_optional_hold(fields, "hold").unwrap_or_default();
        area.map(|area| SetsMode {
            area: area.to_owned(),
            hold,
        })
    })?
}

/// `emergency`, which is compared with the rest of the rule where that could be read.
pub(super) fn read_emergency(
    fields: &mut Fields<'_>,
    rule: Option<&Rule>,
    bounds: &RuleBounds,
) -> Option<Emergency> {
    let allowed = "an object with what is otherwise in an emergency: a limit, for, keep_firing_for, every, severity, webhooks";
    fields.object("emergency", allowed, |fields| {
        let emergency = Emergency {
            limit: read_limit(fields, Numbers::Any),
            hold: read_optional_hold(fields, "for"),
            keep_firing_for: read_optional_hold(fields, "keep_firing_for"),
            every: read_every(fields, bounds),
            severity: fields.optional("severity", "minor, moderate, major, critical", |value| {
                Severity::from_name(value.as_str()?)
            }),
            webhooks: fields.optional(
                "webhooks",
                "a list of at most 16 names of webhooks, each once",
                |value| read_names(value, 16),
            ),
        };
        if let Some(rule) = rule {
            complain_of_laxer(fields, &emergency, rule);
        }
        emergency
    })
}

fn complain_of_laxer(fields: &mut Fields<'_>, emergency: &Emergency, rule: &Rule) {
    if let Some(limit) = emergency.limit {
        let name = limit.comparison.name();
        match rule.what.limit() {
            None => fields.complain(name, "none, for the rule has no limit"),
            Some(own) if !limit.is_no_laxer_than(own) => {
                let allowed = format!(
                    "`{}` of what is over the rule's own limit, {}, too: an emergency is no laxer",
                    own.comparison.name(),
                    own.value
                );
                fields.complain(name, allowed);
            }
            Some(_) => {}
        }
    }
    if emergency.hold.is_some_and(|hold| hold > rule.hold) {
        let own = humantime::format_duration(rule.hold);
        fields.complain(
            "for",
            format!("up to {own}, the rule's own: an emergency is no laxer"),
        );
    }
    if emergency
        .keep_firing_for
        .is_some_and(|keep| keep < rule.keep_firing_for)
    {
        let own = humantime::format_duration(rule.keep_firing_for);
        fields.complain(
            "keep_firing_for",
            format!("at least {own}, the rule's own: an emergency is no laxer"),
        );
    }
    if emergency.every.is_some() && rule.what.is_judged_on_events() {
        fields.complain("every", "none, for the rule is judged on each event");
    } else if let (Some(every), Some(own)) = (emergency.every, rule.what.every())
        && every > own
    {
        let own = humantime::format_duration(own);
        fields.complain(
            "every",
            format!("up to {own}, the rule's own: an emergency is no laxer"),
        );
    }
    if emergency
        .severity
        .is_some_and(|severity| severity < rule.severity)
    {
        let allowed = format!("{} or graver, for an emergency is no laxer", rule.severity.name());
        fields.complain("severity", allowed);
    }
    if let Some(webhooks) = &emergency.webhooks
        && let Some(missing) = rule.webhooks.iter().find(|own| !webhooks.contains(own))
    {
        fields.complain(
            "webhooks",
            format!("a list that has \"{missing}\" too, as the rule has: an emergency is no laxer"),
        );
    }
}
