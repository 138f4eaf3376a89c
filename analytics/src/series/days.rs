//! The same window of the days before, for models that compare with it.

use riskgrid_ingest::grid::Span;
use riskgrid_ingest::{DAY, EventTime};

use super::{BYTES_OF_A_VALUE, Reading};
use crate::statistics::{CellSeries, StatisticsError, check_steps, check_stop};

/// Weeks back that Farrington's model looks.
const WEEKS: i64 = 8;

/// A study area with a window and others before it.
#[derive(Clone, Debug, Default)]
pub struct DayStudy {
    /// Of each window in its order, the one that is judged last.
    pub series: CellSeries,
}

impl Reading<'_> {
    /// The window and the same of the days before, as far back as `baseline` microseconds.
    ///
    /// # Errors
    /// [`StatisticsError`] for windows that the grid does not keep, and for what would cost too much.
    pub fn days_before(&self, window: Span, baseline: i64) -> Result<DayStudy, StatisticsError> {
        let apart = window.end.since(window.start).max(DAY);
        let oldest = self.oldest(window.end.plus(-baseline));
        let days = (0..).map(|day: i64| shifted(window, -day * apart));
        let mut windows: Vec<Span> = days.take_while(|window| window.start >= oldest).collect();
        if windows.is_empty() {
            windows.push(window);
        }
        windows.reverse();
        self.windows(&windows)
    }

    /// The window, and of eight weeks back those at its hour of the week, with their neighbours.
    ///
    /// # Errors
    /// As [`days_before`](Self::days_before).
    pub fn weeks_before(&self, window: Span) -> Result<DayStudy, StatisticsError> {
        let length = window.end.since(window.start);
        let oldest = self.oldest(EventTime::from_micros(i64::MIN));
        let weeks = (1..=WEEKS).rev();
        let mut windows: Vec<Span> = weeks
            .flat_map(|week| (-1..=1).map(move |beside| shifted(window, -7 * DAY * week + beside * length)))
            .filter(|window| window.start >= oldest)
            .collect();
        windows.push(window);
        self.windows(&windows)
    }

    fn oldest(&self, time: EventTime) -> EventTime {
        time.max(self.snapshot.hours_kept_from(self.layer))
    }

    fn windows(&self, windows: &[Span]) -> Result<DayStudy, StatisticsError> {
        let mut series = CellSeries {
            steps: windows.len(),
            zeros: 0..windows.len(),
            ..CellSeries::default()
        };
        check_steps(windows.len())?;
        let first = self.first_bucket();
        let mut found: Vec<(u64, u32, f64)> = Vec::new();
        for (number, window) in (0..).zip(windows) {
            if first.is_none_or(|first| window.end <= first) {
                continue;
            }
            check_stop(self.stop)?;
            if !self.is_kept(*window) {
                return Err(self.not_kept("window", *window));
            }
            let (cells, values) = self.sum(*window);
            (self.reserve)(cells.len() * BYTES_OF_A_VALUE)?;
            let of_cells = cells.into_iter().zip(values);
            found.extend(of_cells.map(|(cell, value)| (cell, number, value as f64)));
        }
        series.cells = self.area(found.iter().map(|(cell, ..)| *cell))?;
        series.fill(found);
        Ok(DayStudy { series })
    }
}

const fn shifted(window: Span, micros: i64) -> Span {
    Span {
        start: window.start.plus(micros),
        end: window.end.plus(micros),
    }
}
