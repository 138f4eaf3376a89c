//! The rows of one hazard group: of the layers that share a clock.

use std::sync::Arc;

use hashbrown::HashMap;
use riskgrid_ingest::grid::GridSnapshot;

use super::super::around::Around;
use super::super::channels::Channels;
use super::super::conditions::Conditions;
use super::super::corroboration::{CLASSES, Device, SENSORS};
use super::super::marks::CellNow;
use super::super::model::HazardModel;
use super::super::reach::heard;
use super::super::scoring::{felt_in, score_observations, score_reports};
use super::super::surface::LayerSurface;
use super::RiskEngine;
use super::present::{Present, Sensors};

impl RiskEngine {
    #[expect(
        clippy::too_many_arguments,
        reason = "what a group shares, each by its own name"
    )]
    pub(super) fn score_group(
        &mut self,
        snapshot: &GridSnapshot,
        members: &[&Present],
        reliabilities: &[f64; CLASSES],
        sensors: &Sensors,
        units: &[Vec<[f64; 2]>],
        conditions: &Conditions,
        layers: &mut Vec<LayerSurface>,
    ) {
        let model = Arc::clone(&self.model);
        let mut channels = Channels::default();
        let mut devices: HashMap<u64, Vec<Device>> = HashMap::new();
        let mut heard_of = HashMap::new();
        for member in members {
            let Some(layer) = model.layers.get(member.layer) else {
                continue;
            };
            if let Some(Some(marks)) = self.marks.get(member.layer) {
                let mut walk = self.near.walk();
                marks.for_each_channel(|cell, bit, fresh| {
                    if let Some(place) = self.near.next_place(&mut walk, cell) {
                        channels.add(place, bit, fresh);
                    }
                });
            }
            if let (Some(sensors), Some(graph)) = (
                sensors.get(&member.layer),
                self.graph_of
                    .get(member.layer)
                    .and_then(|graph| self.graphs.get(*graph)),
            ) {
                let of_sensors = reliabilities.get(SENSORS).copied().unwrap_or_default();
                heard_of.insert(
                    member.layer,
                    heard(layer, sensors, graph, of_sensors, &mut devices),
                );
            }
        }
        for member in members {
            let Some(layer) = model.layers.get(member.layer) else {
                continue;
            };
            let past = self.past(snapshot, member, conditions);
            let marks = self.marks.get(member.layer).and_then(Option::as_ref);
            let own: Vec<CellNow> = marks.map(|marks| marks.cells().collect()).unwrap_or_default();
            let felt = match (&layer.hazard, self.graph_of.get(member.layer)) {
                (HazardModel::Reports { .. }, Some(graph)) => self.graphs.get_mut(*graph).map(|graph| {
                    let active = own.iter().map(|now| (now.cell, now.intensity));
                    felt_in(graph, &layer.kernel, active)
                }),
                _ => None,
            };
            let mut around = Around {
                model: &model,
                places: &self.places,
                reference: &self.reference,
                near: &mut self.near,
                static_facts: &mut self.static_facts,
                channels: &channels,
                devices: &devices,
                reliabilities,
                units,
                round: self.round,
            };
            let mut walk = around.walk();
            let around = |cell| around.of(&mut walk, cell);
            let rows = match &layer.hazard {
                HazardModel::Reports { scale, .. } => {
                    score_reports(scale, &felt.unwrap_or_default(), past.as_ref(), &own, around)
                }
                HazardModel::Observations { .. } => {
                    let heard = heard_of.remove(&member.layer).unwrap_or_default();
                    score_observations(&heard, &own, around)
                }
            };
            layers.push(LayerSurface {
                layer: member.layer,
                at: member.at,
                clock: Arc::clone(&member.clock),
                rows,
                past,
            });
        }
    }
}
