//! From the keys of `[risk]` to the model, with errors that name the key.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use riskgrid_analytics::risk::hazard_index::HazardScale;
use riskgrid_analytics::risk::intensity::HalfLife;
use riskgrid_analytics::risk::model::{Coping, Group, HazardModel, Help, Indicator, LayerModel, RiskModel};
use riskgrid_analytics::risk::sensors::{Direction, Levels};
use riskgrid_analytics::risk::spread::{Kernel, MOST_RINGS};
use riskgrid_analytics::risk::vulnerability::Scale;
use riskgrid_ingest::places::{AreaIndex, IndicatorSettings, NoSuchArea, Places, load_indicator};
use riskgrid_ingest::{LayerKind, LayerTable, slug};

use super::sections::{
    CopingSection, DirectionSection, LayerRiskSection, RiskSection, SusceptibilitySection,
};
use crate::config::ConfigError;

/// How far a forecast may look.
const FORECASTS: std::ops::RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(24 * 30);

/// The model, if any layer is on the surface. Indicators are read from their files.
///
/// # Errors
/// The first thing that is wrong: which key, what it holds, what is allowed.
pub fn compile(
    risk: &RiskSection,
    layers: &LayerTable,
    places: &Places,
    folder: &Path,
) -> Result<Option<RiskModel>, ConfigError> {
    check_numbers(risk)?;
    let mut models = Vec::with_capacity(risk.layers.len());
    for (id, section) in &risk.layers {
        models.push(layer(id, section, risk, layers, &places.areas)?);
    }
    let groups = groups(risk)?;
    let susceptibility = risk
        .susceptibility
        .iter()
        .enumerate()
        .map(|(number, section)| indicator(number, section, places, folder))
        .collect::<Result<_, _>>()?;
    let coping = risk
        .coping
        .iter()
        .enumerate()
        .map(|(number, section)| coping(number, section))
        .collect::<Result<_, _>>()?;
    if models.is_empty() {
        return Ok(None);
    }
    Ok(Some(RiskModel {
        severity_factor: risk.severity_factor,
        forecast: risk.forecast.micros(),
        layers: models,
        groups,
        facilities: risk.exposure.facilities.clone(),
        infrastructure: risk.exposure.infrastructure.clone(),
        susceptibility,
        coping,
        hash: hash_of(risk)?,
    }))
}

fn wrong<T>(text: String) -> Result<T, ConfigError> {
    Err(ConfigError::Value(text))
}

fn number(key: &str, is: f64, is_allowed: bool, allowed: &str) -> Result<f64, ConfigError> {
    if is.is_finite() && is_allowed {
        Ok(is)
    } else {
        wrong(format!("`{key}` is {is}, it must be {allowed}"))
    }
}

fn positive(key: &str, is: f64) -> Result<f64, ConfigError> {
    number(key, is, is > 0.0, "above 0")
}

fn check_numbers(risk: &RiskSection) -> Result<(), ConfigError> {
    let factor = risk.severity_factor;
    number("risk.severity_factor", factor, factor >= 0.0, "0 or more")?;
    check_rings("risk.rings", risk.rings)?;
    positive("risk.sigma", risk.sigma)?;
    positive("risk.dispersion", risk.dispersion)?;
    check_share("risk.surprise_weight", risk.surprise_weight)?;
    if !FORECASTS.contains(&risk.forecast.0) {
        return wrong(format!(
            "`risk.forecast` is {}, allowed are 1m to 30d",
            risk.forecast
        ));
    }
    let exposure = &risk.exposure;
    for (name, kinds) in [
        ("facilities", &exposure.facilities),
        ("infrastructure", &exposure.infrastructure),
    ] {
        for (kind, weight) in kinds {
            number(
                &format!("risk.exposure.{name}.{kind}"),
                *weight,
                *weight >= 0.0,
                "0 or more",
            )?;
        }
    }
    Ok(())
}

fn check_rings(key: &str, rings: u32) -> Result<u32, ConfigError> {
    if rings > MOST_RINGS {
        return wrong(format!("`{key}` is {rings}, allowed are 0 to {MOST_RINGS}"));
    }
    Ok(rings)
}

fn check_share(key: &str, share: f64) -> Result<f64, ConfigError> {
    number(key, share, (0.0..=1.0).contains(&share), "from 0 to 1")
}

