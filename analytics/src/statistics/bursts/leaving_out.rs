//! The fit of a whole study area, less the windows of the past that were bursts themselves.

use std::sync::atomic::AtomicBool;

use super::super::count_law::upper_tail;
use super::super::error::{StatisticsError, check_stop};
use super::fit::{CellSums, GroupFit, Law};
use super::profile::{Seen, Week};
use super::{HOURS_OF_WEEK, Past};

/// Rounds of leaving out at most.
const ROUNDS: usize = 5;
/// A group with fewer events is fitted as the city is.
const FEW_EVENTS: u64 = 200;

/// A window of a cell in which something happened.
#[derive(Clone, Copy, Debug)]
struct Eventful {
    window: u32,
    events: u64,
    /// Where its counts are.
    counts: (u32, u32),
    /// What was expected, where it is left out.
    left_out: Option<f64>,
}

/// What is known of one cell.
#[derive(Clone, Debug, Default)]
struct Cell {
    eventful: Vec<Eventful>,
    events: u64,
}

/// The past, fitted.
#[derive(Clone, Debug)]
pub(super) struct Fitted<'a> {
    past: &'a Past,
    /// Of each cell.
    cells: Vec<Cell>,
    /// Of each group.
    events_of_groups: Vec<u64>,
    /// S of each group.
    weeks: Vec<Week>,
    /// e of each group and window.
    exposures: Vec<Vec<f64>>,
    laws: Vec<Law>,
}

impl<'a> Fitted<'a> {
    pub(super) fn of(past: &'a Past, exclude_p: f64, stop: &AtomicBool) -> Result<Self, StatisticsError> {
        let groups = past.groups.iter().max().map_or(0, |last| *last as usize + 1);
        let mut fitted = Self {
            past,
            cells: cells_of(past),
            events_of_groups: vec![0; groups],
            weeks: vec![[1.0; HOURS_OF_WEEK]; groups],
            exposures: vec![Vec::new(); groups],
            laws: Vec::new(),
        };
        for (cell, group) in fitted.cells.iter().zip(&past.groups) {
            if let Some(events) = fitted.events_of_groups.get_mut(*group as usize) {
                *events += cell.events;
            }
        }
        fitted.learn_weeks();
        fitted.fit();
        for _ in 0..ROUNDS {
            check_stop(stop)?;
            if !fitted.leave_out(exclude_p) {
                break;
            }
            fitted.learn_weeks();
            fitted.fit();
        }
        Ok(fitted)
    }

    fn fit(&mut self) {
        let whole: Vec<CellSums> = self
            .exposures
            .iter()
            .map(|of| CellSums::of_exposures(of.iter()))
            .collect();
        let sums: Vec<CellSums> = (0..self.cells.len())
            .map(|cell| self.sums_of(cell, &whole))
            .collect();
        let of_group = |group: Option<usize>| {
            let members = sums.iter().zip(&self.past.groups);
            let members = members.filter(move |(_, of)| group.is_none_or(|group| **of as usize == group));
            GroupFit::of(&members.map(|(sums, _)| sums))
        };
        let city = of_group(None);
        let city_events: u64 = self.events_of_groups.iter().sum();
        let fits: Vec<GroupFit> = if city_events == 0 {
            vec![GroupFit::default(); self.events_of_groups.len()]
        } else {
            let members = members_of_groups(&self.past.groups, self.events_of_groups.len());
            let fit = |(events, members): (&u64, &Vec<u32>)| {
                if *events < FEW_EVENTS {
                    return city;
                }
                GroupFit::of(&members.iter().filter_map(|cell| sums.get(*cell as usize)))
            };
            self.events_of_groups.iter().zip(&members).map(fit).collect()
        };
        let law = |(sums, group): (&CellSums, &u32)| {
            fits.get(*group as usize)
                .map_or_else(|| Law::of_nothing(sums), |fit| fit.law(sums))
        };
        self.laws = sums.iter().zip(&self.past.groups).map(law).collect();
    }

