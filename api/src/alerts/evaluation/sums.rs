//! What thresholds on cells and areas look at: sums over windows, each made once for all rules that share it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use h3o::Resolution;
use riskgrid_analytics::rules::{
    Absent, InstanceKey, Instances, Judged, Limit, Per, Row, Rule, Threshold, Verdict, What,
};
use riskgrid_ingest::grid::{CellSet, GridSnapshot, Metric, WindowSum};
use riskgrid_ingest::places::{Places, cell_set_of};
use riskgrid_ingest::{EventTime, Layer, LayerIndex};

use super::times::micros;

/// What is summed once: a layer's window, of what somebody sees of it, by cells of a resolution or by areas of a level.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Scan {
    pub(super) layer: String,
    pub(super) window: Duration,
    pub(super) every: Option<Duration>,
    resolution: Option<u8>,
    level: Option<String>,
    /// The class of rights within which it is made.
    class: Option<String>,
}

impl Scan {
    /// That of a rule; `None` where it looks at none.
    pub(super) fn of(rule: &Rule) -> Option<Self> {
        let What::Threshold(threshold) = &rule.what else {
            return None;
        };
        Some(Self {
            layer: threshold.layer.clone(),
            window: threshold.window.filter(|_| threshold.per != Per::Sensor)?,
            every: threshold.every,
            resolution: threshold.resolution,
            level: threshold.level.clone(),
            class: rule.seen.class(),
        })
    }
}

/// The areas of a level by their ids, with the cells of the grid that are theirs.
type AreasOfLevel = Arc<[(Arc<str>, CellSet)]>;

/// The areas of levels, with the cells of the grid that are theirs; made when a rule first asks.
#[derive(Debug, Default)]
pub(super) struct Levels {
    known: HashMap<String, AreasOfLevel>,
}

impl Levels {
    pub(super) fn of(&mut self, level: &str, places: &Places, resolution: Resolution) -> AreasOfLevel {
        if let Some(known) = self.known.get(level) {
            return Arc::clone(known);
        }
        let areas = places.areas.areas().iter().filter(|area| &*area.level == level);
        let cells = areas.map(|area| (Arc::clone(&area.id), cell_set_of(&area.shape, resolution)));
        let areas: AreasOfLevel = cells.collect();
        self.known.insert(level.to_owned(), Arc::clone(&areas));
        areas
    }
}

/// The window of a scan that ends at a time, summed, and its metrics as they are asked for.
pub(super) struct Summed<'a> {
    snapshot: &'a GridSnapshot,
    layer: &'a Layer,
    sums: WindowSum,
    areas: Option<AreasOfLevel>,
    values: BTreeMap<&'static str, Vec<f64>>,
}

