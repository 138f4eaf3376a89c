//! What the public is told of risk: how high it is where an atom is shown, in five bands.

use std::collections::BTreeMap;

use h3o::Resolution;
use riskgrid_ingest::grid::parent_of;

use super::relation::{PublishedStep, RiskBands};
use crate::risk::Surface;

/// Where the next higher band begins.
const BANDS: [f64; 4] = [0.2, 0.4, 0.6, 0.8];

/// The bands of the cells that a step shows, of the newest risk of its layer; none where the layer is not on the surface. A
/// cell without a row there has none, and is in the lowest band.
pub fn bands(surface: &Surface, layer: &str, step: &PublishedStep) -> Option<RiskBands> {
    let mut layers = surface.layers.iter();
    let of_layer = layers.find(|of| surface.model_of(of).is_some_and(|model| model.id == layer))?;
    let resolution = Resolution::try_from(step.resolution).ok()?;
    let mut highest: BTreeMap<u64, f64> = BTreeMap::new();
    for row in &of_layer.rows {
        let risk = highest.entry(parent_of(row.cell, resolution)).or_default();
        *risk = risk.max(row.risk.risk);
    }
    let band = |cell: u64| {
        let risk = highest.get(&cell).copied().unwrap_or_default();
        BANDS.iter().filter(|from| risk >= **from).count() as u8
    };
    Some(RiskBands {
        at: of_layer.at.micros(),
        cells: step.cells.iter().map(|(cell, _)| (*cell, band(*cell))).collect(),
    })
}
