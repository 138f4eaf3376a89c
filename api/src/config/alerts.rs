//! `[alerts.incidents]`: what makes alerts one incident; `[[alerts.mutes]]` and `[[alerts.inhibit]]`: what keeps them quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use h3o::Resolution;
use riskgrid_analytics::incidents::Reach;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::values::Span;
use crate::alerts::inhibition::InhibitSettings;
use crate::alerts::mute::MuteSettings;
use crate::alerts::store::{IncidentSettings, NearBy, NoiseSettings};

/// `[alerts.incidents]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IncidentsSection {
    /// H3 resolution of the cells that are compared. Default 7.
    pub resolution: u8,
    /// Alerts are near each other within so many rings of such cells, 0 to 20. Default 1.
    pub distance: u32,
    /// How long after its end an alert still counts. Default `30m`.
    pub gap: Span,
    /// `cells`, or a level of areas: then those of the same area are near. Default `cells`.
    pub by: String,
}

impl Default for IncidentsSection {
    fn default() -> Self {
        let settings = IncidentSettings::default();
        Self {
            resolution: settings.resolution.into(),
            distance: settings.reach.distance,
            gap: Span(settings.reach.gap),
            by: Self::BY_CELLS.to_owned(),
        }
    }
}

impl IncidentsSection {
    const BY_CELLS: &str = "cells";

    /// The settings, with the hazard groups of `[risk.groups]`.
    ///
    /// # Errors
    /// A value that cannot be, with what is allowed; `levels` are those of the loaded areas.
    pub fn settings(
        &self,
        risk_groups: &BTreeMap<String, Vec<String>>,
        levels: &BTreeSet<&str>,
    ) -> Result<IncidentSettings, ConfigError> {
        let resolution = Resolution::try_from(self.resolution).map_err(|_| {
            ConfigError::Value(format!(
                "`alerts.incidents.resolution` is {}; allowed: 0 to 15",
                self.resolution
            ))
        })?;
        if self.distance > 20 {
            return Err(ConfigError::Value(format!(
                "`alerts.incidents.distance` is {}; allowed: 0 to 20 rings",
                self.distance
            )));
        }
        if self.gap.0 > Duration::from_hours(30 * 24) {
            return Err(ConfigError::Value(format!(
                "`alerts.incidents.gap` is {}; allowed: 0s to 30d",
                self.gap
            )));
        }
        let near_by = if self.by == Self::BY_CELLS {
            NearBy::Cells
        } else if levels.contains(self.by.as_str()) {
            NearBy::AreasOf(self.by.clone())
        } else {
            let known: Vec<&str> = levels.iter().copied().collect();
            return Err(ConfigError::Value(format!(
                "`alerts.incidents.by` is \"{}\"; allowed: \"cells\", or a level of the loaded areas: {}",
                self.by,
                if known.is_empty() {
                    "there are none".to_owned()
                } else {
                    known.join(", ")
                }
            )));
        };
        let of_layers = risk_groups
            .iter()
            .flat_map(|(group, layers)| layers.iter().map(|layer| (layer.clone(), group.clone())));
        Ok(IncidentSettings {
            resolution,
            reach: Reach {
                distance: self.distance,
                gap: self.gap.0,
            },
            near_by,
            groups: of_layers.collect(),
        })
    }
}

/// The mutes by name, and the inhibitions; `levels` are those of the loaded areas.
///
/// # Errors
/// The first thing that cannot be, with what is allowed.
pub(super) fn noise(
    mutes: &[MuteSettings],
    inhibit: &[InhibitSettings],
    levels: &BTreeSet<&str>,
) -> Result<NoiseSettings, ConfigError> {
    let mut by_name = BTreeMap::new();
    for mute in mutes {
        if by_name
            .insert(mute.name.clone(), mute.compile().map_err(ConfigError::Value)?)
            .is_some()
        {
            return Err(ConfigError::Value(format!(
                "`alerts.mutes`: two mutes are called \"{}\"; names must differ",
                mute.name
            )));
        }
    }
    let inhibitions = inhibit
        .iter()
        .map(|settings| settings.compile(levels).map_err(ConfigError::Value));
    Ok(NoiseSettings {
        mutes: by_name,
        inhibitions: inhibitions.collect::<Result<_, _>>()?,
        ..NoiseSettings::default()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn settings(section: &IncidentsSection) -> Result<IncidentSettings, ConfigError> {
        let groups = BTreeMap::from([("flood".to_owned(), vec!["water_level".to_owned()])]);
        section.settings(&groups, &BTreeSet::from(["city", "district"]))
    }

    #[test]
    fn what_cannot_be_is_named_with_what_is_allowed() {
        let with = |change: fn(&mut IncidentsSection)| {
            let mut section = IncidentsSection::default();
            change(&mut section);
            settings(&section).unwrap_err().to_string()
        };
        assert!(with(|section| section.resolution = 16).contains("resolution` is 16; allowed: 0 to 15"));
        assert!(with(|section| section.distance = 21).contains("0 to 20 rings"));
        assert!(with(|section| section.gap = Span(Duration::from_hours(721))).contains("0s to 30d"));
        assert!(with(|section| section.by = "village".to_owned()).contains("city, district"));
    }

    #[test]
    fn a_layer_is_of_the_hazard_group_that_names_it() {
        let mut section = IncidentsSection::default();
        let by_cells = settings(&section).unwrap();
        assert_eq!(by_cells.groups["water_level"], "flood");
        assert_eq!(by_cells.near_by, NearBy::Cells);
        section.by = "district".to_owned();
        assert_eq!(
            settings(&section).unwrap().near_by,
            NearBy::AreasOf("district".to_owned())
        );
    }
}
