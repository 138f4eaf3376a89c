//! The model as configured: what each layer and group is scored by. Every constant that an operator may turn is here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hazard_index::HazardScale;
use super::intensity::HalfLife;
use super::sensors::Levels;
use super::spread::Kernel;
use super::vulnerability::Scale;

/// All of the model. Surfaces compare only where [`hash`](Self::hash) is the same. The default has no layer.
#[derive(Clone, Debug, Default)]
pub struct RiskModel {
    /// What a unit of severity counts beside its event.
    pub severity_factor: f64,
    /// How far `forecast` looks, in microseconds.
    pub forecast: i64,
    /// Ascending by id; only these are on the surface.
    pub layers: Vec<LayerModel>,
    /// Hazard groups: names, and their layers by position. Each layer is in exactly one.
    pub groups: Vec<Group>,
    /// The weight of one facility by its kind; none: facilities are missing.
    pub facilities: BTreeMap<String, f64>,
    /// The weight of one piece of infrastructure by its kind.
    pub infrastructure: BTreeMap<String, f64>,
    /// Indicators of susceptibility.
    pub susceptibility: Vec<Indicator>,
    /// What one copes with.
    pub coping: Vec<Coping>,
    /// Names all keys and the data of reference.
    pub hash: String,
}

/// Layers whose reports and sensors tell of one hazard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name; a layer that is in none is a group by itself.
    pub name: String,
    /// Positions of its layers.
    pub layers: Vec<usize>,
}

/// How a layer is scored.
#[derive(Clone, Debug)]
pub struct LayerModel {
    /// The layer.
    pub id: String,
    /// τ.
    pub half_life: HalfLife,
    /// α.
    pub weight: f64,
    /// Id of the area whose cells are its domain; all cells where there is none.
    pub domain: Option<Arc<str>>,
    /// Of the spread, and of the reach of sensors.
    pub kernel: Kernel,
    /// What makes its hazard.
    pub hazard: HazardModel,
}

/// What makes the hazard index of a layer.
#[derive(Clone, Debug)]
pub enum HazardModel {
    /// Reports that fade.
    Reports {
        /// From intensity to index.
        scale: HazardScale,
        /// v: how much more a count varies than a Poisson one.
        dispersion: f64,
    },
    /// Values of sensors.
    Observations {
        /// From value to index.
        levels: Levels,
        /// Of one sensor.
        of_sensors: BTreeMap<String, Levels>,
        /// How long a reading holds, in microseconds.
        valid_for: i64,
    },
}

/// An indicator of susceptibility.
#[derive(Clone, Debug)]
pub struct Indicator {
    /// Its file, for messages.
    pub name: String,
    /// Raw values by the id of their area.
    pub values: hashbrown::HashMap<Arc<str>, f64>,
    /// From raw value to share.
    pub scale: Scale,
    /// Beside the others.
    pub weight: f64,
}

/// What one copes with, and from how far away.
#[derive(Clone, Debug, PartialEq)]
pub struct Coping {
    /// What it is.
    pub with: Help,
    /// The distance in km at which half of it is missed.
    pub half_way: f64,
    /// Beside the others.
    pub weight: f64,
}

/// Who helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Help {
    /// Facilities of a kind.
    Facility(String),
    /// Available units with a skill.
    Skill(String),
}

impl RiskModel {
    /// The layers that are seen, by position and ascending, where a hazard group has some that are seen and some that are not: there a
    /// row tells of more than its own layer. None where each group is seen or hidden as a whole.
    pub fn seen_of_split_groups(&self, is_seen: impl Fn(&str) -> bool) -> Option<Vec<usize>> {
        let layers = self.layers.iter().enumerate();
        let seen: Vec<usize> = layers
            .filter(|(_, layer)| is_seen(&layer.id))
            .map(|(position, _)| position)
            .collect();
        let is_split = |group: &Group| {
            let of_group = group.layers.iter().filter(|layer| seen.contains(layer)).count();
            (1..group.layers.len()).contains(&of_group)
        };
        self.groups.iter().any(is_split).then_some(seen)
    }

    /// The layer called `id`.
    pub fn layer(&self, id: &str) -> Option<&LayerModel> {
        self.layers
            .binary_search_by(|layer| layer.id.as_str().cmp(id))
            .ok()
            .and_then(|position| self.layers.get(position))
    }
}
