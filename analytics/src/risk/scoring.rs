//! From what is felt in a cell, and what is known of it, to its row.

use super::class::Class;
use super::combination::Risk;
use super::corroboration::Corroboration;
use super::hazard_index::HazardScale;
use super::past::PastNow;
use super::reach::Heard;
use super::spread::{CellGraph, Kernel, Place, spread};
use super::surface::{Row, RowFacts};

/// Less is felt nowhere.
const FAINTEST: f64 = 1e-9;

/// What a row needs to know of a cell beside its hazard.
pub trait Surroundings {
    /// How sure one is.
    fn corroboration(&mut self, cell: u64) -> Corroboration;
    /// Who and what is there.
    fn facts(&mut self, cell: u64) -> RowFacts;
}

/// Where something is felt, ascending by cell: A'. `active` are the cells where something happened, ascending, each with A.
pub fn felt_in(
    graph: &mut CellGraph,
    kernel: &Kernel,
    active: impl IntoIterator<Item = (u64, f64)>,
) -> Vec<(u64, f64)> {
    let active: Vec<(Place, f64)> = active
        .into_iter()
        .filter(|(_, intensity)| *intensity > 0.0)
        .filter_map(|(cell, intensity)| Some((graph.place(cell)?, intensity)))
        .collect();
    let by_place = spread(graph, kernel, &active);
    let mut felt: Vec<(u64, f64)> = (0..)
        .zip(by_place)
        .filter(|(_, intensity)| *intensity >= FAINTEST)
        .map(|(place, intensity)| (graph.cell(place), intensity))
        .collect();
    felt.sort_unstable_by_key(|(cell, _)| *cell);
    felt
}

/// The rows of a report layer, of what is felt; `sources` gives the bitmap of a cell's own.
pub fn score_reports(
    scale: &HazardScale,
    felt: &[(u64, f64)],
    past: Option<&PastNow>,
    sources: impl Fn(u64) -> u64,
    surroundings: &mut impl Surroundings,
) -> Vec<Row> {
    let row = |(cell, intensity): &(u64, f64)| {
        let expected = past.and_then(|past| past.expected(*cell));
        let index = scale.index(*intensity, expected);
        let corroboration = surroundings.corroboration(*cell);
        let facts = surroundings.facts(*cell);
        Row {
            cell: *cell,
            hazard: index.hazard,
            intensity: *intensity,
            corroboration: corroboration.belief,
            sources: sources(*cell),
            risk: Risk::of(index.hazard, corroboration.belief, &facts.reference),
            channels: corroboration.channels,
            is_stale: false,
            class: Class::Normal,
        }
    };
    felt.iter().map(row).collect()
}

/// The rows of an observation layer, of what is heard of its sensors.
pub fn score_observations(
    heard: &[(u64, Heard)],
    sources: impl Fn(u64) -> u64,
    surroundings: &mut impl Surroundings,
) -> Vec<Row> {
    let row = |(cell, heard): &(u64, Heard)| {
        let corroboration = surroundings.corroboration(*cell);
        let facts = surroundings.facts(*cell);
        Row {
            cell: *cell,
            hazard: heard.hazard,
            intensity: f64::NAN,
            corroboration: corroboration.belief,
            sources: sources(*cell),
            risk: Risk::of(heard.hazard, corroboration.belief, &facts.reference),
            channels: corroboration.channels,
            is_stale: heard.is_stale,
            class: Class::Normal,
        }
    };
    heard.iter().map(row).collect()
}
