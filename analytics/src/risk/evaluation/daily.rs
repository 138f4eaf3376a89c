//! How well a day was forecast: of what the grid keeps, once the day is over.

use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{GridSnapshot, KindColumns, SliceStart, Span, StartsWithin};

use super::replay::{Method, Occurrence, Replay};
use super::tally::Summary;
use crate::risk::RiskEngine;
use crate::risk::intensity::{mark, middle};
use crate::risk::model::HazardModel;

/// Days before it that a forecast looks back on, at most.
const LOOKED_BACK: i64 = 400 * riskgrid_ingest::DAY;

/// What one method came to on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct DayScore {
    /// The start of the local day.
    pub day: EventTime,
    /// The layer.
    pub layer: String,
    /// Who forecast.
    pub method: Method,
    /// How far each forecast looked, in microseconds.
    pub horizon: i64,
    /// Cells to choose from.
    pub cells: usize,
    /// The scores.
    pub summary: Summary,
}

/// The scores of a day of a layer, by method; none where it has no events, and of layers that are not of reports. `engine` is one
/// that makes no other surface.
pub fn scores_of_day(
    engine: &mut RiskEngine,
    snapshot: &GridSnapshot,
    layer: &str,
    day: Span,
) -> Vec<DayScore> {
    let model = std::sync::Arc::clone(engine.model());
    let (Some(known), Some(index)) = (model.layer(layer), snapshot.layers.find(layer)) else {
        return Vec::new();
    };
    if !matches!(known.hazard, HazardModel::Reports { .. }) {
        return Vec::new();
    }
    let within = StartsWithin {
        first: SliceStart::at(day.end.plus(-LOOKED_BACK)),
        last: SliceStart::at(day.end.plus(-1)),
    };
    let slices = snapshot.slices(index, within);
    let rows = || {
        slices.iter().flat_map(|span| {
            let time = middle(span.span);
            span.parts.iter().flat_map(move |part| {
                let weights = match &part.slice.columns {
                    KindColumns::Report { weight, .. } => weight,
                    KindColumns::Observation(_) => &part.slice.count,
                };
                let rows = part
                    .slice
                    .cells
                    .iter()
                    .zip(part.slice.count.iter())
                    .zip(weights.iter());
                rows.map(move |((cell, count), weight)| (time, *cell, *count, *weight))
            })
        })
    };
    let domain = engine.domain_of(layer).unwrap_or_else(|| {
        let mut cells: Vec<u64> = rows().map(|(_, cell, ..)| cell).collect();
        cells.sort_unstable();
        cells.dedup();
        cells.into()
    });
    let mut occurrences: Vec<Occurrence> = rows()
        .filter_map(|(time, cell, count, weight)| {
            Some(Occurrence {
                time,
                position: domain.binary_search(&cell).ok()?,
                events: u32::try_from(count).unwrap_or(u32::MAX),
                marks: mark(count, weight, model.severity_factor),
            })
        })
        .collect();
    occurrences.sort_by_key(|occurrence| (occurrence.time, occurrence.position));
    if occurrences.is_empty() {
        return Vec::new();
    }
    let replay = Replay {
        resolution: snapshot.resolution,
        half_life: known.half_life,
        kernel: known.kernel.clone(),
        horizon: model
            .forecast
            .clamp(snapshot.calendar.bucket(), day.end.since(day.start)),
        calendar: snapshot.calendar,
        occurrences,
        domain,
    };
    let domain = std::sync::Arc::clone(&replay.domain);
    let mut risk = |origin| engine.risks_at(snapshot, layer, origin, &domain);
    let tallies = replay.run(day, Some(&mut risk), |_| true);
    tallies
        .iter()
        .map(|(method, tally)| DayScore {
            day: day.start,
            layer: layer.to_owned(),
            method: *method,
            horizon: replay.horizon,
            cells: domain.len(),
            summary: tally.summary(0),
        })
        .collect()
}
