//! What is judged of a layer at each full hour: bursts at two resolutions coarser, trends of twelve weeks up to the last
//! Monday, and how often its cells were high in four weeks. All of it follows from the grid and the hour alone.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use h3o::Resolution;
use hashbrown::{HashMap, HashSet};
use riskgrid_ingest::grid::{Calendar, CellSet, GridSnapshot, Metric, Span, Step, parent_of};
use riskgrid_ingest::{DAY, EventTime, HOUR, LayerIndex, MINUTE};

use super::class::{HIGH_LEVEL, HIGH_SHARE, TREND_Q};
use super::intensity::{HORIZON, mark};
use super::marks::LayerMarks;
use super::model::{HazardModel, LayerModel};
use super::scoring::felt_in;
use super::spread::{CellGraph, rings_around};
use crate::series::{BurstTimes, Groups, Reading, StepLength, steps_back};
use crate::statistics::bursts::{BurstOptions, bursts};
use crate::statistics::{Absent, Domain, FalseDiscovery, StatisticsError, TrendMethod, trends};

/// How many resolutions coarser bursts and trends are looked for; cells inherit what is found.
const COARSER: u8 = 2;
/// The days of a trend.
const TREND_DAYS: usize = 84;
/// Its season.
const SEASON: usize = 7;
/// Hours of four weeks.
const HIGH_HOURS: i64 = 28 * 24;
/// A burst has at least so many events.
const MIN_COUNT: u64 = 3;
/// Bursts as `bursts` judges them where nothing else is said.
const BASELINE: i64 = 56 * DAY;
const GAP: i64 = DAY;
const BURST: BurstOptions = BurstOptions {
    exclude_p: 1e-4,
    days: 1.0 / 24.0,
    looks: 1.0,
};

/// Of one layer, at one hour.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HourlySigns {
    /// By coarser cell with enough events: days between bursts like that, for the whole layer.
    pub(super) recurrence_days: HashMap<u64, f64>,
    /// By coarser cell that rises: q.
    pub(super) rising_q: HashMap<u64, f64>,
    /// By cell that was high most of the time: the share of the hours.
    pub(super) high_share: HashMap<u64, f64>,
}

impl HourlySigns {
    /// At the full hour `hour`, of what happened before it.
    pub(super) fn of(
        snapshot: &GridSnapshot,
        index: LayerIndex,
        layer: &LayerModel,
        severity_factor: f64,
        graph: &mut CellGraph,
        hour: EventTime,
    ) -> Self {
        let coarser = coarser(snapshot.resolution);
        Self {
            recurrence_days: recurrence_days(snapshot, index, coarser, hour).unwrap_or_default(),
            rising_q: rising_q(snapshot, index, coarser, monday(&snapshot.calendar, hour))
                .unwrap_or_default(),
            high_share: high_share(snapshot, index, layer, severity_factor, graph, hour),
        }
    }

    /// The cell of bursts and trends that a cell inherits from.
    pub(super) fn parent(resolution: Resolution, cell: u64) -> u64 {
        parent_of(cell, coarser(resolution))
    }
}

fn coarser(resolution: Resolution) -> Resolution {
    Resolution::try_from(u8::from(resolution).saturating_sub(COARSER)).unwrap_or(Resolution::Zero)
}

/// The last local midnight that begins a Monday, at a moment or before it.
fn monday(calendar: &Calendar, at: EventTime) -> EventTime {
    calendar.week(at).start
}

