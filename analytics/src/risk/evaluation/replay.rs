//! A period played again: at each origin the methods say what comes next, of what happened before it and nothing else.

use std::sync::Arc;

use h3o::Resolution;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{Calendar, Span, Step, parent_of};

use super::tally::Tally;
use crate::risk::baseline::{Baseline, FEWEST_DAYS, HOURS_OF_WEEK, PastHours};
use crate::risk::forecast::forecast;
use crate::risk::intensity::{HalfLife, Landmark, Weighed};
use crate::risk::scoring::felt_in;
use crate::risk::spread::{CellGraph, Kernel};

/// Microseconds of a day, and of a week.
const DAY: i64 = 86_400_000_000;
const WEEK: i64 = 7 * DAY;

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occurrence {
    /// When.
    pub time: EventTime,
    /// Position of its cell in the domain.
    pub position: usize,
    /// How many events it is: one, or all of a cell and bucket.
    pub events: u32,
    /// What they count as.
    pub marks: f64,
}

/// Who forecasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// The column `risk`: it ranks now, not what comes.
    Risk,
    /// The column `forecast`.
    Forecast,
    /// What each cell had on average so far: the one to beat.
    LongRunMean,
    /// What each cell had in the same hours a week ago.
    LastWeek,
    /// The same everywhere.
    Even,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Risk,
        Self::Forecast,
        Self::LongRunMean,
        Self::LastWeek,
        Self::Even,
    ];

    /// Its name in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Risk => "risk",
            Self::Forecast => "forecast",
            Self::LongRunMean => "long_run_mean",
            Self::LastWeek => "last_week",
            Self::Even => "even",
        }
    }
}

/// What is played, and by what it is forecast.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Cells, ascending.
    pub domain: Arc<[u64]>,
    /// Of the cells.
    pub resolution: Resolution,
    /// τ.
    pub half_life: HalfLife,
    /// Of the spread.
    pub kernel: Kernel,
    /// How far is looked ahead, in microseconds; origins are so far apart.
    pub horizon: i64,
    /// Buckets, and the hours of the week.
    pub calendar: Calendar,
    /// Ascending by time.
    pub occurrences: Vec<Occurrence>,
}

/// Gives R of each cell of the domain at an origin.
pub type RiskAt<'a> = &'a mut dyn FnMut(EventTime) -> Vec<f64>;

/// What is kept while time goes on.
struct Running {
    landmark: Landmark,
    weighed: Vec<Weighed>,
    counted: Vec<u32>,
    /// Occurrences before the origin, and their events.
    next: usize,
    events: u64,
    past: Option<(EventTime, Baseline)>,
    graph: CellGraph,
}

impl Replay {
    /// The scores of each method at each origin of a period, by `told` as they are made; `told` may end it by false.
    /// `risk` gives R of each cell at an origin; without it there is no [`Method::Risk`].
    pub fn run(
        &self,
        period: Span,
        mut risk: Option<RiskAt<'_>>,
        mut told: impl FnMut(EventTime) -> bool,
    ) -> Vec<(Method, Tally)> {
        let cells = self.domain.len();
        let mut tallies: Vec<(Method, Tally)> = Method::ALL
            .into_iter()
            .filter(|method| *method != Method::Risk || risk.is_some())
            .map(|method| (method, Tally::new(cells)))
            .collect();
        let mut running = Running {
            landmark: Landmark::about(self.half_life, period.start),
            weighed: vec![Weighed::default(); cells],
            counted: vec![0; cells],
            next: 0,
            events: 0,
            past: None,
            graph: CellGraph::new(Some(Arc::clone(&self.domain)), self.kernel.rings()),
        };
        let mut origin = period.start;
        while origin.plus(self.horizon) <= period.end && told(origin) {
            self.bring_to(&mut running, origin);
            let counts = self.counts(origin, origin.plus(self.horizon));
            let week = (origin.since(period.start) / WEEK) as usize;
            for (method, tally) in &mut tallies {
                let (scores, expected) = match (*method, &mut risk) {
                    (Method::Risk, Some(risk)) => (risk(origin), self.of_long_run(&running, origin)),
                    (method, _) => self.scores(method, &mut running, origin),
                };
                tally.add(&scores, &counts, expected, week);
            }
            origin = origin.plus(self.horizon);
        }
        tallies
    }

