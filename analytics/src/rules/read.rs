//! Reading each field of a rule, with what it may be.

use std::time::Duration;

use riskgrid_ingest::grid::Metric;
use serde_json::Value;

use super::fields::{FieldProblem, Fields, InvalidRule};
use super::rule::RuleBounds;
use super::words::{Limit, Per};

/// Longest `for` and `keep_firing_for`.
const LONGEST_HOLD: Duration = Duration::from_hours(30 * 24);
/// After which a sensor that fires and is not heard of expires, when its rule says nothing.
const STALE_AFTER: Duration = Duration::from_hours(7 * 24);
const LONGEST_STALE: Duration = Duration::from_hours(365 * 24);

pub(super) fn one_problem(field: &str, found: &str, allowed: &str) -> InvalidRule {
    let problem = FieldProblem {
        field: field.to_owned(),
        found: found.to_owned(),
        allowed: allowed.to_owned(),
    };
    InvalidRule {
        problems: vec![problem],
    }
}

pub(super) fn is_layer_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

pub(super) fn read_metric(fields: &mut Fields<'_>, per: Option<Per>) -> Option<Metric> {
    if per == Some(Per::Sensor) {
        if fields.value("metric").is_none() {
            return Some(Metric::Last);
        }
        return fields.required("metric", "last, for rules per sensor", |value| {
            (value.as_str()? == "last").then_some(Metric::Last)
        });
    }
    let all = Metric::ALL.map(Metric::as_str).join(", ");
    fields.required("metric", &all, |value| Metric::parse(value.as_str()?))
}

/// No count passes this: it is kept in 64 bits.
const COUNTS_END: f64 = 18_446_744_073_709_551_616.0;

/// A limit in the numbers that the metric can be.
fn read_number(fields: &mut Fields<'_>, name: &'static str, metric: Option<Metric>) -> Option<f64> {
    let counts = metric.filter(|metric| matches!(metric, Metric::Count | Metric::Weight | Metric::Sources));
    let allowed = counts.map_or_else(
        || "a number".to_owned(),
        |metric| format!("a number from 0 to 2^64, which {} can be", metric.as_str()),
    );
    fields.optional(name, &allowed, |value| {
        let number = value.as_f64()?;
        (counts.is_none() || (0.0..COUNTS_END).contains(&number)).then_some(number)
    })
}

pub(super) fn read_limit(fields: &mut Fields<'_>, metric: Option<Metric>) -> Option<Limit> {
    let above = read_number(fields, "above", metric);
    let at_least = read_number(fields, "at_least", metric);
    match (
        fields.value("above").is_some(),
        fields.value("at_least").is_some(),
    ) {
        (true, true) => {
            fields.complain("at_least", "either `above` or `at_least`, not both");
            None
        }
        (false, false) => {
            fields.complain(
                "above",
                "a number, in `above` (greater) or in `at_least` (greater or equal)",
            );
            None
        }
        _ => above.map(Limit::Above).or(at_least.map(Limit::AtLeast)),
    }
}

pub(super) fn read_clear_below(
    fields: &mut Fields<'_>,
    limit: Option<Limit>,
    metric: Option<Metric>,
) -> Option<f64> {
    let clear_below = read_number(fields, "clear_below", metric)?;
    if let Some(limit) = limit
        && clear_below > limit.value()
    {
        fields.complain(
            "clear_below",
            format!("a number not over the limit, {}", limit.value()),
        );
    }
    Some(clear_below)
}

/// A duration that may be nothing, and is when it is not given.
pub(super) fn read_hold(fields: &mut Fields<'_>, name: &'static str) -> Duration {
    let held = fields.optional(name, "a duration up to 30d, like 0s, 2m or 1h 30m", |value| {
        humantime::parse_duration(value.as_str()?)
            .ok()
            .filter(|hold| *hold <= LONGEST_HOLD)
    });
    held.unwrap_or_default()
}

pub(super) fn read_stale_after(fields: &mut Fields<'_>, per: Option<Per>) -> Option<Duration> {
    if per != Some(Per::Sensor) {
        if fields.value("stale_after").is_some() {
            fields.complain("stale_after", "none, but for rules per sensor");
        }
        return None;
    }
    let allowed = "a duration from 1s to 365d, like 30m or 7d";
    let given = fields.optional("stale_after", allowed, |value| {
        let possible = Duration::from_secs(1)..=LONGEST_STALE;
        humantime::parse_duration(value.as_str()?)
            .ok()
            .filter(|after| possible.contains(after))
    });
    Some(given.unwrap_or(STALE_AFTER))
}

pub(super) fn read_window(
    fields: &mut Fields<'_>,
    per: Option<Per>,
    bounds: &RuleBounds,
) -> Option<Duration> {
    if per == Some(Per::Sensor) {
        if fields.value("window").is_some() {
            fields.complain("window", "none, for rules per sensor");
        }
        return None;
    }
    let shortest = match bounds.shortest_window {
        Duration::ZERO => String::new(),
        shortest => format!("from {} (two buckets) ", humantime::format_duration(shortest)),
    };
    let allowed = format!(
        "a whole number and m, h or d, like 15m, {}up to {}",
        shortest,
        humantime::format_duration(bounds.longest_window)
    );
    let possible = bounds.shortest_window..=bounds.longest_window;
    fields.required("window", &allowed, |value| {
        parse_window(value.as_str()?).filter(|window| possible.contains(window))
    })
}

pub(super) fn read_resolution(fields: &mut Fields<'_>, per: Option<Per>, bounds: &RuleBounds) -> Option<u8> {
    if per == Some(Per::Sensor) {
        if fields.value("resolution").is_some() {
            fields.complain("resolution", "none, for rules per sensor");
        }
        return None;
    }
    let allowed = format!(
        "a whole number from 0 to {}, the resolution of the grid",
        bounds.base_resolution
    );
    fields.optional("resolution", &allowed, |value| {
        u8::try_from(value.as_u64()?)
            .ok()
            .filter(|resolution| *resolution <= bounds.base_resolution)
    })
}

pub(super) fn read_names(value: &Value) -> Option<Vec<String>> {
    let names: Vec<String> = value
        .as_array()?
        .iter()
        .map(|name| name.as_str().map(str::to_owned))
        .collect::<Option<_>>()?;
    let each_once = names
        .iter()
        .enumerate()
        .all(|(index, name)| !names.iter().take(index).any(|n| n == name));
    (names.len() <= 16 && each_once).then_some(names)
}

fn parse_window(text: &str) -> Option<Duration> {
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
    number.checked_mul(seconds_per_unit).map(Duration::from_secs)
}
