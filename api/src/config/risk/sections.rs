//! The keys of `[risk]`, as they are written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use riskgrid_ingest::decode::feed::{FieldSpec, IdSettings};
use serde::{Deserialize, Serialize};

use crate::config::Span;

/// `[risk]`. Layers are on the surface when `[risk.layers.<id>]` names them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RiskSection {
    /// Id or name of the area whose cells the surface speaks of. Without it there is no baseline. Default: all cells.
    pub domain: Option<String>,
    /// What a unit of severity counts beside its event. Default 0.5.
    pub severity_factor: f64,
    /// How many rings around a cell feel what happens in it. Default 1.
    pub rings: u32,
    /// Width of the spread, in rings. Default 0.6.
    pub sigma: f64,
    /// How much more counts vary than Poisson ones. Default 2.
    pub dispersion: f64,
    /// Share of the surprise in the hazard; the rest is the level's. Default 0.25.
    pub surprise_weight: f64,
    /// How far `forecast` looks. Default `24h`.
    pub forecast: Span,
    /// `[risk.groups]`: layers that tell of one hazard, by its name. A layer in none is a group by itself.
    pub groups: BTreeMap<String, Vec<String>>,
    /// `[risk.layers.<id>]`.
    pub layers: BTreeMap<String, LayerRiskSection>,
    /// `[risk.exposure]`.
    pub exposure: ExposureSection,
    /// `[[risk.susceptibility]]`.
    pub susceptibility: Vec<SusceptibilitySection>,
    /// `[[risk.coping]]`.
    pub coping: Vec<CopingSection>,
}

impl Default for RiskSection {
    fn default() -> Self {
        Self {
            domain: None,
            severity_factor: 0.5,
            rings: 1,
            sigma: 0.6,
            dispersion: 2.0,
            surprise_weight: 0.25,
            forecast: Span::seconds(24 * 3600),
            groups: BTreeMap::new(),
            layers: BTreeMap::new(),
            exposure: ExposureSection::default(),
            susceptibility: Vec::new(),
            coping: Vec::new(),
        }
    }
}

/// Which way danger lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectionSection {
    /// Higher values are worse.
    Up,
    /// Lower values are worse.
    Down,
}

/// `[risk.layers.<id>]`: a layer of reports has `half_level`, one of observations `levels` and `valid_for`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRiskSection {
    /// How long an event takes to count half: 10 minutes to 30 days.
    pub half_life: Span,
    /// Reports: the intensity whose level is one half.
    pub half_level: Option<f64>,
    /// Observations: points [value, index] between which the index is a straight line; 0.4 warns, 0.8 is danger.
    pub levels: Option<Vec<[f64; 2]>>,
    /// Observations: how long a reading holds.
    pub valid_for: Option<Span>,
    /// Observations: `up`, or `down` where lower values are worse. Default `up`.
    pub direction: Option<DirectionSection>,
    /// Observations: levels of single sensors.
    #[serde(default)]
    pub sensors: BTreeMap<String, Vec<[f64; 2]>>,
    /// How much it counts among all layers. Default 1.
    #[serde(default = "one")]
    pub weight: f64,
    /// Instead of `risk.domain`.
    pub domain: Option<String>,
    /// Instead of `risk.rings`.
    pub rings: Option<u32>,
    /// Instead of `risk.sigma`.
    pub sigma: Option<f64>,
    /// Instead of `risk.dispersion`.
    pub dispersion: Option<f64>,
    /// Instead of `risk.surprise_weight`.
    pub surprise_weight: Option<f64>,
}

/// `[risk.exposure]`: the weight of one facility by its kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExposureSection {
    /// Where people are: hospitals, schools.
    pub facilities: BTreeMap<String, f64>,
    /// What people depend on: substations, bridges.
    pub infrastructure: BTreeMap<String, f64>,
}

/// `[[risk.susceptibility]]`: an indicator, a row an area.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SusceptibilitySection {
    /// As of `[[population]]`.
    pub file: PathBuf,
    /// The id of the area.
    pub area: IdSettings,
    /// Its number.
    pub value: FieldSpec,
    /// The number of no susceptibility.
    pub lo: f64,
    /// The number of all of it; below `lo` where more is better.
    pub hi: f64,
    /// Beside the other indicators. Default 1.
    #[serde(default = "one")]
    pub weight: f64,
    /// One ASCII character between the fields of CSV. Default `,`.
    #[serde(default = "comma")]
    pub delimiter: char,
}

/// `[[risk.coping]]`: facilities of a kind, or available units with a skill.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopingSection {
    /// A kind of facility.
    pub kind: Option<String>,
    /// A skill of units.
    pub skill: Option<String>,
    /// The distance in km at which half of it is missed.
    pub distance: f64,
    /// Beside the others. Default 1.
    #[serde(default = "one")]
    pub weight: f64,
}

const fn one() -> f64 {
    1.0
}

const fn comma() -> char {
    ','
}