/// Calls `with` with what is read of a layer, all of it.
fn reading<T>(
    snapshot: &GridSnapshot,
    layer: LayerIndex,
    resolution: Resolution,
    with: impl FnOnce(&Reading<'_>) -> Result<T, StatisticsError>,
) -> Result<T, StatisticsError> {
    with(&Reading {
        snapshot,
        layer,
        metric: Metric::Count,
        resolution,
        cells: &CellSet::all(),
        domain: &Domain::Neighbours,
        absent: Absent::Zero,
        threads: NonZeroUsize::MIN,
        stop: &AtomicBool::new(false),
        reserve: &|_| Ok(()),
    })
}

/// No history is no burst.
fn recurrence_days(
    snapshot: &GridSnapshot,
    layer: LayerIndex,
    resolution: Resolution,
    hour: EventTime,
) -> Result<HashMap<u64, f64>, StatisticsError> {
    let times = BurstTimes {
        window: Span {
            start: hour.plus(-HOUR),
            end: hour,
        },
        baseline: BASELINE,
        gap: GAP,
    };
    reading(snapshot, layer, resolution, |reading| {
        // Without it no burst counts, and its past need not be read.
        if !reading.has_as_many(times.window, MIN_COUNT) {
            return Ok(HashMap::new());
        }
        let study = reading.bursts(&times, &Groups::Parent)?;
        let table = bursts(&study.past, &study.window, &BURST, reading.stop)?;
        let rows = study
            .cells
            .iter()
            .zip(&study.window.values)
            .zip(&table.recurrence_days_area);
        let enough = rows.filter(|((_, value), _)| **value >= MIN_COUNT);
        Ok(enough.map(|((cell, _), days)| (*cell, *days)).collect())
    })
}

fn rising_q(
    snapshot: &GridSnapshot,
    layer: LayerIndex,
    resolution: Resolution,
    monday: EventTime,
) -> Result<HashMap<u64, f64>, StatisticsError> {
    reading(snapshot, layer, resolution, |reading| {
        let day = StepLength::Days(1);
        let earliest = monday.plus(-2 * TREND_DAYS as i64 * DAY);
        let steps = steps_back(&snapshot.calendar, day, TREND_DAYS, monday, earliest);
        let series = reading.series(&steps, day)?;
        let seasonal = TrendMethod::Seasonal(SEASON);
        let bh = FalseDiscovery::BenjaminiHochberg;
        let table = trends(&series, seasonal, bh, reading.threads, reading.stop)?;
        let rows = table.cell.iter().zip(&table.trend).zip(&table.q);
        let rising = rows.filter(|((_, trend), q)| {
            **q < TREND_Q && trend.is_some_and(|trend| trend.z > 0.0 && trend.slope >= 0.0)
        });
        Ok(rising.map(|((cell, _), q)| (*cell, *q)).collect())
    })
}

/// Only cells that can have been high so long are looked at hour by hour: what came to all cells around them in that time,
/// and before it, has to be enough for it.
fn high_share(
    snapshot: &GridSnapshot,
    index: LayerIndex,
    layer: &LayerModel,
    severity_factor: f64,
    graph: &mut CellGraph,
    hour: EventTime,
) -> HashMap<u64, f64> {
    let HazardModel::Reports { scale, .. } = &layer.hazard else {
        return HashMap::new();
    };
    let first = hour.plus(-(HIGH_HOURS - 1) * HOUR);
    let span = snapshot.snap(index, first.plus(-HORIZON * layer.half_life.micros()), hour);
    let sums = snapshot.sum(index, span, snapshot.resolution);
    // Over all time marks come to m·τ/ln 2; being high takes half_level·h/(1 − h) at each of these hours.
    let high = scale.half_level * HIGH_LEVEL / (1.0 - HIGH_LEVEL);
    let hours = HIGH_SHARE * HIGH_HOURS as f64 - 1.0;
    let needed = high * hours * std::f64::consts::LN_2 / (layer.half_life.hours() + 1.0);
    let (counts, weights) = (sums.count(), sums.weight());
    let marks = counts.iter().zip(weights.iter());
    let marks: Vec<(u64, f64)> = sums
        .cells()
        .iter()
        .copied()
        .zip(marks.map(|(count, weight)| mark(*count, *weight, severity_factor)))
        .collect();
    let mut around: HashMap<u64, f64> = HashMap::new();
    for (cell, marks) in &marks {
        let Ok(cell) = h3o::CellIndex::try_from(*cell) else {
            continue;
        };
        for (near, _) in rings_around(cell, layer.kernel.rings()) {
            *around.entry(near).or_default() += marks;
        }
    }
    let candidates: HashSet<u64> = around
        .into_iter()
        .filter(|(_, marks)| *marks >= needed)
        .map(|(cell, _)| cell)
        .collect();
    if candidates.is_empty() {
        return HashMap::new();
    }
    let mut marks = LayerMarks::new(layer.half_life, severity_factor, first);
    let mut high_hours: HashMap<u64, u32> = HashMap::new();
    for number in 0..HIGH_HOURS {
        let at = first.plus(number * HOUR);
        marks.follow(snapshot, index, at);
        let active = marks.cells().map(|now| (now.cell, now.intensity));
        for (cell, intensity) in felt_in(graph, &layer.kernel, active) {
            if candidates.contains(&cell) && scale.level(intensity) >= HIGH_LEVEL {
                *high_hours.entry(cell).or_default() += 1;
            }
        }
    }
    let shares = high_hours
        .into_iter()
        .map(|(cell, hours)| (cell, f64::from(hours) / HIGH_HOURS as f64));
    shares.filter(|(_, share)| *share >= HIGH_SHARE).collect()
}

/// The last full hour of a layer at a moment: one that its clock is complete to, or that is over for a while where nothing
/// comes that would move the clock on.
pub(super) fn last_full_hour(snapshot: &GridSnapshot, layer: LayerIndex, at: EventTime) -> Option<EventTime> {
    const QUIET: i64 = 15 * MINUTE;
    let complete_to = snapshot.clock_of(layer)?.complete_to?.max(at.plus(-QUIET));
    let hour = snapshot.calendar.span(Step::Hour, at.min(complete_to));
    Some(hour.start)
}
