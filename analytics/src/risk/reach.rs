//! What the sensors of an observation layer say, and which cells hear of it.

use std::sync::Arc;

use h3o::CellIndex;
use hashbrown::HashMap;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{EntityKey, Sensor};

use super::corroboration::Device;
use super::model::{HazardModel, LayerModel};
use super::sensors::{freshness, value_of};
use super::spread::{CellGraph, rings_around};

/// What a sensor says at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SensorNow {
    /// Where it is.
    pub cell: u64,
    /// Its index.
    pub hazard: f64,
    /// How much that still counts.
    pub freshness: f64,
    /// Whether it is past its time.
    pub is_stale: bool,
    /// How far it is believed, after what it reported itself; none where nothing of it was closed.
    pub reliability: Option<f64>,
}

/// What a sensor says at a moment; `None` once it is out of reach, and before its first reading. `value` turns units of the
/// layer into its unit.
pub fn sensor_now(
    model: &LayerModel,
    key: &EntityKey,
    sensor: &Sensor,
    at: EventTime,
    value: impl Fn(i64) -> f64,
) -> Option<SensorNow> {
    let HazardModel::Observations {
        levels,
        of_sensors,
        valid_for,
    } = &model.hazard
    else {
        return None;
    };
    let readings: Vec<(EventTime, i64)> = sensor.readings_before(at).take(3).collect();
    let (newest, _) = readings.first()?;
    let values: Vec<f64> = readings.iter().map(|(_, units)| value(*units)).collect();
    let levels = of_sensors.get(&*key.name).unwrap_or(levels);
    let hazard = levels.index(value_of(&values)?);
    let fresh = freshness(at.since(*newest), hazard, *valid_for, model.half_life)?;
    Some(SensorNow {
        cell: sensor.reading?.value.0.cell,
        hazard,
        freshness: fresh.factor,
        is_stale: fresh.is_stale,
        reliability: None,
    })
}

/// The loudest that is heard in a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heard {
    /// H.
    pub hazard: f64,
    /// Whether the sensor that says so is past its time.
    pub is_stale: bool,
}

/// What is heard in each cell of the domain, ascending by cell; and devices that count for a group are added to `devices`
/// for all cells in their reach; `reliability` is that of devices of which nothing else is known.
pub fn heard(
    model: &LayerModel,
    sensors: &[(Arc<str>, SensorNow)],
    graph: &CellGraph,
    reliability: f64,
    devices: &mut HashMap<u64, Vec<Device>>,
) -> Vec<(u64, Heard)> {
    let mut loudest: HashMap<u64, Heard> = HashMap::new();
    for (_, sensor) in sensors {
        let Ok(cell) = CellIndex::try_from(sensor.cell) else {
            continue;
        };
        for (near, ring) in rings_around(cell, model.kernel.rings()) {
            let weight = model.kernel.weight(ring);
            devices.entry(near).or_default().push(Device {
                reliability: sensor.reliability.unwrap_or(reliability),
                hazard: sensor.hazard,
                freshness: sensor.freshness,
                weight,
            });
            if !graph.holds(near) {
                continue;
            }
            let said = Heard {
                hazard: sensor.hazard * sensor.freshness * weight,
                is_stale: sensor.is_stale,
            };
            loudest
                .entry(near)
                .and_modify(|known| {
                    // Of two that say the same the one that still holds is believed.
                    let is_louder = said.hazard > known.hazard
                        || (said.hazard >= known.hazard && known.is_stale && !said.is_stale);
                    if is_louder {
                        *known = said;
                    }
                })
                .or_insert(said);
        }
    }
    let mut heard: Vec<_> = loudest.into_iter().collect();
    heard.sort_unstable_by_key(|(cell, _)| *cell);
    heard
}
