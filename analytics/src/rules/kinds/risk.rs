//! A number or the class of the risk surface.

use std::time::Duration;

use serde::Serialize;

use super::super::fields::Fields;
use super::super::printed::as_window;
use super::super::read::{Numbers, is_layer_id, read_every, read_limit, read_resolution, require_limit};
use super::super::rule::RuleBounds;
use super::super::words::Limit;
use super::What;
use crate::risk::class::Class;

/// All layers of a clock together.
pub(super) const ALL_LAYERS: &str = "*";

/// Which number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskMetric {
    /// What is to be feared.
    Risk,
    /// What would be, were all true that was reported.
    RiskIfTrue,
    /// Of the hazard.
    Level,
    /// People times believed hazard times vulnerability.
    Impact,
}

impl RiskMetric {
    /// All with their names.
    const ALL: [(&'static str, Self); 4] = [
        ("risk", Self::Risk),
        ("risk_if_true", Self::RiskIfTrue),
        ("level", Self::Level),
        ("impact", Self::Impact),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, metric)| *metric == self);
        known.map_or("", |(name, _)| name)
    }
}

/// What of a row is looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RiskTest {
    /// A number.
    Metric {
        /// Which.
        metric: RiskMetric,
        /// With what it is compared.
        #[serde(flatten)]
        limit: Limit,
    },
    /// The class.
    Class {
        /// Its name.
        class: String,
    },
}

/// A number or the class of the risk surface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RiskWatch {
    /// A layer of the surface, or `*`.
    pub layer: String,
    /// Of the cells: the greatest of those within; `None` is the grid's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<u8>,
    /// What is looked at.
    #[serde(flatten)]
    pub test: RiskTest,
    /// How often it is judged; `None` is at the end of each bucket.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_window")]
    pub every: Option<Duration>,
}

pub(super) fn read(fields: &mut Fields<'_>, bounds: &RuleBounds, _: bool) -> Option<What> {
    let layer = fields.required("layer", "a layer's id, or * for all together", |value| {
        value.as_str().filter(|id| *id == ALL_LAYERS || is_layer_id(id))
    });
    let resolution = read_resolution(fields, bounds);
    let names: Vec<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
    let class = fields.optional("class", &names.join(", "), |value| {
        value.as_str().filter(|class| names.contains(class))
    });
    let metrics: Vec<&str> = RiskMetric::ALL.iter().map(|(name, _)| *name).collect();
    let metric = fields.optional("metric", &metrics.join(", "), |value| {
        let name = value.as_str()?;
        let known = RiskMetric::ALL.iter().find(|(known, _)| *known == name);
        known.map(|(_, metric)| *metric)
    });
    let is_of_all = layer == Some(ALL_LAYERS);
    let test = if fields.value("class").is_some() {
        for name in ["metric"] {
            if fields.value(name).is_some() {
                fields.complain(name, "none, with `class`");
            }
        }
        if let Some(limit) = read_limit(fields, Numbers::Any) {
            fields.complain(limit.comparison.name(), "none, with `class`");
        }
        if is_of_all {
            fields.complain("class", "none, for all layers together have no class");
        }
        class.map(|class| RiskTest::Class {
            class: class.to_owned(),
        })
    } else {
        let metric = metric.unwrap_or(RiskMetric::Risk);
        if is_of_all && !matches!(metric, RiskMetric::Risk | RiskMetric::RiskIfTrue) {
            fields.complain(
                "metric",
                "risk, risk_if_true, for all layers together have no other",
            );
        }
        let numbers = match metric {
            RiskMetric::Risk | RiskMetric::RiskIfTrue => Numbers::Share,
            RiskMetric::Level | RiskMetric::Impact => Numbers::Any,
        };
        require_limit(fields, numbers).map(|limit| RiskTest::Metric { metric, limit })
    };
    let every = read_every(fields, bounds);
    Some(What::Risk(RiskWatch {
        layer: layer?.to_owned(),
        resolution,
        test: test?,
        every,
    }))
}
