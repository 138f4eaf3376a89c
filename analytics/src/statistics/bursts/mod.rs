//! `bursts`: in which cells more happened than their own past explains, and how seldom that happens by chance.
//!
//! The past is cut into windows as long as the one that is judged. What each cell is expected to have is drawn towards its
//! group (empirical Bayes, Marshall 1991), by the hours of the week, and leaves out earlier bursts; counts follow the
//! negative binomial law. Other models compare with the same hours of the days before.

mod fit;
mod leaving_out;
mod profile;
mod recurrence;
mod same_hours;
#[cfg(test)]
mod tests;

pub use recurrence::{looks_factor, recurrence_days, recurrence_days_of_area};
pub use same_hours::{DayModel, Farrington, ears_c1, ears_c2, ears_c3};

use std::sync::atomic::AtomicBool;

use super::count_law::upper_tail;
use super::error::StatisticsError;
use super::fdr::{FalseDiscovery, q_values};
use leaving_out::Fitted;

/// Hours of a week.
pub const HOURS_OF_WEEK: usize = 168;

/// Events of one cell in one hour of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastCount {
    /// Position of the cell.
    pub cell: u32,
    /// Which hour, from the first of the past.
    pub hour: u32,
    /// How many.
    pub count: u64,
}

/// What is known of a study area.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Group of each cell, from 0 without gaps.
    pub groups: Vec<u32>,
    /// Hour of the week of each hour of the past; windows follow each other from the first.
    pub hours: Vec<u8>,
    /// Hours of a window.
    pub hours_of_window: usize,
    /// Ascending by cell and hour.
    pub counts: Vec<PastCount>,
}

/// The window that is judged.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Events of each cell.
    pub values: Vec<u64>,
    /// Hours of the week that it covers, each with the part of an hour of it.
    pub hours: Vec<(usize, f64)>,
}

/// How windows are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurstOptions {
    /// Past windows less likely than this are left out.
    pub exclude_p: f64,
    /// The window, in days.
    pub days: f64,
    /// How many false episodes looks at overlapping windows make of one: see [`looks_factor`].
    pub looks: f64,
}

/// The answer, one entry a cell in each column, in the order of the study area.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BurstTable {
    /// Events that were expected.
    pub expected: Vec<f64>,
    /// Size of the negative binomial law; infinite for the Poisson law.
    pub size: Vec<f64>,
    /// Upper tail.
    pub p: Vec<f64>,
    /// False discovery rate over the study area.
    pub q: Vec<f64>,
    /// Days between such windows of one cell, by chance.
    pub recurrence_days: Vec<f64>,
    /// Days between such windows of any cell.
    pub recurrence_days_area: Vec<f64>,
    /// Events of the past, of windows left out too.
    pub baseline_events: Vec<u64>,
    /// Windows left out.
    pub excluded: Vec<u32>,
}

/// Judges a window by the past of each cell. Given up soon after `stop` is set.
///
/// # Errors
/// [`StatisticsError::Stopped`] once `stop` is set.
pub fn bursts(
    past: &Past,
    window: &Window,
    options: &BurstOptions,
    stop: &AtomicBool,
) -> Result<BurstTable, StatisticsError> {
    let fitted = Fitted::of(past, options.exclude_p, stop)?;
    let cells = past.groups.len();
    let mut table = BurstTable::default();
    for (cell, value) in window.values.iter().enumerate() {
        let exposure = fitted.exposure_of(cell, &window.hours);
        let law = fitted.law_of(cell);
        let (mean, inverse_size) = (exposure * law.rate, law.inverse_size);
        table.expected.push(mean);
        table.size.push(1.0 / inverse_size);
        table.p.push(upper_tail(*value, mean, inverse_size));
        table.baseline_events.push(fitted.events_of(cell));
        table.excluded.push(fitted.left_out_of(cell));
    }
    table.q = q_values(&table.p, FalseDiscovery::BenjaminiHochberg);
    let each = |of: fn(f64, f64, f64, usize) -> f64| {
        let p = table.p.iter();
        p.map(|p| of(*p, options.days, options.looks, cells)).collect()
    };
    table.recurrence_days = each(|p, days, looks, _| recurrence_days(p, days, looks));
    table.recurrence_days_area = each(recurrence_days_of_area);
    Ok(table)
}