    /// The weeks of the groups, of what happened and, in windows left out, of what was expected.
    fn learn_weeks(&mut self) {
        let seen = Seen::of(&self.past.hours);
        let mut events = vec![[0.0; HOURS_OF_WEEK]; self.weeks.len()];
        for (cell, group) in self.cells.iter().zip(&self.past.groups) {
            let (Some(events), Some(week)) =
                (events.get_mut(*group as usize), self.weeks.get(*group as usize))
            else {
                continue;
            };
            for eventful in &cell.eventful {
                match eventful.left_out {
                    None => {
                        let counts = eventful.counts.0 as usize..eventful.counts.1 as usize;
                        for count in self.past.counts.get(counts).unwrap_or_default() {
                            if let Some(slot) =
                                hour_of(self.past, count.hour as usize).and_then(|hour| events.get_mut(hour))
                            {
                                *slot += count.count as f64;
                            }
                        }
                    }
                    Some(expected) => {
                        let hours = hours_of_window(self.past, eventful.window as usize);
                        let of = |hour: &u8| week.get(usize::from(*hour)).copied().unwrap_or(1.0);
                        let all: f64 = hours.iter().map(of).sum();
                        for hour in hours {
                            if let Some(slot) = events.get_mut(usize::from(*hour)) {
                                *slot += expected * of(hour) / all;
                            }
                        }
                    }
                }
            }
        }
        let mut all = [0.0; HOURS_OF_WEEK];
        for of_group in &events {
            for (all, events) in all.iter_mut().zip(of_group) {
                *all += events;
            }
        }
        let city = seen.of_city(&all);
        self.weeks = events.iter().map(|events| seen.of_group(events, &city)).collect();
        let windows = self.past.windows();
        let exposures = self.weeks.iter().map(|week| {
            let of_window = |window| {
                let hours = hours_of_window(self.past, window).iter();
                hours
                    .map(|hour| week.get(usize::from(*hour)).copied().unwrap_or(1.0))
                    .sum()
            };
            (0..windows).map(of_window).collect()
        });
        self.exposures = exposures.collect();
    }

    /// `whole` has the exposure of each group without anything left out.
    fn sums_of(&self, cell: usize, whole: &[CellSums]) -> CellSums {
        let group = self.past.groups.get(cell).copied().unwrap_or(0) as usize;
        let exposures = self.exposures.get(group).map(Vec::as_slice).unwrap_or_default();
        let eventful = self.cells.get(cell).map(|cell| cell.eventful.as_slice());
        let eventful = eventful.unwrap_or_default();
        let mut sums = whole.get(group).copied().unwrap_or_default();
        if eventful.iter().any(|eventful| eventful.left_out.is_some()) {
            let mut left_out = eventful
                .iter()
                .filter(|eventful| eventful.left_out.is_some())
                .peekable();
            let kept = (0..)
                .zip(exposures)
                .filter(|(window, _)| left_out.next_if(|eventful| eventful.window == *window).is_none());
            sums = CellSums::of_exposures(kept.map(|(_, exposure)| exposure));
        }
        for eventful in eventful.iter().filter(|eventful| eventful.left_out.is_none()) {
            let exposure = exposures.get(eventful.window as usize).copied().unwrap_or(0.0);
            let events = eventful.events as f64;
            sums.events += events;
            sums.squares += events * events;
            sums.products += events * exposure;
        }
        sums
    }

    /// Tests every window again. Whether others are left out than before.
    fn leave_out(&mut self, exclude_p: f64) -> bool {
        let windows = self.past.windows();
        let mut has_changed = false;
        for (position, cell) in self.cells.iter_mut().enumerate() {
            let law = self.laws.get(position).copied().unwrap_or_default();
            let group = self.past.groups.get(position).copied().unwrap_or(0) as usize;
            let exposures = self.exposures.get(group).map(Vec::as_slice).unwrap_or_default();
            let (mut left, mut kept): (usize, Option<(f64, usize)>) = (windows, None);
            let mut tested = Vec::with_capacity(cell.eventful.len());
            for (at, eventful) in cell.eventful.iter().enumerate() {
                let exposure = exposures.get(eventful.window as usize).copied().unwrap_or(0.0);
                let mean = exposure * law.rate;
                let p = upper_tail(eventful.events, mean, law.inverse_size);
                let is_left_out = p < exclude_p;
                left -= usize::from(is_left_out);
                if is_left_out && kept.is_none_or(|(most, _)| p > most) {
                    kept = Some((p, at));
                }
                tested.push(is_left_out.then_some(mean));
            }
            if left == 0
                && let Some((_, at)) = kept
                && let Some(tested) = tested.get_mut(at)
            {
                // Of a cell all of whose windows are bursts the least of them is its past.
                *tested = None;
            }
            for (eventful, tested) in cell.eventful.iter_mut().zip(tested) {
                has_changed |= eventful.left_out.is_some() != tested.is_some();
                eventful.left_out = tested;
            }
        }
        has_changed
    }

