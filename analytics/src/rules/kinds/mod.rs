//! The kinds of rules, each a file: what it may say of itself. This is the one table of them.

mod composite;
mod no_data;
mod risk;
mod sql;
mod threshold;

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

pub use composite::{By, Composite, Members};
pub use no_data::{Expected, NoData, Of};
pub use risk::{RiskMetric, RiskTest, RiskWatch};
pub use sql::{MAX_ROWS, RowPlace, SqlWatch};
pub use threshold::Threshold;

use super::fields::Fields;
use super::rule::RuleBounds;
use super::words::{Limit, Per};

/// The kind of a rule with what it says beside the common fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A value over a limit.
    Threshold(Threshold),
    /// The rows of a query.
    Sql(SqlWatch),
    /// A sensor or feed that stopped.
    NoData(NoData),
    /// Alerts of other rules together.
    Composite(Composite),
    /// A number or the class of the risk surface.
    Risk(RiskWatch),
}

type Read = fn(&mut Fields<'_>, &RuleBounds, bool) -> Option<What>;

/// Names, and how each is read.
const KINDS: [(&str, Read); 5] = [
    ("threshold", threshold::read),
    ("sql", sql::read),
    ("no_data", no_data::read),
    ("composite", composite::read),
    ("risk", risk::read),
];

/// Kinds that wait for what they ask.
const NOT_HERE: &str = "burst, trend, clusters and geofence are not available";

pub(super) fn is_known(kind: &str) -> bool {
    KINDS.iter().any(|(name, _)| *name == kind)
}

pub(super) fn kinds_allowed() -> String {
    let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
    format!("{}; {NOT_HERE}", names.join(", "))
}

pub(super) fn read_what(
    kind: &str,
    fields: &mut Fields<'_>,
    bounds: &RuleBounds,
    is_new: bool,
) -> Option<What> {
    let (_, read) = KINDS.iter().find(|(name, _)| *name == kind)?;
    read(fields, bounds, is_new)
}

impl What {
    /// Its name in JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Threshold(_) => "threshold",
            Self::Sql(_) => "sql",
            Self::NoData(_) => "no_data",
            Self::Composite(_) => "composite",
            Self::Risk(_) => "risk",
        }
    }

    /// The layer that it watches, where it watches one.
    pub fn layer(&self) -> Option<&str> {
        match self {
            Self::Threshold(threshold) => Some(&threshold.layer),
            Self::NoData(no_data) => no_data.layer.as_deref(),
            Self::Risk(risk) => Some(risk.layer.as_str()).filter(|layer| *layer != risk::ALL_LAYERS),
            Self::Sql(_) | Self::Composite(_) => None,
        }
    }

    /// Its limit, where it has one.
    pub const fn limit(&self) -> Option<Limit> {
        match self {
            Self::Threshold(threshold) => Some(threshold.limit),
            Self::Sql(sql) => sql.limit,
            Self::Risk(risk) => match risk.test {
                RiskTest::Metric { limit, .. } => Some(limit),
                RiskTest::Class { .. } => None,
            },
            Self::NoData(_) | Self::Composite(_) => None,
        }
    }

    /// How often it is judged, where it says so.
    pub const fn every(&self) -> Option<Duration> {
        match self {
            Self::Threshold(threshold) => threshold.every,
            Self::Sql(sql) => sql.every,
            Self::Risk(risk) => risk.every,
            Self::NoData(_) | Self::Composite(_) => None,
        }
    }

    /// The threshold on sensors that it is, if it is one.
    pub fn on_sensors(&self) -> Option<&Threshold> {
        match self {
            Self::Threshold(threshold) if threshold.per == Per::Sensor => Some(threshold),
            _ => None,
        }
    }

    /// Judged by more than sums of the grid, which may change while that does not.
    pub const fn is_judged_beside_the_grid(&self) -> bool {
        !matches!(self, Self::Threshold(_))
    }

    /// Judged by what comes, and not at times of its own.
    pub const fn is_judged_on_events(&self) -> bool {
        match self {
            Self::Threshold(threshold) => matches!(threshold.per, Per::Sensor),
            Self::NoData(_) | Self::Composite(_) => true,
            Self::Sql(_) | Self::Risk(_) => false,
        }
    }

    /// What its instances are known by: alerts outlive a change of anything else.
    pub(super) fn identity(&self) -> Value {
        match self {
            Self::Threshold(it) => json!(["threshold", it.layer, it.per, it.level, it.resolution]),
            Self::Sql(it) => json!(["sql", it.keys]),
            Self::NoData(it) => json!(["no_data", it.of, it.layer]),
            Self::Composite(it) => json!(["composite", it.by, it.resolution]),
            Self::Risk(it) => json!(["risk", it.layer, it.resolution]),
        }
    }
}
