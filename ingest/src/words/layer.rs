//! A layer: what is counted on the grid.

use serde::{Deserialize, Serialize};

use super::event_kind::EventKind;

/// The clock domain of all live feeds together.
pub const LIVE_DOMAIN: &str = "live";
/// Whole units of a layer's resolution are kept below this, so that sums of squares of 2^27 readings fit 127 bits.
const LARGEST_VALUE: f64 = (1_u64 << 50) as f64;

/// A layer's place in this process's table. Never written anywhere: files and answers carry the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerIndex(pub u16);

/// What a layer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerKind {
    /// An observed property.
    Observation,
    /// A report category.
    Report,
}

impl LayerKind {
    /// Its name in tables and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observation => "observation",
            Self::Report => "report",
        }
    }

    /// The layer kind that events of `kind` count on; positions count on none.
    pub const fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::Observation => Some(Self::Observation),
            EventKind::Report => Some(Self::Report),
            EventKind::Position => None,
        }
    }
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// `[a-z0-9_]{1,64}`.
    pub id: String,
    /// For people; the name as first seen.
    pub label: String,
    /// What it counts.
    pub kind: LayerKind,
    /// UCUM code of its values; none when its first event had none.
    pub unit: Option<String>,
    /// Values are kept as whole multiples of this, in the layer's unit.
    pub resolution: f64,
    /// The clock domain that it belongs to.
    pub domain: String,
    /// What a report of unknown severity weighs, 1 to 4.
    pub default_severity: u8,
}

impl Layer {
    /// `value`, in the layer's unit, as whole units of its resolution; `None` when not finite or beyond ±2^50 units.
    pub fn to_units(&self, value: f64) -> Option<i64> {
        let inverse = (1.0 / self.resolution).round();
        let units = if is_inverse(inverse, self.resolution) {
            value * inverse
        } else {
            value / self.resolution
        };
        let rounded = units.round();
        (rounded.abs() < LARGEST_VALUE).then_some(rounded as i64)
    }

    /// What one whole unit is worth: multiply by `.0`, then divide by `.1`.
    /// A power of ten is kept as a divisor because 1e6 is exact in binary and 1e-6 is not.
    pub fn scale(&self) -> ValueScale {
        let inverse = (1.0 / self.resolution).round();
        if is_inverse(inverse, self.resolution) {
            ValueScale {
                multiplier: 1.0,
                divisor: inverse,
            }
        } else {
            ValueScale {
                multiplier: self.resolution,
                divisor: 1.0,
            }
        }
    }
}

fn is_inverse(inverse: f64, resolution: f64) -> bool {
    inverse >= 1.0 && (inverse * resolution - 1.0).abs() < 1e-12
}

/// Brings whole units of a layer's resolution back to its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueScale {
    /// Applied first.
    pub multiplier: f64,
    /// Applied after.
    pub divisor: f64,
}

impl ValueScale {
    /// The scale of plain numbers (counts, weights).
    pub const ONE: Self = Self {
        multiplier: 1.0,
        divisor: 1.0,
    };

    /// `units` in the layer's unit.
    pub fn value(self, units: f64) -> f64 {
        units * self.multiplier / self.divisor
    }

    /// `units` squared, in the square of the layer's unit.
    pub fn square(self, units: f64) -> f64 {
        units * (self.multiplier * self.multiplier) / (self.divisor * self.divisor)
    }
}

/// What the public sees of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VisibleToPublic {
    /// Nothing.
    #[default]
    None,
    /// What was published: rounded counts of cells of enough events and sources.
    Suppressed,
    /// The grid's numbers as they are, without what tells of sources: for sensors of places.
    Open,
}

