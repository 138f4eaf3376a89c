//! What the layers of the model are in a snapshot: at which moment, what their sensors say, what is kept of them from one
//! surface to the next.

use std::sync::Arc;

use hashbrown::HashMap;
use riskgrid_ingest::grid::{GridSnapshot, Step};
use riskgrid_ingest::{EventTime, LIVE_DOMAIN, LayerIndex, LayerKind};

use super::super::conditions::Conditions;
use super::super::hourly_signs::{HourlySigns, last_full_hour};
use super::super::marks::LayerMarks;
use super::super::model::{HazardModel, RiskModel};
use super::super::outcomes::Reliabilities;
use super::super::past::{Past, PastNow, PastSlices};
use super::super::reach::{SensorNow, sensor_now};
use super::RiskEngine;

/// A layer of the model as a snapshot has it.
#[derive(Clone, Debug)]
pub(super) struct Present {
    pub(super) layer: usize,
    pub(super) index: LayerIndex,
    pub(super) at: EventTime,
    pub(super) clock: Arc<str>,
}

impl RiskEngine {
    pub(super) fn present(&self, snapshot: &GridSnapshot, now: EventTime) -> Vec<Present> {
        let live = snapshot.calendar.span(Step::Bucket, now).end;
        let layers = self
            .model
            .layers
            .iter()
            .enumerate()
            .filter_map(|(position, model)| {
                let index = snapshot.layers.find(&model.id)?;
                let layer = snapshot.layers.get(index)?;
                let kind = match model.hazard {
                    HazardModel::Reports { .. } => LayerKind::Report,
                    HazardModel::Observations { .. } => LayerKind::Observation,
                };
                let clock = snapshot.domain(&layer.domain);
                let at = if layer.domain == LIVE_DOMAIN {
                    live
                } else {
                    clock?.newest_bucket_end?
                };
                (layer.kind == kind).then(|| Present {
                    layer: position,
                    index,
                    at,
                    clock: clock
                        .map_or_else(|| layer.domain.as_str().into(), |clock| Arc::clone(&clock.domain)),
                })
            });
        layers.collect()
    }

    pub(super) fn sensors(&self, snapshot: &GridSnapshot, present: &[Present]) -> Sensors {
        let mut by_id: HashMap<&str, &Present> = HashMap::new();
        for layer in present {
            if let Some(model) = self.model.layers.get(layer.layer)
                && matches!(model.hazard, HazardModel::Observations { .. })
            {
                by_id.insert(&model.id, layer);
            }
        }
        let mut found = Sensors::new();
        if by_id.is_empty() {
            return found;
        }
        let mut all = snapshot.sensors();
        // Sums of what they say must not depend on the order in which a table has them.
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (key, sensor) in &all {
            let Some(layer) = by_id.get(&*key.scope) else {
                continue;
            };
            let (Some(model), Some(known)) = (
                self.model.layers.get(layer.layer),
                snapshot.layers.get(layer.index),
            ) else {
                continue;
            };
            let scale = known.scale();
            let now = sensor_now(model, key, sensor, layer.at, |units| scale.value(units as f64));
            if let Some(now) = now {
                found
                    .entry(layer.layer)
                    .or_default()
                    .push((Arc::from(&*key.name), now));
            }
        }
        found
    }

    pub(super) fn follow(&mut self, snapshot: &GridSnapshot, layer: &Present) {
        let Some(model) = self.model.layers.get(layer.layer) else {
            return;
        };
        let severity_factor = self.model.severity_factor;
        if let Some(slot) = self.marks.get_mut(layer.layer) {
            slot.get_or_insert_with(|| LayerMarks::new(model.half_life, severity_factor, layer.at))
                .follow(snapshot, layer.index, layer.at);
        }
    }

    /// Judges the last full hour of a report layer, if that was not done.
    pub(super) fn judge_hour(&mut self, snapshot: &GridSnapshot, layer: &Present, is_full_hour: bool) {
        let Some(model) = self.model.layers.get(layer.layer) else {
            return;
        };
        let is_of_reports = self.judges_hours && matches!(model.hazard, HazardModel::Reports { .. });
        let hour = if is_full_hour {
            Some(layer.at)
        } else {
            last_full_hour(snapshot, layer.index, layer.at)
        };
        let Some(hour) = hour.filter(|_| is_of_reports) else {
            return;
        };
        let graph = self
            .graph_of
            .get(layer.layer)
            .and_then(|graph| self.graphs.get_mut(*graph));
        if let (Some(slot), Some(graph)) = (self.signs.get_mut(layer.layer), graph)
            && slot.as_ref().is_none_or(|(judged, _)| *judged != hour)
        {
            let factor = self.model.severity_factor;
            let signs = HourlySigns::of(snapshot, layer.index, model, factor, graph, hour);
            *slot = Some((hour, signs));
        }
    }

    /// What was expected of a layer, learnt again where a new day began or its hours changed.
    pub(super) fn past(
        &mut self,
        snapshot: &GridSnapshot,
        layer: &Present,
        conditions: &Conditions,
    ) -> Option<PastNow> {
        let model = self.model.layers.get(layer.layer)?;
        let HazardModel::Reports { dispersion, .. } = &model.hazard else {
            return None;
        };
        let domain = self.domains.get(layer.layer)?.as_ref()?;
        let slot = self.pasts.get_mut(layer.layer)?;
        let left_out = conditions.left_out_of(&model.id);
        let Some(hours) = PastSlices::of(snapshot, layer.index, layer.at, left_out) else {
            *slot = None;
            return None;
        };
        if slot
            .as_ref()
            .is_none_or(|past| *past.learnt_from() != hours.fingerprint())
        {
            let graph = self.graphs.get_mut(*self.graph_of.get(layer.layer)?)?;
            *slot = Past::learn(
                &hours,
                &snapshot.calendar,
                domain,
                self.resolution,
                self.model.severity_factor,
                (graph, &model.kernel),
            )
            .map(Arc::new);
        }
        let past = slot.as_ref()?;
        Some(past.at(
            &snapshot.calendar,
            layer.at,
            model.half_life,
            *dispersion,
            self.model.forecast,
        ))
    }
}

/// The sensors of each layer, with their names.
pub(super) type Sensors = HashMap<usize, Vec<(Arc<str>, SensorNow)>>;

/// Notes how far each sensor is believed.
pub(super) fn believe(model: &RiskModel, sensors: &mut Sensors, reliabilities: &Reliabilities) {
    if reliabilities.of_devices.is_empty() {
        return;
    }
    for (layer, sensors) in sensors {
        let Some(group) = model.groups.iter().position(|group| group.layers.contains(layer)) else {
            continue;
        };
        for (name, sensor) in sensors {
            let device = (group, name.to_string());
            sensor.reliability = reliabilities.of_devices.get(&device).copied();
        }
    }
}