    fn bring_to(&self, running: &mut Running, origin: EventTime) {
        if running.landmark.is_worn_out(origin) {
            let later = Landmark::about(self.half_life, origin);
            let steps = running.landmark.steps_to(later);
            for weighed in &mut running.weighed {
                *weighed = weighed.moved(steps);
            }
            running.landmark = later;
        }
        while let Some(next) = self
            .occurrences
            .get(running.next)
            .filter(|next| next.time < origin)
        {
            let bucket = self.calendar.span(Step::Bucket, next.time);
            if let (Some(weighed), Some(counted)) = (
                running.weighed.get_mut(next.position),
                running.counted.get_mut(next.position),
            ) {
                weighed.add(running.landmark.weigh(next.marks, bucket));
                *counted += next.events;
            }
            running.events += u64::from(next.events);
            running.next += 1;
        }
    }

    fn counts(&self, start: EventTime, end: EventTime) -> Vec<u32> {
        let mut counts = vec![0; self.domain.len()];
        for occurrence in self.between(start, end) {
            if let Some(count) = counts.get_mut(occurrence.position) {
                *count += occurrence.events;
            }
        }
        counts
    }

    fn between(&self, start: EventTime, end: EventTime) -> &[Occurrence] {
        let first = self
            .occurrences
            .partition_point(|occurrence| occurrence.time < start);
        let last = self
            .occurrences
            .partition_point(|occurrence| occurrence.time < end);
        self.occurrences.get(first..last.max(first)).unwrap_or_default()
    }

    /// Events that a horizon had on average so far.
    fn of_long_run(&self, running: &Running, origin: EventTime) -> f64 {
        let so_far = self
            .occurrences
            .first()
            .map_or(0, |first| origin.since(first.time))
            .max(1);
        running.events as f64 * self.horizon as f64 / so_far as f64
    }

    /// The score of each cell, and the events expected in all.
    fn scores(&self, method: Method, running: &mut Running, origin: EventTime) -> (Vec<f64>, f64) {
        let of_long_run = self.of_long_run(running, origin);
        match method {
            Method::Even | Method::Risk => (vec![1.0; self.domain.len()], of_long_run),
            Method::LongRunMean => (
                running.counted.iter().copied().map(f64::from).collect(),
                of_long_run,
            ),
            Method::LastWeek => {
                let start = origin.plus(-WEEK);
                let counts = self.counts(start, start.plus(self.horizon).min(origin));
                let scores: Vec<f64> = counts.into_iter().map(f64::from).collect();
                let expected = scores.iter().sum();
                (scores, expected)
            }
            Method::Forecast => self.forecast(running, origin, of_long_run),
        }
    }

    fn forecast(&self, running: &mut Running, origin: EventTime, of_long_run: f64) -> (Vec<f64>, f64) {
        self.learn(running, origin);
        let active = self.domain.iter().zip(&running.weighed);
        let active =
            active.map(|(cell, weighed)| (*cell, running.landmark.intensity(*weighed, origin).max(0.0)));
        let mut felt = vec![0.0; self.domain.len()];
        for (cell, intensity) in felt_in(&mut running.graph, &self.kernel, active) {
            if let Ok(position) = self.domain.binary_search(&cell)
                && let Some(felt) = felt.get_mut(position)
            {
                *felt = intensity;
            }
        }
        let Some((_, past)) = &running.past else {
            // Before there is a past it is only what goes on.
            let hours = self.horizon as f64 / 3.6e9;
            let scores: Vec<f64> = felt
                .iter()
                .map(|felt| forecast(0.0, 0.0, *felt, self.half_life, hours))
                .collect();
            return (scores, of_long_run);
        };
        let ahead = Span {
            start: origin,
            end: origin.plus(self.horizon),
        };
        let (profile, hours) = (
            past.profile_over(&self.calendar, ahead),
            self.horizon as f64 / 3.6e9,
        );
        let scores: Vec<f64> = felt
            .iter()
            .enumerate()
            .map(|(position, felt)| forecast(past.rate(position), profile, *felt, self.half_life, hours))
            .collect();
        // Marks, as events of average weight.
        let before = self.occurrences.get(..running.next).unwrap_or_default();
        let mean_mark = before.iter().map(|one| one.marks).sum::<f64>() / running.events.max(1) as f64;
        let expected = scores.iter().sum::<f64>() / if mean_mark > 0.0 { mean_mark } else { 1.0 };
        (scores, expected)
    }