    /// e of the window that is judged.
    pub(super) fn exposure_of(&self, cell: usize, hours: &[(usize, f64)]) -> f64 {
        let group = self.past.groups.get(cell).copied().unwrap_or(0) as usize;
        let week = self.weeks.get(group);
        let of = |hour: usize| week.and_then(|week| week.get(hour)).copied().unwrap_or(1.0);
        hours.iter().map(|(hour, part)| of(*hour) * part).sum()
    }

    pub(super) fn law_of(&self, cell: usize) -> Law {
        self.laws.get(cell).copied().unwrap_or_default()
    }

    pub(super) fn events_of(&self, cell: usize) -> u64 {
        self.cells.get(cell).map_or(0, |cell| cell.events)
    }

    pub(super) fn left_out_of(&self, cell: usize) -> u32 {
        let eventful = self.cells.get(cell).map(|cell| cell.eventful.as_slice());
        let left_out = eventful.unwrap_or_default().iter();
        left_out.filter(|eventful| eventful.left_out.is_some()).count() as u32
    }
}

impl Past {
    /// Windows of the past.
    fn windows(&self) -> usize {
        self.hours.len() / self.hours_of_window.max(1)
    }
}

fn hour_of(past: &Past, hour: usize) -> Option<usize> {
    past.hours.get(hour).copied().map(usize::from)
}

fn hours_of_window(past: &Past, window: usize) -> &[u8] {
    let start = window * past.hours_of_window;
    past.hours
        .get(start..start + past.hours_of_window)
        .unwrap_or_default()
}

fn members_of_groups(groups: &[u32], number: usize) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); number];
    for (cell, group) in (0..).zip(groups) {
        if let Some(members) = members.get_mut(*group as usize) {
            members.push(cell);
        }
    }
    members
}

fn cells_of(past: &Past) -> Vec<Cell> {
    let mut cells = vec![Cell::default(); past.groups.len()];
    let windows = past.counts.iter().enumerate();
    for (at, count) in windows {
        let Some(cell) = cells.get_mut(count.cell as usize) else {
            continue;
        };
        let window = count.hour / past.hours_of_window.max(1) as u32;
        cell.events += count.count;
        match cell.eventful.last_mut() {
            Some(last) if last.window == window => {
                last.events += count.count;
                last.counts.1 = at as u32 + 1;
            }
            _ => cell.eventful.push(Eventful {
                window,
                events: count.count,
                counts: (at as u32, at as u32 + 1),
                left_out: None,
            }),
        }
    }
    cells
}

#[cfg(test)]
impl<'a> Fitted<'a> {
    /// Of one group whose windows have these exposures, whatever its week.
    pub(super) fn with_exposures(past: &'a Past, exposures: &[f64]) -> Self {
        let mut fitted = Self {
            past,
            cells: cells_of(past),
            events_of_groups: vec![past.counts.iter().map(|count| count.count).sum()],
            weeks: vec![[1.0; HOURS_OF_WEEK]],
            exposures: vec![exposures.to_vec()],
            laws: Vec::new(),
        };
        fitted.fit();
        fitted
    }

    pub(super) fn leave_out_and_fit(&mut self, exclude_p: f64) -> bool {
        let has_changed = self.leave_out(exclude_p);
        self.fit();
        has_changed
    }

    pub(super) fn all_sums(&self) -> Vec<CellSums> {
        let whole: Vec<CellSums> = self
            .exposures
            .iter()
            .map(|of| CellSums::of_exposures(of.iter()))
            .collect();
        (0..self.cells.len())
            .map(|cell| self.sums_of(cell, &whole))
            .collect()
    }
}
