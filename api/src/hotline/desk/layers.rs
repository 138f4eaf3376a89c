//! The layers whose reports are cases.

use std::collections::BTreeMap;

use riskgrid_ingest::{AttributeSettings, CasesOf, LayerSettings};

/// A layer, as cases need it.
#[derive(Clone, Debug)]
pub struct CaseLayer {
    /// Its id.
    pub id: String,
    /// For people.
    pub label: String,
    /// Whose its cases are.
    pub cases: CasesOf,
    /// The hazard that it tells of, with others.
    pub group: Option<String>,
    /// Metres.
    pub dup_radius: f64,
    /// What Open311 asks.
    pub attributes: Vec<AttributeSettings>,
    /// Open311 shows no place.
    pub is_sensitive: bool,
    /// Other names.
    pub keywords: Vec<String>,
}

/// All of them, by their ids.
#[derive(Clone, Debug, Default)]
pub struct CaseLayers(BTreeMap<String, CaseLayer>);

impl CaseLayers {
    /// Those of the catalogue that have cases; `groups` are hazards with their layers.
    pub fn new(layers: &[LayerSettings], groups: &BTreeMap<String, Vec<String>>) -> Self {
        let with_cases = layers.iter().filter(|layer| layer.cases != CasesOf::None);
        let layers = with_cases.map(|layer| {
            let group = groups
                .iter()
                .find(|(_, of)| of.contains(&layer.id))
                .map(|(name, _)| name.clone());
            let made = CaseLayer {
                id: layer.id.clone(),
                label: layer.label.clone().unwrap_or_else(|| layer.id.clone()),
                cases: layer.cases,
                group,
                dup_radius: layer.dup_radius,
                attributes: layer.attributes.clone(),
                is_sensitive: layer.sensitive,
                keywords: layer.names.clone(),
            };
            (layer.id.clone(), made)
        });
        Self(layers.collect())
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&CaseLayer> {
        self.0.get(id)
    }

    /// One whose cases are this hotline's.
    pub fn own(&self, id: &str) -> Option<&CaseLayer> {
        self.get(id).filter(|layer| layer.cases == CasesOf::Own)
    }

    /// All of them, by their ids.
    pub fn all(&self) -> impl Iterator<Item = &CaseLayer> {
        self.0.values()
    }

    /// The hazard of a layer.
    pub fn group_of(&self, id: &str) -> Option<&str> {
        self.get(id).and_then(|layer| layer.group.as_deref())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
