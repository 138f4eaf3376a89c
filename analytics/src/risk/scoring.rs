//! From what is felt in a cell, and what is known of it, to its row.

use super::class::Class;
use super::combination::{Risk, SharesOfStakes};
use super::corroboration::Corroboration;
use super::hazard_index::HazardScale;
use super::marks::CellNow;
use super::past::PastNow;
use super::reach::Heard;
use super::spread::{CellGraph, Kernel, Place, spread};
use super::surface::Row;

/// Less is felt nowhere.
const FAINTEST: f64 = 1e-9;

/// The bitmaps of the sources of cells that ascend.
struct Sources<'a> {
    own: &'a [CellNow],
}

impl Sources<'_> {
    /// Of a cell that is not before the one that was asked for last.
    fn of(&mut self, cell: u64) -> u64 {
        while let Some((first, rest)) = self.own.split_first() {
            if first.cell >= cell {
                return if first.cell == cell { first.sources } else { 0 };
            }
            self.own = rest;
        }
        0
    }
}

/// Where something is felt, ascending by cell: A'. `active` are the cells where something happened, ascending, each with A.
pub fn felt_in(
    graph: &mut CellGraph,
    kernel: &Kernel,
    active: impl IntoIterator<Item = (u64, f64)>,
) -> Vec<(u64, f64)> {
    let mut walk = graph.walk();
    let active: Vec<(Place, f64)> = active
        .into_iter()
        .filter(|(_, intensity)| *intensity > 0.0)
        .filter_map(|(cell, intensity)| Some((graph.next_place(&mut walk, cell)?, intensity)))
        .collect();
    let by_place = spread(graph, kernel, &active);
    graph.sort();
    let felt = graph.ascending().iter().filter_map(|place| {
        let intensity = *by_place.get(*place as usize)?;
        (intensity >= FAINTEST).then(|| (graph.cell(*place), intensity))
    });
    felt.collect()
}

/// The rows of a report layer, of what is felt; `own` are the cells where something happened. Both ascend. `around` gives how
/// sure one is in a cell, and what is at stake there.
pub fn score_reports(
    scale: &HazardScale,
    felt: &[(u64, f64)],
    past: Option<&PastNow>,
    own: &[CellNow],
    mut around: impl FnMut(u64) -> (Corroboration, SharesOfStakes),
) -> Vec<Row> {
    let mut sources = Sources { own };
    let row = |(cell, intensity): &(u64, f64)| {
        let expected = past.and_then(|past| past.expected(*cell));
        let index = scale.index(*intensity, expected);
        let (corroboration, shares) = around(*cell);
        Row {
            cell: *cell,
            hazard: index.hazard,
            intensity: *intensity,
            corroboration: corroboration.belief,
            sources: sources.of(*cell),
            risk: Risk::of(index.hazard, corroboration.belief, &shares),
            channels: corroboration.channels,
            is_stale: false,
            class: Class::Normal,
        }
    };
    felt.iter().map(row).collect()
}

/// The rows of an observation layer, of what is heard of its sensors; `own` are the cells that have some. Both ascend.
pub fn score_observations(
    heard: &[(u64, Heard)],
    own: &[CellNow],
    mut around: impl FnMut(u64) -> (Corroboration, SharesOfStakes),
) -> Vec<Row> {
    let mut sources = Sources { own };
    let row = |(cell, heard): &(u64, Heard)| {
        let (corroboration, shares) = around(*cell);
        Row {
            cell: *cell,
            hazard: heard.hazard,
            intensity: f64::NAN,
            corroboration: corroboration.belief,
            sources: sources.of(*cell),
            risk: Risk::of(heard.hazard, corroboration.belief, &shares),
            channels: corroboration.channels,
            is_stale: heard.is_stale,
            class: Class::Normal,
        }
    };
    heard.iter().map(row).collect()
}