    /// At each local midnight anew, of the whole days that end a day before.
    fn learn(&self, running: &mut Running, origin: EventTime) {
        let day = |time: EventTime| self.calendar.span(Step::Day, time);
        let today = day(origin.plus(-1));
        let end = day(today.start.plus(-1)).start;
        if running.past.as_ref().is_some_and(|(learnt, _)| *learnt == end) {
            return;
        }
        let Some(first) = self.occurrences.first().map(|first| first.time) else {
            return;
        };
        // Whole days that begin with the first event or after it.
        let start = match day(first) {
            whole if whole.start == first => whole.start,
            begun => begun.end,
        }
        .max(end.plus(-364 * DAY));
        if end.since(start) < FEWEST_DAYS as i64 * DAY {
            return;
        }
        let mut past = PastHours {
            hours: [0; HOURS_OF_WEEK],
            marks: [0.0; HOURS_OF_WEEK],
            of_cells: vec![0.0; self.domain.len()],
        };
        let mut hour = self.calendar.span(Step::Hour, start);
        while hour.start < end {
            if let Some(count) = past.hours.get_mut(self.calendar.hour_of_week(hour.start)) {
                *count += 1;
            }
            hour = self.calendar.span(Step::Hour, hour.end);
        }
        for occurrence in self.between(start, end) {
            if let (Some(of_hour), Some(of_cell)) = (
                past.marks.get_mut(self.calendar.hour_of_week(occurrence.time)),
                past.of_cells.get_mut(occurrence.position),
            ) {
                *of_hour += occurrence.marks;
                *of_cell += occurrence.marks;
            }
        }
        let coarser =
            Resolution::try_from(u8::from(self.resolution).saturating_sub(2)).unwrap_or(Resolution::Zero);
        let parents: Vec<u64> = self.domain.iter().map(|cell| parent_of(*cell, coarser)).collect();
        running.past = Baseline::learn(&past, &parents).map(|baseline| (end, baseline));
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use h3o::CellIndex;
    use riskgrid_ingest::{HOUR, MINUTE};

    use super::*;

    /// Forty days over 61 cells: two that are always busy, and one that flares up for a day at the end.
    fn replay() -> Replay {
        let centre = CellIndex::try_from(0x0894_11ca_1b67_ffff).unwrap();
        let mut domain: Vec<u64> = centre.grid_disk::<Vec<_>>(4).into_iter().map(u64::from).collect();
        domain.sort_unstable();
        let start = 1_795_305_600_000_000;
        let at = |hour: i64, position: usize| Occurrence {
            time: EventTime::from_micros(start + hour * HOUR),
            position,
            events: 1,
            marks: 1.5,
        };
        let mut occurrences: Vec<Occurrence> =
            (0..40 * 24)
                .flat_map(|hour| {
                    let busy = [at(hour, 7), at(hour, 30)];
                    let flares = (39 * 24..40 * 24).contains(&hour);
                    busy.into_iter()
                        .chain(flares.then(|| at(hour, 50)).into_iter().cycle().take(if flares {
                            4
                        } else {
                            0
                        }))
                })
                .collect();
        occurrences.sort_by_key(|occurrence| occurrence.time);
        Replay {
            domain: domain.into(),
            resolution: Resolution::Nine,
            half_life: HalfLife::new(6 * HOUR).unwrap(),
            kernel: Kernel::new(0, 0.6),
            horizon: HOUR,
            calendar: Calendar::new(MINUTE, Tz::UTC),
            occurrences,
        }
    }

    #[test]
    fn what_flares_up_is_seen_by_the_forecast_and_not_by_the_long_run() {
        let replay = replay();
        let start = replay.occurrences[0].time.plus(38 * DAY);
        let period = Span {
            start,
            end: start.plus(2 * DAY),
        };
        let mut origins = 0;
        let tallies = replay.run(period, None, |_| {
            origins += 1;
            true
        });
        assert_eq!(origins, 48);
        let gain = |method: Method| {
            tallies
                .iter()
                .find(|(of, _)| *of == method)
                .unwrap()
                .1
                .summary(1)
                .gain
        };
        assert!(gain(Method::Forecast) > gain(Method::LongRunMean) + 0.1);
        assert!(gain(Method::LongRunMean) > gain(Method::Even) + 0.5);
        assert!(gain(Method::Even).abs() < 1e-12);
        assert_eq!(tallies[0].1.summary(1).events, 48.0 * 2.0 + 24.0 * 4.0);
    }

    #[test]
    fn nothing_of_what_comes_is_known_before() {
        let mut replay = replay();
        let start = replay.occurrences[0].time.plus(38 * DAY);
        let period = Span {
            start,
            end: start.plus(HOUR),
        };
        let scores = |replay: &Replay| {
            let tallies = replay.run(period, None, |_| true);
            tallies
                .iter()
                .map(|(_, tally)| tally.summary(1))
                .collect::<Vec<_>>()
        };
        let before = scores(&replay);
        // The last day is taken away: no forecast of the day before may change.
        replay
            .occurrences
            .retain(|occurrence| occurrence.time < period.end);
        assert_eq!(scores(&replay), before);
    }
}