fn layer(
    id: &str,
    section: &LayerRiskSection,
    risk: &RiskSection,
    layers: &LayerTable,
    areas: &AreaIndex,
) -> Result<LayerModel, ConfigError> {
    let key = |name: &str| format!("risk.layers.{id}.{name}");
    if slug(id) != id {
        return wrong(format!(
            "`risk.layers.{id}`: `{id}` is no id of a layer; it must be [a-z0-9_]{{1,64}}, for example `{}`",
            slug(id)
        ));
    }
    let Some(half_life) = HalfLife::new(section.half_life.micros()) else {
        return wrong(format!(
            "`{}` is {}, allowed are 10m to 30d",
            key("half_life"),
            section.half_life
        ));
    };
    let (domain_key, domain) = match &section.domain {
        Some(domain) => (key("domain"), Some(domain)),
        None => ("risk.domain".to_owned(), risk.domain.as_ref()),
    };
    let domain = domain
        .map(|text| area_called(&domain_key, text, areas))
        .transpose()?;
    let rings = section
        .rings
        .map_or(Ok(risk.rings), |rings| check_rings(&key("rings"), rings))?;
    let sigma = section
        .sigma
        .map_or(Ok(risk.sigma), |sigma| positive(&key("sigma"), sigma))?;
    let hazard = match section.half_level {
        Some(half_level) => reports(id, section, risk, half_level)?,
        None => observations(id, section)?,
    };
    let known = layers.find(id).and_then(|index| layers.get(index));
    if let Some(known) = known {
        match (&hazard, known.kind) {
            (HazardModel::Reports { .. }, LayerKind::Observation) => {
                return wrong(format!(
                    "`{}`: layer `{id}` has observations, which are scored by `levels` and `valid_for`; leave half_level out",
                    key("half_level")
                ));
            }
            (HazardModel::Observations { .. }, LayerKind::Report) => {
                return wrong(format!(
                    "`{}`: layer `{id}` has reports, which are scored by `half_level`; leave levels and valid_for out",
                    key("levels")
                ));
            }
            _ => {}
        }
    }
    Ok(LayerModel {
        id: id.to_owned(),
        half_life,
        weight: positive(&key("weight"), section.weight)?,
        domain,
        kernel: Kernel::new(rings, sigma),
        hazard,
    })
}

fn area_called(key: &str, text: &str, areas: &AreaIndex) -> Result<Arc<str>, ConfigError> {
    match areas.find(text) {
        Ok(area) => Ok(Arc::clone(&area.id)),
        Err(NoSuchArea::Ambiguous(ids)) => wrong(format!(
            "`{key}` is `{text}`, which several areas are called; give one of their ids: {}",
            ids.join(", ")
        )),
        Err(NoSuchArea::NoneLoaded) => wrong(format!(
            "`{key}` is `{text}`, but no areas are loaded; give the area in [[areas]]"
        )),
        Err(NoSuchArea::Unknown) => wrong(format!(
            "`{key}` is `{text}`, which is neither the id nor the name of an area in [[areas]]"
        )),
    }
}

fn reports(
    id: &str,
    section: &LayerRiskSection,
    risk: &RiskSection,
    half_level: f64,
) -> Result<HazardModel, ConfigError> {
    let key = |name: &str| format!("risk.layers.{id}.{name}");
    let foreign = [
        ("levels", section.levels.is_some()),
        ("valid_for", section.valid_for.is_some()),
        ("direction", section.direction.is_some()),
        ("sensors", !section.sensors.is_empty()),
    ];
    if let Some((name, _)) = foreign.into_iter().find(|(_, is_there)| *is_there) {
        return wrong(format!(
            "`{}` is for observations, and `half_level` is for reports; leave one out",
            key(name)
        ));
    }
    let surprise_weight = section
        .surprise_weight
        .map_or(Ok(risk.surprise_weight), |share| {
            check_share(&key("surprise_weight"), share)
        })?;
    Ok(HazardModel::Reports {
        scale: HazardScale {
            half_level: positive(&key("half_level"), half_level)?,
            surprise_weight,
        },
        dispersion: section.dispersion.map_or(Ok(risk.dispersion), |dispersion| {
            positive(&key("dispersion"), dispersion)
        })?,
    })
}

