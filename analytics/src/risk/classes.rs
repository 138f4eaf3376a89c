//! The class of each row, and those that cells keep for a while though they no longer meet them.

use hashbrown::HashMap;
use riskgrid_ingest::{EventTime, HOUR};

use super::class::{Class, Signs, class_of};
use super::model::{HazardModel, RiskModel};
use super::surface::LayerSurface;

/// How long a cell keeps a class that it no longer meets.
const HELD: i64 = 3 * HOUR;

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
    /// Gives each row its class.
    pub(super) fn classify(&mut self, model: &RiskModel, layers: &mut [LayerSurface]) {
        let mut moments: HashMap<usize, EventTime> = HashMap::new();
        for layer in layers {
            moments.insert(layer.layer, layer.at);
            let scale = model
                .layers
                .get(layer.layer)
                .and_then(|layer| match &layer.hazard {
                    HazardModel::Reports { scale, .. } => Some(scale),
                    HazardModel::Observations { .. } => None,
                });
            for row in &mut layer.rows {
                let met = class_of(&Signs {
                    risk: row.risk.risk,
                    level: scale.map_or(row.hazard, |scale| scale.level(row.intensity)),
                    ..Signs::default()
                });
                let key = (layer.layer, row.cell);
                row.class = match self.held.get(&key) {
                    Some(held) if held.class < met && layer.at.since(held.met) < HELD => held.class,
                    _ => met,
                };
                if row.class == met && met != Class::Normal {
                    let met = HeldClass {
                        class: met,
                        met: layer.at,
                    };
                    self.held.insert(key, met);
                }
            }
        }
        self.held
            .retain(|(layer, _), held| moments.get(layer).is_some_and(|at| at.since(held.met) < HELD));
    }
}
