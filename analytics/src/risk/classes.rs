//! The class of each row, and those that cells keep for a while though they no longer meet them.

use h3o::Resolution;
use hashbrown::HashMap;
use riskgrid_ingest::grid::CellSet;
use riskgrid_ingest::{EventTime, HOUR, LIVE_DOMAIN};

use super::class::{Class, Signs, WATCH_RISK, class_of};
use super::hourly_signs::HourlySigns;
use super::model::{HazardModel, RiskModel};
use super::surface::LayerSurface;

/// How long a cell keeps a class that it no longer meets.
const HELD: i64 = 3 * HOUR;

/// The cells in an emergency, at the moment of live layers and of others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modes<'a> {
    pub(super) of_live: &'a CellSet,
    pub(super) of_others: &'a CellSet,
}

/// A class that a cell met last.
#[derive(Clone, Copy, Debug)]
struct HeldClass {
    class: Class,
    met: EventTime,
}

/// By position of the layer, and cell; those of no class are not in it.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldClasses {
    held: HashMap<(usize, u64), HeldClass>,
}

impl HeldClasses {
    /// Gives each row its class; `signs` are those of each layer of the model.
    pub(super) fn classify(
        &mut self,
        model: &RiskModel,
        resolution: Resolution,
        signs: &[Option<(EventTime, HourlySigns)>],
        modes: Modes<'_>,
        layers: &mut [LayerSurface],
    ) {
        let mut moments: HashMap<usize, EventTime> = HashMap::new();
        for layer in layers {
            moments.insert(layer.layer, layer.at);
            let emergency = if *layer.clock == *LIVE_DOMAIN {
                modes.of_live
            } else {
                modes.of_others
            };
            let hazard = model.layers.get(layer.layer).map(|layer| &layer.hazard);
            let of_layer = signs.get(layer.layer).and_then(Option::as_ref);
            for row in &mut layer.rows {
                let met = class_of(&match (hazard, of_layer) {
                    // Of a sensor layer only the risk is looked at.
                    (Some(HazardModel::Reports { scale, .. }), of_layer) => {
                        let signs = of_layer.map(|(_, signs)| signs);
                        let parent = HourlySigns::parent(resolution, row.cell);
                        Signs {
                            risk: row.risk.risk,
                            level: scale.level(row.intensity),
                            recurrence_days: signs
                                .and_then(|signs| signs.recurrence_days.get(&parent).copied()),
                            rising_q: signs.and_then(|signs| signs.rising_q.get(&parent).copied()),
                            high_share: signs.and_then(|signs| signs.high_share.get(&row.cell).copied()),
                            is_emergency: emergency.holds(row.cell),
                        }
                    }
                    _ => Signs {
                        risk: row.risk.risk,
                        ..Signs::default()
                    },
                });
                let key = (layer.layer, row.cell);
                // What an hour showed is kept from that hour on, so that a restart comes to the same.
                let is_by_risk = met == Class::Watch && row.risk.risk >= WATCH_RISK;
                let since = of_layer.map(|(hour, _)| *hour).filter(|_| !is_by_risk);
                let held = (!self.held.is_empty()).then(|| self.held.get(&key)).flatten();
                row.class = match held {
                    Some(held) if held.class < met && layer.at.since(held.met) < HELD => held.class,
                    _ => met,
                };
                if row.class == met && met != Class::Normal {
                    let met = HeldClass {
                        class: met,
                        met: since.unwrap_or(layer.at),
                    };
                    self.held.insert(key, met);
                }
            }
        }
        self.held
            .retain(|(layer, _), held| moments.get(layer).is_some_and(|at| at.since(held.met) < HELD));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::risk::combination::Risk;
    use crate::risk::surface::Row;
    use crate::risk::tests::made::model;

    #[test]
    fn an_hour_of_the_past_is_classed_by_the_mode_that_it_had() {
        let (cell, at) = (0x0894_11ca_1b67_ffff_u64, EventTime::from_micros(0));
        let row = Row {
            cell,
            hazard: 0.5,
            intensity: 1.0,
            corroboration: 0.0,
            sources: 0,
            risk: Risk {
                risk: 0.5,
                low: 0.5,
                high: 0.5,
                if_true: 0.5,
            },
            channels: 0,
            is_stale: false,
            class: Class::Normal,
        };
        // A burst as it comes once in fifty days: rare in an emergency only.
        let mut signs = HourlySigns::default();
        let parent = HourlySigns::parent(Resolution::Nine, cell);
        signs.recurrence_days.insert(parent, 50.0);
        let class = |clock: &str, of_live: &CellSet, of_others: &CellSet| {
            let mut layers = [LayerSurface {
                layer: 1,
                at,
                clock: Arc::from(clock),
                rows: vec![row],
                past: None,
            }];
            let modes = Modes { of_live, of_others };
            let signs = [None, Some((at, signs.clone())), None];
            HeldClasses::default().classify(&model(HOUR), Resolution::Nine, &signs, modes, &mut layers);
            layers[0].rows[0].class
        };
        let (peace, emergency) = (CellSet::none(), CellSet::all());
        assert_eq!(class(LIVE_DOMAIN, &peace, &emergency), Class::Normal);
        assert_eq!(class(LIVE_DOMAIN, &emergency, &peace), Class::BlackSwan);
        assert_eq!(class("past", &emergency, &peace), Class::Normal);
        assert_eq!(class("past", &peace, &emergency), Class::BlackSwan);
    }
}