impl<'a> Summed<'a> {
    /// Sums the window of `scan` that ends at `at`.
    pub(super) fn new(
        snapshot: &'a GridSnapshot,
        (index, layer): (LayerIndex, &'a Layer),
        scan: &Scan,
        seen: &CellSet,
        levels: &mut Levels,
        at: EventTime,
    ) -> Self {
        let areas = scan.level.as_ref();
        let areas = areas.map(|level| levels.of(level, &snapshot.places, snapshot.resolution));
        let span = snapshot.snap(index, at.plus(-micros(scan.window)), at);
        let resolution = scan.resolution.filter(|_| areas.is_none());
        let resolution = resolution.and_then(|resolution| Resolution::try_from(resolution).ok());
        let sums = snapshot.sum_within(index, span, resolution.unwrap_or(snapshot.resolution), seen);
        Self {
            snapshot,
            layer,
            sums,
            areas,
            values: BTreeMap::new(),
        }
    }

    /// The rows of a rule that may matter to it: what is over, and what it remembers.
    pub(super) fn rows(&mut self, rule: &Rule, threshold: &Threshold, state: &Instances) -> Vec<Row> {
        self.rows_where(rule, threshold, |key, verdict| {
            verdict == Verdict::Over || state.remembers(&rule.id, key)
        })
    }

    /// All rows of a rule.
    pub(super) fn all_rows(mut self, rule: &Rule, threshold: &Threshold) -> Vec<Row> {
        self.rows_where(rule, threshold, |_, _| true)
    }

    fn rows_where(
        &mut self,
        rule: &Rule,
        threshold: &Threshold,
        matters: impl Fn(&InstanceKey, Verdict) -> bool,
    ) -> Vec<Row> {
        let limit = threshold.limit;
        if let Some(areas) = self.areas.clone() {
            return self.rows_of_areas(rule, threshold, &areas);
        }
        let (sums, scale) = (&self.sums, self.layer.scale());
        let metric = threshold.metric;
        let values = self
            .values
            .entry(metric.as_str())
            .or_insert_with(|| sums.metric(metric, scale));
        let cells = sums.cells().iter().copied().zip(values.iter().copied());
        let judged = cells
            .filter(|(_, value)| value.is_finite())
            .filter_map(|(cell, value)| {
                let verdict = limit.judge(value);
                let key = InstanceKey::Cell(cell);
                let is_row = matters(&key, verdict) && is_in(&self.snapshot.places, &rule.areas, cell);
                is_row.then_some(Row {
                    key,
                    cell: Some(cell),
                    judged: Some(Judged { verdict, value }),
                })
            });
        judged.collect()
    }

    fn rows_of_areas(&self, rule: &Rule, threshold: &Threshold, areas: &[(Arc<str>, CellSet)]) -> Vec<Row> {
        let slice = self.sums.clone().into_slice();
        let wanted = |id: &str| rule.areas.is_empty() || is_below(&self.snapshot.places, id, &rule.areas);
        let seen = |id: &str| rule.seen.admits_area(id);
        let rows = areas
            .iter()
            .filter(|(id, _)| wanted(id) && seen(id))
            .map(|(id, cells)| {
                // A handful of cells, of which the area is a part.
                let sums = WindowSum::of(self.layer.kind, [&slice], cells, Some(Resolution::Zero));
                let value = together(&sums, threshold.metric, self.layer);
                Row {
                    key: InstanceKey::Text((**id).into()),
                    cell: None,
                    judged: value
                        .or(threshold.absent())
                        .map(|value| judge(threshold.limit, value)),
                }
            });
        rows.collect()
    }
}

/// What a window says of instances that have no events in it.
pub(super) fn absent(threshold: &Threshold) -> Absent {
    let value = threshold.absent();
    value.map_or(Absent::NoValue, |value| Absent::Is(judge(threshold.limit, value)))
}

fn judge(limit: Limit, value: f64) -> Judged {
    Judged {
        verdict: limit.judge(value),
        value,
    }
}

/// The metric of all cells together; none where there is no event.
fn together(sums: &WindowSum, metric: Metric, layer: &Layer) -> Option<f64> {
    let scale = layer.scale();
    let count: u64 = sums.count().iter().sum();
    if count == 0 {
        return None;
    }
    let value = |units: i64| scale.value(units as f64);
    let sum = || scale.value(sums.sum().iter().sum::<i128>() as f64);
    match metric {
        Metric::Count => Some(count as f64),
        Metric::Weight => Some(sums.weight().iter().sum::<u64>() as f64),
        Metric::Sources => {
            let all = sums.sources().iter().fold(0, |all, sources| all | sources);
            Some(riskgrid_ingest::grid::CellAggregate::estimated_sources(all))
        }
        Metric::Sum => Some(sum()),
        Metric::Mean => Some(sum() / count as f64),
        Metric::Min => sums.min().iter().min().copied().map(value),
        Metric::Max => sums.max().iter().max().copied().map(value),
        Metric::Last => {
            let (last, times, hashes) = sums.last();
            let newest = last.iter().zip(times.iter().zip(hashes.iter()));
            let newest = newest.max_by_key(|(_, (time, hash))| (**time, hash.cast_unsigned()));
            newest.map(|(last, _)| value(*last))
        }
    }
}

/// Whether the centre of a cell lies in one of these areas; everywhere where there is none.
pub(super) fn is_in(places: &Places, areas: &[String], cell: u64) -> bool {
    if areas.is_empty() {
        return true;
    }
    let Ok(cell) = h3o::CellIndex::try_from(cell) else {
        return false;
    };
    let centre = h3o::LatLng::from(cell);
    let found = places.areas.areas_of([centre.lng(), centre.lat()]);
    found.iter().any(|area| areas.iter().any(|id| **id == *area.id))
}

/// Whether an area is one of these, or lies below one of them.
pub(super) fn is_below(places: &Places, id: &str, areas: &[String]) -> bool {
    let mut id = Some(id.to_owned());
    // No hierarchy is deeper.
    for _ in 0..16 {
        let Some(known) = id else { return false };
        if areas.contains(&known) {
            return true;
        }
        id = places
            .areas
            .get(&known)
            .and_then(|area| area.parent.as_deref().map(str::to_owned));
    }
    false
}
