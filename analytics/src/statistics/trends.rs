//! `trends`: which cells rise or fall over a window, with p, q and slope for each cell of a study area.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use riskgrid_ingest::on_threads;

use super::error::{StatisticsError, check_stop};
use super::fdr::{FalseDiscovery, q_values};
use super::mann_kendall::{Pairs, Trend, TrendMethod};

/// Steps that a series may have: its pairs are kept while it is judged, 64 MB of them.
pub const MAX_STEPS: usize = 4_000;

/// The series of the cells of a study area, a value a step where there is one.
#[derive(Clone, Debug, Default)]
pub struct CellSeries {
    /// Ascending.
    pub cells: Vec<u64>,
    /// Where the values of each cell end in `known`.
    pub ends: Vec<usize>,
    /// Step and value, ascending by cell and step.
    pub known: Vec<(u32, f64)>,
    /// Steps of each series.
    pub steps: usize,
    /// The steps in which no value is 0; in the others it is missing.
    pub zeros: Range<usize>,
}

impl CellSeries {
    /// Takes in what is known of the cells, by step, in the order of steps; what is of other cells is dropped.
    pub fn fill(&mut self, mut found: Vec<(u64, u32, f64)>) {
        found.sort_by_key(|(cell, ..)| *cell);
        let mut values = found.into_iter().peekable();
        for cell in &self.cells {
            while values.next_if(|(of, ..)| of < cell).is_some() {}
            while let Some((_, step, value)) = values.next_if(|(of, ..)| of == cell) {
                self.known.push((step, value));
            }
            self.ends.push(self.known.len());
        }
    }

    /// Writes the series of the cell at this position, NaN where a value is missing.
    pub fn write(&self, cell: usize, series: &mut Vec<f64>) {
        series.clear();
        series.resize(self.steps, f64::NAN);
        if let Some(zeros) = series.get_mut(self.zeros.clone()) {
            zeros.fill(0.0);
        }
        for (step, value) in self.known_of(cell) {
            if let Some(slot) = series.get_mut(*step as usize) {
                *slot = *value;
            }
        }
    }

    fn known_of(&self, cell: usize) -> &[(u32, f64)] {
        let end = self.ends.get(cell).copied().unwrap_or(0);
        let start = cell
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or(0);
        self.known.get(start..end).unwrap_or_default()
    }
}

/// The answer, one entry a cell in each column, cells ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrendTable {
    /// H3 index.
    pub cell: Vec<u64>,
    /// Values of its series.
    pub known: Vec<u32>,
    /// Steps without one.
    pub missing: Vec<u32>,
    /// `None` where it is undefined.
    pub trend: Vec<Option<Trend>>,
    /// False discovery rate over the cells with a trend, 1 where there is none.
    pub q: Vec<f64>,
}

/// Trends of series, on up to `threads` threads; no digit depends on them. Given up soon after `stop` is set.
///
/// # Errors
/// [`StatisticsError::Argument`] for series that are too long; [`StatisticsError::Stopped`] once `stop` is set.
pub fn trends(
    series: &CellSeries,
    method: TrendMethod,
    fdr: FalseDiscovery,
    threads: std::num::NonZeroUsize,
    stop: &AtomicBool,
) -> Result<TrendTable, StatisticsError> {
    check_steps(series.steps)?;
    let share = series.cells.len().div_ceil(threads.get()).max(1);
    let shares: Vec<Range<usize>> = (0..series.cells.len())
        .step_by(share)
        .map(|start| start..(start + share).min(series.cells.len()))
        .collect();
    let mut table = TrendTable {
        cell: series.cells.clone(),
        ..TrendTable::default()
    };
    for part in on_threads(shares, |share| trends_of(series, share, method, stop)) {
        for (known, trend) in part? {
            table.known.push(known);
            table.missing.push(series.steps as u32 - known);
            table.trend.push(trend);
        }
    }
    let p: Vec<f64> = table
        .trend
        .iter()
        .map(|trend| trend.map_or(f64::NAN, |trend| trend.p))
        .collect();
    table.q = q_values(&p, fdr);
    Ok(table)
}

/// # Errors
/// [`StatisticsError::Argument`] for more than [`MAX_STEPS`].
pub fn check_steps(steps: usize) -> Result<(), StatisticsError> {
    if steps > MAX_STEPS {
        return Err(StatisticsError::argument(
            "window",
            format!("{steps} steps long"),
            format!("at most {MAX_STEPS} of them: take a longer step or a shorter window"),
        ));
    }
    Ok(())
}

type OfCells = Vec<(u32, Option<Trend>)>;

fn trends_of(
    series: &CellSeries,
    cells: Range<usize>,
    method: TrendMethod,
    stop: &AtomicBool,
) -> Result<OfCells, StatisticsError> {
    let (mut values, mut pairs) = (Vec::new(), Pairs::default());
    let mut found = OfCells::with_capacity(cells.len());
    // Of most cells of an area nothing is known: their series is one and the same.
    let mut of_nothing = None;
    for cell in cells {
        let is_empty = series.known_of(cell).is_empty();
        if let (true, Some(known)) = (is_empty, of_nothing) {
            found.push(known);
            continue;
        }
        check_stop(stop)?;
        series.write(cell, &mut values);
        let known = values.iter().filter(|value| !value.is_nan()).count() as u32;
        let judged = (known, Trend::of(&values, method, &mut pairs));
        if is_empty {
            of_nothing = Some(judged);
        }
        found.push(judged);
    }
    Ok(found)
}
