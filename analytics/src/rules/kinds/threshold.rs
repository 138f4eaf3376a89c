//! A value over a limit: of a sensor's readings, or of a cell's or an area's aggregate over a window.

use std::time::Duration;

use riskgrid_ingest::grid::Metric;
use riskgrid_ingest::{Layer, LayerKind};
use serde::Serialize;

use super::super::fields::{FieldProblem, Fields, InvalidRule};
use super::super::printed::{as_optional_humantime, as_window};
use super::super::read::{
    Numbers, is_layer_id, read_duration, read_every, read_name, read_resolution, read_window, require_limit,
};
use super::super::rule::RuleBounds;
use super::super::words::{Limit, Per};
use super::What;

/// After which a sensor that fires and is not heard of expires, when its rule says nothing.
const STALE_AFTER: Duration = Duration::from_hours(7 * 24);
const LONGEST_STALE: Duration = Duration::from_hours(365 * 24);

/// A value over a limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// The layer it watches.
    pub layer: String,
    /// What an instance is.
    pub per: Per,
    /// Rules on areas: the level of the areas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Which number is compared.
    pub metric: Metric,
    /// With what.
    #[serde(flatten)]
    pub limit: Limit,
    /// Rules on sensors: how long after its newest value a firing alert expires.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_optional_humantime"
    )]
    pub stale_after: Option<Duration>,
    /// Rules on cells and areas: the span of event time that is aggregated, whole minutes.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_window")]
    pub window: Option<Duration>,
    /// Rules on cells and areas: how often they are judged; `None` is at the end of each bucket.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_window")]
    pub every: Option<Duration>,
    /// Rules on cells: the H3 resolution; `None` is the grid's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<u8>,
}

pub(super) fn read(fields: &mut Fields<'_>, bounds: &RuleBounds, is_new: bool) -> Option<What> {
    let layer = fields.required("layer", "a layer's id, 1 to 64 of a-z, 0-9 and _", |value| {
        value.as_str().filter(|id| is_layer_id(id))
    });
    let per = fields.required("per", "sensor, cell, area", |value| {
        let name = value.as_str()?;
        let known = Per::ALL.iter().find(|(known, _)| *known == name);
        known.map(|(_, per)| *per)
    });
    let level = read_level(fields, per);
    let metric = read_metric(fields, per);
    let limit = require_limit(fields, Numbers::of(metric.filter(|_| is_new)));
    let stale_after = read_stale_after(fields, per);
    let of_windows = per != Some(Per::Sensor);
    let window = of_windows.then(|| read_window(fields, bounds)).flatten();
    let every = of_windows.then(|| read_every(fields, bounds)).flatten();
    let of_cells = of_windows && per != Some(Per::Area);
    let resolution = of_cells.then(|| read_resolution(fields, bounds)).flatten();
    for (name, has) in [
        ("window", of_windows),
        ("every", of_windows),
        ("resolution", of_cells),
    ] {
        if !has && fields.value(name).is_some() {
            let per = if of_windows { "area" } else { "sensor" };
            fields.complain(name, format!("none, for rules per {per}"));
        }
    }
    Some(What::Threshold(Threshold {
        layer: layer?.to_owned(),
        per: per?,
        level,
        metric: metric?,
        limit: limit?,
        stale_after,
        window,
        every,
        resolution,
    }))
}

fn read_level(fields: &mut Fields<'_>, per: Option<Per>) -> Option<String> {
    if per == Some(Per::Area) {
        let level = fields.required("level", "the name of a level of areas, as district", read_name);
        return level.map(str::to_owned);
    }
    if fields.value("level").is_some() {
        fields.complain("level", "none, but for rules per area");
    }
    None
}

fn read_metric(fields: &mut Fields<'_>, per: Option<Per>) -> Option<Metric> {
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

fn read_stale_after(fields: &mut Fields<'_>, per: Option<Per>) -> Option<Duration> {
    if per != Some(Per::Sensor) {
        if fields.value("stale_after").is_some() {
            fields.complain("stale_after", "none, but for rules per sensor");
        }
        return None;
    }
    let allowed = "a duration from 1s to 365d, like 30m or 7d";
    let given = read_duration(
        fields,
        "stale_after",
        allowed,
        Duration::from_secs(1)..=LONGEST_STALE,
    );
    Some(given.unwrap_or(STALE_AFTER))
}

impl Threshold {
    /// The value of what has no events in the window: 0 of what adds up, none of the others.
    pub fn absent(&self) -> Option<f64> {
        self.metric.is_additive().then_some(0.0)
    }

    /// Whether a bucket that is still open may be looked at: what is over there stays over.
    pub const fn only_grows_over(&self) -> bool {
        matches!(self.metric, Metric::Count | Metric::Weight | Metric::Sources)
            && self.limit.comparison.is_upward()
    }

    pub(in super::super) fn fits(&self, layer: &Layer) -> Result<(), InvalidRule> {
        let problem = |field: &str, found: String, allowed: String| FieldProblem {
            field: field.to_owned(),
            found,
            allowed,
        };
        let kind = layer.kind;
        let mut problems = Vec::new();
        if self.per == Per::Sensor && kind != LayerKind::Observation {
            let allowed = format!(
                "cell, for `{}` is a layer of reports, which no sensor sends",
                layer.id
            );
            problems.push(problem("per", "\"sensor\"".to_owned(), allowed));
        } else if !self.metric.applies_to(kind) {
            let all = Metric::ALL.iter().filter(|metric| metric.applies_to(kind));
            let names: Vec<&str> = all.map(|metric| metric.as_str()).collect();
            let allowed = format!(
                "{}, for `{}` is a layer of {}s",
                names.join(", "),
                layer.id,
                kind.as_str()
            );
            problems.push(problem(
                "metric",
                format!("\"{}\"", self.metric.as_str()),
                allowed,
            ));
        }
        // Values are kept as whole numbers of the layer's smallest unit.
        let largest = layer.scale().value(i64::MAX as f64).abs();
        let is_one_value = matches!(
            self.metric,
            Metric::Mean | Metric::Min | Metric::Max | Metric::Last
        );
        if is_one_value && kind == LayerKind::Observation && self.limit.value.abs() > largest {
            let allowed = format!(
                "a number between -{largest} and {largest}, which values of `{}` can be",
                layer.id
            );
            problems.push(problem(
                self.limit.comparison.name(),
                self.limit.value.to_string(),
                allowed,
            ));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidRule { problems })
        }
    }
}
