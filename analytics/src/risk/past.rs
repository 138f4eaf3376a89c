//! The past of a layer in its domain, learnt from the grid's hours and ready to be felt by the cells around.

use std::sync::Arc;

use h3o::Resolution;
use riskgrid_ingest::grid::{
    Calendar, GridSnapshot, KindColumns, SliceStart, Span, SpanSlices, StartsWithin, Step, parent_of,
};
use riskgrid_ingest::{EventTime, HOUR, LayerIndex};

use super::baseline::{Baseline, Expected, FEWEST_DAYS, HOURS_OF_WEEK, MOST_DAYS, PastHours};
use super::conditions::Hours;
use super::intensity::{HalfLife, mark};
use super::spread::{CellGraph, Kernel, total_weight};

/// How many resolutions coarser the surroundings are towards which a rate is drawn.
const COARSER: u8 = 2;

/// A baseline, spread over the domain as intensities are.
#[derive(Clone, Debug)]
pub struct Past {
    domain: Arc<[u64]>,
    baseline: Baseline,
    /// By position in the domain: Σk·ρ, Σk²·ρ and Σk².
    felt: Vec<[f64; 3]>,
    /// What it was learnt from.
    learnt_from: LearntFrom,
}

/// The slices that a baseline was learnt from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LearntFrom {
    days: Span,
    slices: usize,
    rows: usize,
    revisions: u64,
    left_out: Hours,
}

/// The whole local days that a baseline at `at` is learnt from; `None` where they are too few.
pub fn days_of(snapshot: &GridSnapshot, layer: LayerIndex, at: EventTime) -> Option<Span> {
    let first = snapshot
        .totals(layer)?
        .first_time
        .max(snapshot.hours_kept_from(layer));
    let day = |time: EventTime| snapshot.calendar.span(Step::Day, time);
    let today = day(at.plus(-1));
    let end = day(today.start.plus(-1)).start;
    let (mut start, mut days) = (end, 0);
    while days < MOST_DAYS {
        let before = day(start.plus(-1));
        if before.start < first {
            break;
        }
        start = before.start;
        days += 1;
    }
    (days >= FEWEST_DAYS).then_some(Span { start, end })
}

/// The hours of the past of a layer, and what tells whether they have changed.
pub(crate) struct PastSlices {
    slices: Vec<SpanSlices>,
    days: Span,
    left_out: Hours,
}

impl PastSlices {
    /// The hours that `left_out` names are no part of it.
    pub(crate) fn of(
        snapshot: &GridSnapshot,
        layer: LayerIndex,
        at: EventTime,
        left_out: Hours,
    ) -> Option<Self> {
        let days = days_of(snapshot, layer, at)?;
        let within = StartsWithin {
            first: SliceStart::at(days.start),
            last: SliceStart::at(days.end.plus(-1)),
        };
        Some(Self {
            slices: snapshot.slices(layer, within),
            days,
            left_out,
        })
    }

    pub(crate) fn fingerprint(&self) -> LearntFrom {
        LearntFrom {
            days: self.days,
            slices: self.slices.iter().map(|span| span.parts.len()).sum(),
            rows: self.slices.iter().map(SpanSlices::rows).sum(),
            revisions: self.slices.iter().map(|span| u64::from(span.revision())).sum(),
            left_out: Arc::clone(&self.left_out),
        }
    }
}

impl Past {
    pub(crate) const fn learnt_from(&self) -> &LearntFrom {
        &self.learnt_from
    }