fn observations(id: &str, section: &LayerRiskSection) -> Result<HazardModel, ConfigError> {
    let key = |name: &str| format!("risk.layers.{id}.{name}");
    let (Some(levels), Some(valid_for)) = (&section.levels, section.valid_for) else {
        return wrong(format!(
            "`risk.layers.{id}` needs `half_level` if it has reports, or `levels` and `valid_for` if it has observations"
        ));
    };
    for (name, is_there) in [
        ("dispersion", section.dispersion.is_some()),
        ("surprise_weight", section.surprise_weight.is_some()),
    ] {
        if is_there {
            return wrong(format!("`{}` is for reports; leave it out", key(name)));
        }
    }
    if valid_for.0.is_zero() {
        return wrong(format!("`{}` is 0, it must be longer", key("valid_for")));
    }
    let direction = match section.direction {
        Some(DirectionSection::Down) => Direction::Down,
        Some(DirectionSection::Up) | None => Direction::Up,
    };
    let read = |key: String, points: &[[f64; 2]]| {
        Levels::new(points, direction).map_err(|error| ConfigError::of(format!("`{key}`"), error))
    };
    let mut of_sensors = BTreeMap::new();
    for (sensor, points) in &section.sensors {
        of_sensors.insert(sensor.clone(), read(key(&format!("sensors.{sensor}")), points)?);
    }
    Ok(HazardModel::Observations {
        levels: read(key("levels"), levels)?,
        of_sensors,
        valid_for: valid_for.micros(),
    })
}

/// Those that are written, then a group of its own for each layer that is in none.
fn groups(risk: &RiskSection) -> Result<Vec<Group>, ConfigError> {
    let ids: Vec<&String> = risk.layers.keys().collect();
    let mut group_of: BTreeMap<usize, &str> = BTreeMap::new();
    let mut groups = Vec::new();
    for (name, members) in &risk.groups {
        let mut layers = Vec::new();
        for member in members {
            let Some(position) = ids.iter().position(|id| *id == member) else {
                return wrong(format!(
                    "`risk.groups.{name}` names `{member}`, which is not on the surface; add [risk.layers.{member}], or leave it out"
                ));
            };
            if let Some(other) = group_of.insert(position, name) {
                return wrong(format!(
                    "`risk.groups.{name}` names `{member}`, which `risk.groups.{other}` has too; a layer is in one group at most"
                ));
            }
            layers.push(position);
        }
        groups.push(Group {
            name: name.clone(),
            layers,
        });
    }
    for (position, id) in ids.into_iter().enumerate() {
        if !group_of.contains_key(&position) {
            groups.push(Group {
                name: id.clone(),
                layers: vec![position],
            });
        }
    }
    Ok(groups)
}

fn indicator(
    place: usize,
    section: &SusceptibilitySection,
    places: &Places,
    folder: &Path,
) -> Result<Indicator, ConfigError> {
    let key = |name: &str| format!("risk.susceptibility[{place}].{name}");
    for (name, bound) in [("lo", section.lo), ("hi", section.hi)] {
        number(&key(name), bound, true, "a number")?;
    }
    #[allow(
        clippy::float_cmp,
        reason = "a scale of no length: any other can be divided by"
    )]
    let is_point = section.lo == section.hi;
    if is_point {
        return wrong(format!(
            "`{}` is {}, it must differ from `lo`",
            key("hi"),
            section.hi
        ));
    }
    let settings = IndicatorSettings {
        file: section.file.clone(),
        area: section.area.clone(),
        value: section.value.clone(),
        delimiter: section.delimiter,
    };
    let values = load_indicator("risk.susceptibility", &settings, folder, &places.areas)?;
    Ok(Indicator {
        name: format!("risk.susceptibility {}", section.file.display()),
        values,
        scale: Scale {
            lo: section.lo,
            hi: section.hi,
        },
        weight: positive(&key("weight"), section.weight)?,
    })
}

fn coping(place: usize, section: &CopingSection) -> Result<Coping, ConfigError> {
    let key = |name: &str| format!("risk.coping[{place}].{name}");
    let with = match (&section.kind, &section.skill) {
        (Some(kind), None) => Help::Facility(kind.clone()),
        (None, Some(skill)) => Help::Skill(skill.clone()),
        _ => {
            return wrong(format!(
                "`risk.coping[{place}]` needs either `kind` (of facilities) or `skill` (of units)"
            ));
        }
    };
    Ok(Coping {
        with,
        half_way: positive(&key("distance"), section.distance)?,
        weight: positive(&key("weight"), section.weight)?,
    })
}

/// Of all keys, as they are with their defaults.
fn hash_of(risk: &RiskSection) -> Result<String, ConfigError> {
    let bytes = serde_json::to_vec(risk).map_err(|error| ConfigError::of("`risk`", error))?;
    Ok(format!("{:016x}", twox_hash::XxHash3_64::oneshot(&bytes)))
}
