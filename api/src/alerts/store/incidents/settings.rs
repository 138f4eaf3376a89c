//! By what alerts are gathered in incidents.

use std::collections::BTreeMap;
use std::time::Duration;

use h3o::{CellIndex, LatLng, Resolution};
use riskgrid_analytics::incidents::{Cover, Reach};
use riskgrid_ingest::places::Places;

/// What makes alerts near each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NearBy {
    /// Cells within the distance.
    Cells,
    /// The same area of this level.
    AreasOf(String),
}

/// `[alerts.incidents]`, and the groups that layers are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentSettings {
    /// Of the cells that are compared.
    pub resolution: Resolution,
    /// How far apart alerts may be in space and time.
    pub reach: Reach,
    /// What makes them near.
    pub near_by: NearBy,
    /// The hazard group of each layer that has one.
    pub groups: BTreeMap<String, String>,
}

impl Default for IncidentSettings {
    fn default() -> Self {
        Self {
            resolution: Resolution::Seven,
            reach: Reach {
                distance: 1,
                gap: Duration::from_mins(30),
            },
            near_by: NearBy::Cells,
            groups: BTreeMap::new(),
        }
    }
}

impl IncidentSettings {
    /// What an alert is gathered by: what its rule says, else the hazard group of its layer, else the layer, else the rule.
    pub(in super::super) fn group_of<'a>(
        &'a self,
        own: Option<&'a str>,
        layer: &'a str,
        rule_id: &'a str,
    ) -> &'a str {
        own.or_else(|| self.groups.get(layer).map(String::as_str))
            .or_else(|| Some(layer).filter(|layer| !layer.is_empty()))
            .unwrap_or(rule_id)
    }

    /// Where an alert lies, as incidents see it.
    pub(in super::super) fn cover_of(&self, rule_id: &str, cell: Option<u64>, places: &Places) -> Cover {
        let cell = cell.and_then(|cell| CellIndex::try_from(cell).ok());
        let cover = cell.and_then(|cell| match &self.near_by {
            NearBy::Cells => Cover::of_cells(&[cell], self.resolution),
            NearBy::AreasOf(level) => {
                let centre = LatLng::from(cell);
                let areas = places.areas.areas_of([centre.lng(), centre.lat()]);
                let of_level = areas.iter().filter(|area| *area.level == **level);
                Cover::of_areas(of_level.map(|area| &*area.id))
            }
        });
        cover.unwrap_or_else(|| Cover::of_rule(rule_id))
    }
}
