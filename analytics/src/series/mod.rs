//! What the grid held, step after step: what statistics over time are computed from.

mod days;
mod past;
mod steps;
mod units;

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use h3o::Resolution;
use riskgrid_ingest::grid::{CellSet, GridSnapshot, Metric, Span, Step};
use riskgrid_ingest::{DAY, EventTime, LayerIndex};

pub use days::DayStudy;
pub use past::{BurstStudy, BurstTimes, Groups};
pub use steps::{StepLength, steps_back};
pub use units::{scale_of, whole_units};

use crate::statistics::{Absent, CellSeries, Domain, StatisticsError, StudyArea, check_steps, check_stop};

/// How far the study area reaches round an event.
const K: u32 = 1;
/// Bytes of a value while it is read: its cell, its step, itself, twice.
const BYTES_OF_A_VALUE: usize = 64;

/// What is read of a grid.
pub struct Reading<'a> {
    /// The grid.
    pub snapshot: &'a GridSnapshot,
    /// Of which layer.
    pub layer: LayerIndex,
    /// What of it.
    pub metric: Metric,
    /// By cells of this resolution, at most the grid's.
    pub resolution: Resolution,
    /// Cells of the grid that are seen.
    pub cells: &'a CellSet,
    /// The study area.
    pub domain: &'a Domain,
    /// What its cells hold where nothing was observed.
    pub absent: Absent,
    /// Threads to use; no digit depends on it.
    pub threads: NonZeroUsize,
    /// Asked between steps.
    pub stop: &'a AtomicBool,
    /// Called with the bytes that are about to be used.
    pub reserve: &'a dyn Fn(usize) -> Result<(), StatisticsError>,
}

impl Reading<'_> {
    /// The cells with an event in a span, ascending, and the metric of each in whole units.
    fn sum(&self, span: Span) -> (Vec<u64>, Vec<i128>) {
        let metric = self.metric;
        let parts = self.snapshot.sum_in_parts(
            self.layer,
            span,
            (self.resolution, self.cells),
            self.threads,
            |sums| (sums.cells().to_vec(), whole_units(metric, sums)),
        );
        let joined = parts
            .into_iter()
            .reduce(|(mut cells, mut values), (after, of_them)| {
                cells.extend(after);
                values.extend(of_them);
                (cells, values)
            });
        joined.unwrap_or_default()
    }

    /// Whether any cell of this resolution has so many in a span, in whole units.
    pub fn has_as_many(&self, span: Span, least: u64) -> bool {
        let (_, values) = self.sum(span);
        values.iter().any(|value| *value >= i128::from(least))
    }

    /// The start of the bucket that holds the first event of the layer that is seen.
    fn first_bucket(&self) -> Option<EventTime> {
        let first = self.snapshot.totals_within(self.layer, self.cells)?.first_time;
        Some(self.snapshot.snap(self.layer, first, first).start)
    }

    /// The study area of the cells in which something was observed.
    fn area(&self, observed: impl Iterator<Item = u64>) -> Result<Vec<u64>, StatisticsError> {
        let mut cells: Vec<u64> = observed.collect();
        cells.sort_unstable();
        cells.dedup();
        let values = vec![0; cells.len()];
        let area = StudyArea::new(&cells, &values, self.domain, self.absent, K, self.threads)?;
        Ok(area.cells().iter().copied().map(u64::from).collect())
    }

    /// Whether the grid tells of a span and of nothing else.
    fn is_kept(&self, span: Span) -> bool {
        self.snapshot.snap(self.layer, span.start, span.end) == span
    }

    /// The series of each cell of the study area: the metric of each step in whole units, a day of 23 or 25 hours as if it
    /// had 24.
    ///
    /// # Errors
    /// [`StatisticsError`] for steps that the grid does not keep, and for what would cost too much.
    pub fn series(&self, steps: &[Span], length: StepLength) -> Result<CellSeries, StatisticsError> {
        check_steps(steps.len())?;
        let mut series = CellSeries {
            steps: steps.len(),
            ..CellSeries::default()
        };
        let Some(first) = self.first_bucket() else {
            series.cells = self.area(std::iter::empty())?;
            series.ends = vec![0; series.cells.len()];
            return Ok(series);
        };
        let kept_from = self.snapshot.days_kept_from(self.layer);
        let complete_to = self
            .snapshot
            .clock_of(self.layer)
            .and_then(|clock| clock.complete_to);
        let mut found: Vec<(u64, u32, f64)> = Vec::new();
        for (number, step) in (0..).zip(steps) {
            if step.end <= first || step.start < kept_from {
                continue;
            }
            check_stop(self.stop)?;
            if !self.is_kept(*step) {
                return Err(self.not_kept("step", *step));
            }
            let before = found.len();
            for (cell, value) in self.step(*step, length) {
                found.push((cell, number, value));
            }
            (self.reserve)((found.len() - before) * BYTES_OF_A_VALUE)?;
        }
        if self.absent == Absent::Zero {
            let is_zero = |step: &Span| {
                step.start >= first.max(kept_from) && complete_to.is_some_and(|to| step.end <= to)
            };
            let start = steps.iter().position(is_zero).unwrap_or(steps.len());
            let end = steps.iter().rposition(is_zero).map_or(start, |last| last + 1);
            series.zeros = start..end;
        }
        series.cells = self.area(found.iter().map(|(cell, ..)| *cell))?;
        series.fill(found);
        Ok(series)
    }

    fn step(&self, step: Span, length: StepLength) -> Vec<(u64, f64)> {
        // Multiplied first: 23 in 23 hours are 24 a day to the last bit.
        let of_span = |span: Span, usual: i64, actual: i64| {
            let (cells, values) = self.sum(span);
            let values = values
                .into_iter()
                .map(move |value| value as f64 * usual as f64 / actual as f64);
            cells.into_iter().zip(values)
        };
        let StepLength::Days(days) = length else {
            return of_span(step, 1, 1).collect();
        };
        let usual = i64::from(days) * DAY;
        let actual = step.end.since(step.start);
        if self.absent == Absent::Missing || actual == usual {
            return of_span(step, 1, 1).collect();
        }
        if days == 1 || self.metric == Metric::Sources {
            return of_span(step, usual, actual).collect();
        }
        let mut by_cell = std::collections::BTreeMap::new();
        let mut day = self.snapshot.calendar.span(Step::Day, step.start);
        while day.start < step.end {
            for (cell, value) in of_span(day, DAY, day.end.since(day.start)) {
                *by_cell.entry(cell).or_insert(0.0) += value;
            }
            day = self.snapshot.calendar.span(Step::Day, day.end);
        }
        by_cell.into_iter().collect()
    }

    fn not_kept(&self, argument: &'static str, span: Span) -> StatisticsError {
        let kept = self.snapshot.snap(self.layer, span.start, span.end);
        StatisticsError::argument(
            argument,
            format!("such that {}/{} is asked for", span.start, span.end),
            format!(
                "what the grid keeps so long: there it keeps {}/{}",
                kept.start, kept.end
            ),
        )
    }
}