    /// Learns from the hours of a domain, less those that are left out.
    pub(crate) fn learn(
        hours: &PastSlices,
        calendar: &Calendar,
        domain: &Arc<[u64]>,
        resolution: Resolution,
        severity_factor: f64,
        spread: (&mut CellGraph, &Kernel),
    ) -> Option<Self> {
        let mut past = PastHours {
            hours: [0; HOURS_OF_WEEK],
            marks: [0.0; HOURS_OF_WEEK],
            of_cells: vec![0.0; domain.len()],
        };
        let mut time = hours.days.start;
        while time < hours.days.end {
            if !hours.left_out.contains(&time)
                && let Some(count) = past.hours.get_mut(calendar.hour_of_week(time))
            {
                *count += 1;
            }
            time = calendar.span(Step::Hour, time).end.max(time.plus(HOUR / 4));
        }
        for span in &hours.slices {
            let hour = calendar.span(Step::Hour, span.span.start).start;
            if hours.left_out.contains(&hour) {
                continue;
            }
            let of_week = calendar.hour_of_week(hour);
            for slice in &span.parts {
                let KindColumns::Report { weight, .. } = &slice.slice.columns else {
                    continue;
                };
                let rows = slice
                    .slice
                    .cells
                    .iter()
                    .zip(slice.slice.count.iter())
                    .zip(weight.iter());
                for ((cell, count), weight) in rows {
                    let Ok(position) = domain.binary_search(cell) else {
                        continue;
                    };
                    let marks = mark(*count, *weight, severity_factor);
                    if let (Some(of_hour), Some(of_cell)) =
                        (past.marks.get_mut(of_week), past.of_cells.get_mut(position))
                    {
                        *of_hour += marks;
                        *of_cell += marks;
                    }
                }
            }
        }
        let coarser = Resolution::try_from(u8::from(resolution).saturating_sub(COARSER)).ok()?;
        let parents: Vec<u64> = domain.iter().map(|cell| parent_of(*cell, coarser)).collect();
        let baseline = Baseline::learn(&past, &parents)?;
        Some(Self::over(domain, baseline, hours.fingerprint(), spread))
    }

    fn over(
        domain: &Arc<[u64]>,
        baseline: Baseline,
        learnt_from: LearntFrom,
        (graph, kernel): (&mut CellGraph, &Kernel),
    ) -> Self {
        let mut felt = vec![[0.0; 3]; domain.len()];
        for (position, cell) in domain.iter().enumerate() {
            let Some(place) = graph.place(*cell) else {
                continue;
            };
            let around = graph.around(place);
            let total = total_weight(around, kernel);
            let shares: Vec<_> = around
                .iter()
                .map(|(near, ring)| (*near, kernel.weight(*ring) / total))
                .collect();
            let rate = baseline.rate(position);
            for (near, share) in shares {
                let Ok(near) = domain.binary_search(&graph.cell(near)) else {
                    continue;
                };
                if let Some([mean, variance, even]) = felt.get_mut(near) {
                    *mean += share * rate;
                    *variance += share * share * rate;
                    *even += share * share;
                }
            }
        }
        Self {
            domain: Arc::clone(domain),
            baseline,
            felt,
            learnt_from,
        }
    }

    /// With these rates, in the order of the domain, and an even week.
    pub fn even(domain: &Arc<[u64]>, rates: Vec<f64>, spread: (&mut CellGraph, &Kernel)) -> Self {
        let nothing = EventTime::from_micros(0);
        let learnt_from = LearntFrom {
            days: Span {
                start: nothing,
                end: nothing,
            },
            slices: 0,
            rows: 0,
            revisions: 0,
            left_out: Hours::default(),
        };
        Self::over(domain, Baseline::even(rates), learnt_from, spread)
    }

    /// As it is felt at a moment, with what the next `forecast` microseconds have.
    pub fn at(
        self: &Arc<Self>,
        calendar: &Calendar,
        at: EventTime,
        half_life: HalfLife,
        dispersion: f64,
        forecast: i64,
    ) -> PastNow {
        let half = HalfLife::half_of(half_life);
        PastNow {
            past: Arc::clone(self),
            felt: self.baseline.felt(calendar, at, half_life, half_life),
            felt_half: self.baseline.felt(calendar, at, half, half_life),
            profile_hours: self.baseline.profile_over(
                calendar,
                Span {
                    start: at,
                    end: at.plus(forecast),
                },
            ),
            dispersion,
        }
    }
}

/// A past as it is felt at one moment.
#[derive(Clone, Debug)]
pub struct PastNow {
    past: Arc<Past>,
    /// Φ(τ).
    felt: f64,
    /// Φ(τ/2).
    felt_half: f64,
    /// Σφ over the hours of the forecast.
    pub profile_hours: f64,
    /// v.
    dispersion: f64,
}

impl PastNow {
    /// E' and V' of a cell of the domain.
    pub fn expected(&self, cell: u64) -> Option<Expected> {
        let position = self.past.domain.binary_search(&cell).ok()?;
        let [mean, variance, even] = self.past.felt.get(position)?;
        Some(Expected {
            mean: self.felt * mean,
            variance: self.dispersion * self.felt_half * variance + even,
        })
    }

    /// ρ of a cell of the domain, in marks an hour.
    pub fn rate(&self, cell: u64) -> Option<f64> {
        let position = self.past.domain.binary_search(&cell).ok()?;
        Some(self.past.baseline.rate(position))
    }
}
