//! The hours of the past that bursts are judged by, and the window that is judged.

use h3o::{CellIndex, LatLng, Resolution};
use hashbrown::HashMap;
use riskgrid_ingest::grid::{Span, Step, parent_of};
use riskgrid_ingest::{EventTime, HOUR};

use super::{BYTES_OF_A_VALUE, Reading};
use crate::statistics::bursts::{Past, PastCount, Window};
use crate::statistics::{StatisticsError, check_stop};

/// How many resolutions coarser the cell is that is a cell's group.
const COARSER: u8 = 2;

/// Which cells are likened to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Groups {
    /// Those of one cell two resolutions up.
    #[default]
    Parent,
    /// Those whose centre is in one area of this level; those in none together.
    Level(String),
}

/// When is judged, and by what past.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurstTimes {
    /// What is judged.
    pub window: Span,
    /// No past window begins earlier before its end, in microseconds.
    pub baseline: i64,
    /// None ends later before its end.
    pub gap: i64,
}

/// A study area with the window that is judged and its past.
#[derive(Clone, Debug, Default)]
pub struct BurstStudy {
    /// The study area, ascending.
    pub cells: Vec<u64>,
    /// Its past.
    pub past: Past,
    /// What is judged.
    pub window: Window,
}

impl Reading<'_> {
    /// The window and its past.
    ///
    /// # Errors
    /// [`StatisticsError`] where there is no past, for a level that no area has, and for what would cost too much.
    pub fn bursts(&self, times: &BurstTimes, groups: &Groups) -> Result<BurstStudy, StatisticsError> {
        let BurstTimes {
            window,
            baseline,
            gap,
        } = *times;
        let calendar = &self.snapshot.calendar;
        let length = window.end.since(window.start).max(HOUR);
        let hours_of_window = length.unsigned_abs().div_ceil(HOUR.unsigned_abs()) as usize;
        let end = calendar.span(Step::Hour, window.end.plus(-gap)).start;
        let earliest = window
            .end
            .plus(-baseline)
            .max(self.snapshot.hours_kept_from(self.layer));
        let room = usize::try_from(end.since(earliest) / HOUR).unwrap_or(0);
        let hours = room / hours_of_window * hours_of_window;
        if hours == 0 {
            return Err(StatisticsError::argument(
                "baseline",
                format!("such that no window of {hours_of_window} h lies between {earliest} and {end}"),
                "a longer one, within the hours that the grid keeps, or a shorter gap or window",
            ));
        }
        let start = end.plus(-(hours as i64) * HOUR);
        let starts: Vec<EventTime> = (0..hours as i64).map(|hour| start.plus(hour * HOUR)).collect();
        let mut counts: Vec<(u64, u32, u64)> = Vec::new();
        let first = self.first_bucket();
        for (number, hour) in (0..).zip(&starts) {
            let span = Span {
                start: *hour,
                end: hour.plus(HOUR),
            };
            if first.is_none_or(|first| span.end <= first) {
                continue;
            }
            check_stop(self.stop)?;
            let (cells, values) = self.sum(span);
            (self.reserve)(cells.len() * BYTES_OF_A_VALUE)?;
            let found = cells.into_iter().zip(values);
            counts.extend(found.map(|(cell, value)| (cell, number, u64::try_from(value).unwrap_or(0))));
        }
        let (in_window, values) = if first.is_some_and(|first| window.end > first) {
            self.sum(window)
        } else {
            Default::default()
        };
        let observed = counts.iter().map(|(cell, ..)| *cell);
        let cells = self.area(observed.chain(in_window.iter().copied()))?;
        counts.sort_unstable();
        let mut window_values = vec![0; cells.len()];
        for (cell, value) in in_window.iter().zip(values) {
            if let Ok(position) = cells.binary_search(cell)
                && let Some(slot) = window_values.get_mut(position)
            {
                *slot = u64::try_from(value).unwrap_or(0);
            }
        }
        let mut position = 0;
        let counts = counts.into_iter().filter_map(|(cell, hour, count)| {
            while cells.get(position).is_some_and(|of| *of < cell) {
                position += 1;
            }
            let is_in_area = cells.get(position) == Some(&cell);
            is_in_area.then_some(PastCount {
                cell: position as u32,
                hour,
                count,
            })
        });
        let past = Past {
            counts: counts.collect(),
            hours: starts
                .iter()
                .map(|hour| calendar.hour_of_week(*hour) as u8)
                .collect(),
            hours_of_window,
            groups: self.groups(&cells, groups)?,
        };
        Ok(BurstStudy {
            past,
            window: Window {
                values: window_values,
                hours: self.hours_of(window),
            },
            cells,
        })
    }

    /// Hours of the week that a span covers, each with the part of an hour of it.
    fn hours_of(&self, span: Span) -> Vec<(usize, f64)> {
        let calendar = &self.snapshot.calendar;
        let (mut hours, mut time) = (Vec::new(), span.start);
        while time < span.end {
            let end = calendar.span(Step::Hour, time).end.min(span.end);
            hours.push((calendar.hour_of_week(time), end.since(time) as f64 / HOUR as f64));
            time = end;
        }
        hours
    }

    /// The group of each cell, numbered as they come.
    fn groups(&self, cells: &[u64], groups: &Groups) -> Result<Vec<u32>, StatisticsError> {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut of_cells: HashMap<u64, u32> = HashMap::new();
        match groups {
            Groups::Parent => {
                let coarser = u8::from(self.resolution).saturating_sub(COARSER);
                let coarser = Resolution::try_from(coarser).unwrap_or(Resolution::Zero);
                let number = |cell: &u64| {
                    let next = of_cells.len() as u32;
                    *of_cells.entry(parent_of(*cell, coarser)).or_insert(next)
                };
                Ok(cells.iter().map(number).collect())
            }
            Groups::Level(level) => {
                let areas = &self.snapshot.places.areas;
                if !areas.areas().iter().any(|area| *area.level == **level) {
                    let mut levels: Vec<&str> = areas.areas().iter().map(|area| &*area.level).collect();
                    levels.sort_unstable();
                    levels.dedup();
                    let levels: Vec<String> = levels.iter().map(|level| format!(", '{level}'")).collect();
                    return Err(StatisticsError::argument(
                        "area",
                        format!("'{level}'"),
                        format!(
                            "'parent', or a level of the areas that are loaded{}",
                            levels.concat()
                        ),
                    ));
                }
                let number = |cell: &u64| {
                    let centre = CellIndex::try_from(*cell).map(LatLng::from).ok();
                    let of_level = centre.and_then(|centre| {
                        let found = areas.areas_of([centre.lng(), centre.lat()]);
                        let mut found = found.into_iter().filter(|area| *area.level == **level);
                        found.next().map(|area| area.id.to_string())
                    });
                    let next = numbers.len() as u32;
                    *numbers.entry(of_level.unwrap_or_default()).or_insert(next)
                };
                Ok(cells.iter().map(number).collect())
            }
        }
    }
}
