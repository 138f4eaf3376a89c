//! Reading each field of a rule, with what it may be.

use std::ops::RangeInclusive;
use std::time::Duration;

use riskgrid_ingest::grid::Metric;
use riskgrid_ingest::words::Timespan;
use serde_json::Value;

use super::fields::{FieldProblem, Fields, InvalidRule};
use super::rule::RuleBounds;
use super::words::{Comparison, Limit};

/// Longest `for` and `keep_firing_for`.
pub(super) const LONGEST_HOLD: Duration = Duration::from_hours(30 * 24);
/// Of a name: of a rule, a webhook, an area, a column.
pub(super) const MAX_NAME_CHARS: usize = 128;

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

/// No count passes this: it is kept in 64 bits.
const COUNTS_END: f64 = 18_446_744_073_709_551_616.0;

/// The numbers that a limit can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Numbers {
    /// Any.
    Any,
    /// Of a metric that counts.
    Counts(Metric),
    /// From 0 to 1.
    Share,
}

impl Numbers {
    /// Those that a metric can be.
    pub(super) const fn of(metric: Option<Metric>) -> Self {
        match metric {
            Some(metric @ (Metric::Count | Metric::Weight | Metric::Sources)) => Self::Counts(metric),
            _ => Self::Any,
        }
    }

    fn read(self, fields: &mut Fields<'_>, name: &'static str) -> Option<f64> {
        let allowed = match self {
            Self::Any => "a number".to_owned(),
            Self::Counts(metric) => format!("a number from 0 to 2^64, which {} can be", metric.as_str()),
            Self::Share => "a number from 0 to 1".to_owned(),
        };
        fields.optional(name, &allowed, |value| {
            let number = value.as_f64()?;
            let is_possible = match self {
                Self::Any => true,
                Self::Counts(_) => (0.0..COUNTS_END).contains(&number),
                Self::Share => (0.0..=1.0).contains(&number),
            };
            is_possible.then_some(number)
        })
    }
}

/// One of `above`, `at_least`, `below`, `at_most`, and the limit that clears. `None` where there is none, or a wrong one:
/// that is complained of.
pub(super) fn read_limit(fields: &mut Fields<'_>, numbers: Numbers) -> Option<Limit> {
    let limits = Comparison::ALL.map(|comparison| {
        let value = numbers.read(fields, comparison.name());
        (comparison, value, fields.value(comparison.name()).is_some())
    });
    let clears = ["clear_below", "clear_above"].map(|name| (name, numbers.read(fields, name)));
    let mut given = limits.into_iter().filter(|(.., is_given)| *is_given);
    let first = given.next();
    if let (Some((first, ..)), Some((second, ..))) = (first, given.next()) {
        let allowed = format!("either `{}` or `{}`, not both", first.name(), second.name());
        fields.complain(second.name(), allowed);
        return None;
    }
    let (comparison, value, _) = first?;
    let value = value?;
    let mut clear = value;
    for (name, number) in clears {
        let Some(number) = number else { continue };
        if name != comparison.clear_name() {
            let allowed = format!(
                "none, with `{}`; it has `{}`",
                comparison.name(),
                comparison.clear_name()
            );
            fields.complain(name, allowed);
        } else if comparison.is_upward() && number > value {
            fields.complain(name, format!("a number not over the limit, {value}"));
        } else if !comparison.is_upward() && number < value {
            fields.complain(name, format!("a number not under the limit, {value}"));
        } else {
            clear = number;
        }
    }
    Some(Limit {
        comparison,
        value,
        clear,
    })
}

/// As [`read_limit`], where there must be one.
pub(super) fn require_limit(fields: &mut Fields<'_>, numbers: Numbers) -> Option<Limit> {
    let limit = read_limit(fields, numbers);
    let is_given = Comparison::ALL
        .iter()
        .any(|comparison| fields.value(comparison.name()).is_some());
    if !is_given {
        fields.complain(
            "above",
            "a number, in `above` (greater) or in `at_least` (greater or equal), or in `below` or `at_most`",
        );
    }
    limit
}

/// A duration that may be nothing, and is when it is not given.
pub(super) fn read_hold(fields: &mut Fields<'_>, name: &'static str) -> Duration {
    read_optional_hold(fields, name).unwrap_or_default()
}

/// A duration that may be nothing.
pub(super) fn read_optional_hold(fields: &mut Fields<'_>, name: &'static str) -> Option<Duration> {
    read_duration(
        fields,
        name,
        "a duration up to 30d, like 0s, 2m or 1h 30m",
        Duration::ZERO..=LONGEST_HOLD,
    )
}

/// A duration as people write it, within bounds.
pub(super) fn read_duration(
    fields: &mut Fields<'_>,
    name: &'static str,
    allowed: &str,
    possible: RangeInclusive<Duration>,
) -> Option<Duration> {
    fields.optional(name, allowed, |value| {
        let span: Timespan = value.as_str()?.parse().ok()?;
        possible.contains(&span.0).then_some(span.0)
    })
}

/// `every`: whole buckets; `None` is one.
pub(super) fn read_every(fields: &mut Fields<'_>, bounds: &RuleBounds) -> Option<Duration> {
    let bucket = bounds.bucket.as_secs();
    let allowed = if bucket == 0 {
        "a whole number and m, h or d, like 5m".to_owned()
    } else {
        format!(
            "a whole number and m, h or d, like 5m, a multiple of {} (a bucket) up to 30d",
            Timespan(bounds.bucket)
        )
    };
    fields.optional("every", &allowed, |value| {
        let every = Timespan::window(value.as_str()?)?.0;
        let fits = bucket == 0 || (every.as_secs().is_multiple_of(bucket) && every <= LONGEST_HOLD);
        fits.then_some(every)
    })
}

/// What a rule looks back over.
pub(super) fn read_window(fields: &mut Fields<'_>, bounds: &RuleBounds) -> Option<Duration> {
    let shortest = match bounds.shortest_window {
        Duration::ZERO => String::new(),
        shortest => format!("from {} (two buckets) ", Timespan(shortest)),
    };
    let allowed = format!(
        "a whole number and m, h or d, like 15m, {}up to {}",
        shortest,
        Timespan(bounds.longest_window)
    );
    let possible = bounds.shortest_window..=bounds.longest_window;
    fields.required("window", &allowed, |value| {
        Timespan::window(value.as_str()?)
            .map(|window| window.0)
            .filter(|window| possible.contains(window))
    })
}

/// An H3 resolution not finer than the grid's.
pub(super) fn read_resolution(fields: &mut Fields<'_>, bounds: &RuleBounds) -> Option<u8> {
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

/// A list of at most `most` texts, each once and not empty.
pub(super) fn read_names(value: &Value, most: usize) -> Option<Vec<String>> {
    let names: Vec<String> = value
        .as_array()?
        .iter()
        .map(|name| name.as_str().map(str::to_owned))
        .collect::<Option<_>>()?;
    let each_once = names
        .iter()
        .enumerate()
        .all(|(index, name)| !names.iter().take(index).any(|n| n == name));
    let are_names = names
        .iter()
        .all(|name| (1..=MAX_NAME_CHARS).contains(&name.chars().count()));
    (names.len() <= most && each_once && are_names).then_some(names)
}

/// One name, trimmed.
pub(super) fn read_name(value: &Value) -> Option<&str> {
    let name = value.as_str().map(str::trim);
    name.filter(|name| (1..=MAX_NAME_CHARS).contains(&name.chars().count()))
}