/// A layer as the configuration gives it, `[[layers]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerSettings {
    /// Its id, `[a-z0-9_]{1,64}`.
    pub id: String,
    /// `observation` or `report`.
    pub kind: LayerKind,
    /// For people. Default: the id.
    #[serde(default)]
    pub label: Option<String>,
    /// Names in events that mean this layer, beside the id itself.
    #[serde(default)]
    pub names: Vec<String>,
    /// UCUM code of its values (observations).
    #[serde(default)]
    pub unit: Option<String>,
    /// Values are rounded to multiples of this. Default 1e-6.
    #[serde(default = "default_resolution")]
    pub resolution: f64,
    /// The historic feed that it belongs to. Default: the live feeds.
    #[serde(default = "live_domain")]
    pub domain: String,
    /// What a report of unknown severity weighs, 1 to 4. Default 1.
    #[serde(default = "default_severity")]
    pub default_severity: u8,
    /// What the public sees of it: `none`, `suppressed` or `open` (observations only). Default `none`.
    #[serde(default)]
    pub public: VisibleToPublic,
    /// H3 resolution of the cells that are published. Default 7.
    #[serde(default = "public_resolution")]
    pub public_resolution: u8,
    /// Length of the steps that are published: `1h`, `1d` or `7d`. Default `1d`.
    #[serde(default = "public_step")]
    pub public_step: String,
    /// Whether its reports become cases: `none`, `own` (of this hotline), `mirror` (another system decides). Default `none`.
    #[serde(default)]
    pub cases: CasesOf,
    /// Metres over which the score of a possible duplicate falls to 1/e. Default 100.
    #[serde(default = "dup_radius")]
    pub dup_radius: f64,
    /// What Open311 asks of who reports. Default nothing.
    #[serde(default)]
    pub attributes: Vec<AttributeSettings>,
    /// Open311 shows no place of its cases. Default false.
    #[serde(default)]
    pub sensitive: bool,
}

/// Whether reports of a layer become cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CasesOf {
    /// They do not.
    #[default]
    None,
    /// Cases of this hotline.
    Own,
    /// Cases that another system decides, shown here.
    Mirror,
}

/// A question of Open311 about a report, as GeoReport v2 names its members.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeSettings {
    /// By which answers name it.
    pub code: String,
    /// What is asked.
    pub description: String,
    /// `string`, `number`, `datetime`, `text`, `singlevaluelist`, `multivaluelist`. Default `string`.
    #[serde(default)]
    pub datatype: AttributeType,
    /// Whether it must be answered. Default false.
    #[serde(default)]
    pub required: bool,
    /// Whether it is answered at all, or only shown. Default true.
    #[serde(default = "yes")]
    pub variable: bool,
    /// How the answer is to be written. Default nothing.
    #[serde(default)]
    pub datatype_description: Option<String>,
    /// What the answers of a list may be.
    #[serde(default)]
    pub values: Vec<AttributeValue>,
}

/// How a question is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttributeType {
    /// A few letters.
    #[default]
    String,
    /// A number.
    Number,
    /// A time with its offset.
    Datetime,
    /// Free text, which is kept as what people say is.
    Text,
    /// One of the values.
    SingleValueList,
    /// Some of the values.
    MultiValueList,
}

impl AttributeType {
    /// Its name in GeoReport v2.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Datetime => "datetime",
            Self::Text => "text",
            Self::SingleValueList => "singlevaluelist",
            Self::MultiValueList => "multivaluelist",
        }
    }
}

/// One answer of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeValue {
    /// By which answers name it.
    pub key: String,
    /// For people.
    pub name: String,
}

const fn dup_radius() -> f64 {
    100.0
}

const fn yes() -> bool {
    true
}

const fn public_resolution() -> u8 {
    7
}

fn public_step() -> String {
    "1d".to_owned()
}

pub(super) const fn default_resolution() -> f64 {
    1e-6
}

fn live_domain() -> String {
    LIVE_DOMAIN.to_owned()
}

pub(super) const fn default_severity() -> u8 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_with_six_decimals_comes_back_as_it_was(units in -1_000_000_000_000i64..1_000_000_000_000) {
            let layer = Layer { id: "x".into(), label: "x".into(), kind: LayerKind::Observation, unit: None,
                resolution: 1e-6, domain: LIVE_DOMAIN.into(), default_severity: 1 };
            let value = layer.scale().value(units as f64);
            prop_assert_eq!(layer.to_units(value), Some(units));
            prop_assert_eq!(value.to_bits(), format!("{units}e-6").parse::<f64>().unwrap().to_bits());
        }
    }
}
