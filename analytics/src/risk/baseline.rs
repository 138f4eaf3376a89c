//! A cell's own past: what its intensity would be if now were as it mostly is at this hour of the week.
//!
//! Rates of cells are drawn towards that of the cell two resolutions up, and that towards the domain's, each with the
//! weight of a week (168 hours); the profile over the week is the domain's.

use hashbrown::HashMap;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{Calendar, Span, Step};

use super::intensity::HalfLife;

/// Hours of a week.
pub const HOURS_OF_WEEK: usize = 168;
/// Marks with which the profile is drawn towards an even one.
const EVEN_MARKS: f64 = 20.0;
/// Hours with which a rate is drawn towards that of its surroundings.
const HOURS_OF_SURROUNDINGS: f64 = 168.0;
/// How far back the past is felt, in half-lives.
const FELT: i64 = 40;
/// Whole days that there must be at least.
pub const FEWEST_DAYS: usize = 28;
/// Whole days that are looked at, at most.
pub const MOST_DAYS: usize = 364;

/// Mean and variance of an intensity under the baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// E'.
    pub mean: f64,
    /// V'.
    pub variance: f64,
}

/// What the hours of the past held.
#[derive(Clone, Debug)]
pub struct PastHours {
    /// Hours kept, by hour of the week.
    pub hours: [u32; HOURS_OF_WEEK],
    /// Marks of the domain, by hour of the week.
    pub marks: [f64; HOURS_OF_WEEK],
    /// Marks of each cell of the domain, in its order.
    pub of_cells: Vec<f64>,
}

/// Rates of the cells of a domain, and the profile of its week.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// φ by hour of the week; 1 on average.
    profile: [f64; HOURS_OF_WEEK],
    /// ρ of each cell of the domain, in its order, in marks an hour.
    rates: Vec<f64>,
}

impl Baseline {
    /// From the past of a domain; `parents` names, for each of its cells, the cell two resolutions up. `None` where no hour
    /// is kept.
    pub fn learn(past: &PastHours, parents: &[u64]) -> Option<Self> {
        let hours: f64 = past.hours.iter().copied().map(f64::from).sum();
        if hours == 0.0 || parents.is_empty() {
            return None;
        }
        let marks: f64 = past.marks.iter().sum();
        let mut profile = [1.0; HOURS_OF_WEEK];
        for ((profile, count), in_hour) in profile.iter_mut().zip(&past.hours).zip(&past.marks) {
            if *count > 0 {
                *profile = (in_hour / f64::from(*count) + EVEN_MARKS / hours) * hours / (marks + EVEN_MARKS);
            }
        }
        let domain_rate = marks / (hours * parents.len() as f64);
        let mut families: HashMap<u64, (f64, f64)> = HashMap::new();
        for (parent, marks) in parents.iter().zip(&past.of_cells) {
            let (of_family, cells) = families.entry(*parent).or_default();
            *of_family += marks;
            *cells += 1.0;
        }
        let rates = parents.iter().zip(&past.of_cells).map(|(parent, marks)| {
            let (of_family, cells) = families.get(parent).copied().unwrap_or_default();
            let family_rate =
                (of_family + HOURS_OF_SURROUNDINGS * domain_rate) / (hours * cells + HOURS_OF_SURROUNDINGS);
            (marks + HOURS_OF_SURROUNDINGS * family_rate) / (hours + HOURS_OF_SURROUNDINGS)
        });
        Some(Self {
            profile,
            rates: rates.collect(),
        })
    }

    /// With these rates and an even week.
    pub const fn even(rates: Vec<f64>) -> Self {
        Self {
            profile: [1.0; HOURS_OF_WEEK],
            rates,
        }
    }

    /// The rate of the cell at this position in the domain, in marks an hour.
    pub fn rate(&self, position: usize) -> f64 {
        self.rates.get(position).copied().unwrap_or(0.0)
    }

    /// Φ: what an even rate of one mark an hour, with this profile, has come to by `at`. `layer` is the half-life of the
    /// layer, which says how far back one looks; `half_life` is at what marks fade.
    pub fn felt(&self, calendar: &Calendar, at: EventTime, half_life: HalfLife, layer: HalfLife) -> f64 {
        let start = at.plus(-FELT * layer.micros());
        let fading = |time: EventTime| half_life.left_after(at.since(time) as f64);
        let mut total = 0.0;
        for (span, hour) in hours_within(calendar, Span { start, end: at }) {
            total += self.profile_at(hour) * (fading(span.end) - fading(span.start));
        }
        half_life.hours() / std::f64::consts::LN_2 * total
    }

    /// Σφ over the clock hours of a span, each as far as it lies in it, in hours.
    pub fn profile_over(&self, calendar: &Calendar, span: Span) -> f64 {
        hours_within(calendar, span)
            .map(|(part, hour)| self.profile_at(hour) * part.end.since(part.start) as f64 / 3.6e9)
            .sum()
    }

    fn profile_at(&self, hour: usize) -> f64 {
        self.profile.get(hour).copied().unwrap_or(1.0)
    }
}

/// The local clock hours of a span, cut to it, each with its hour of the week.
fn hours_within(calendar: &Calendar, span: Span) -> impl Iterator<Item = (Span, usize)> + '_ {
    let mut time = span.start;
    std::iter::from_fn(move || {
        if time >= span.end {
            return None;
        }
        let hour = calendar.span(Step::Hour, time);
        let part = Span {
            start: time,
            end: hour.end.min(span.end),
        };
        time = part.end;
        Some((part, calendar.hour_of_week(part.start)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Tz;
    use riskgrid_ingest::{HOUR, MINUTE};

    fn past(of_cells: Vec<f64>, weeks: u32) -> PastHours {
        let total: f64 = of_cells.iter().sum();
        PastHours {
            hours: [weeks; HOURS_OF_WEEK],
            marks: [total / HOURS_OF_WEEK as f64; HOURS_OF_WEEK],
            of_cells,
        }
    }

    #[test]
    fn an_even_past_has_an_even_week_and_rates_drawn_towards_their_surroundings() {
        let learnt = Baseline::learn(&past(vec![672.0, 0.0, 0.0], 4), &[1, 1, 2]).unwrap();
        assert!(learnt.profile.iter().all(|phi| (phi - 1.0).abs() < 1e-12));
        // 672 hours: the domain has 1/3 an hour and cell, the first family (672 + 56)/(1344 + 168).
        let family = 728.0 / 1512.0;
        let expected = [
            (672.0 + 168.0 * family) / 840.0,
            168.0 * family / 840.0,
            168.0 * (56.0 / 840.0) / 840.0,
        ];
        for (position, rate) in expected.into_iter().enumerate() {
            assert!((learnt.rate(position) - rate).abs() < 1e-12, "{position}");
        }
    }

    #[test]
    fn an_hour_that_is_busy_has_a_profile_above_1_and_one_without_a_past_has_1() {
        let mut past = past(vec![0.0], 4);
        past.marks[3] = 80.0;
        past.hours[5] = 0;
        let learnt = Baseline::learn(&past, &[1]).unwrap();
        let hours = 167.0 * 4.0;
        assert!((learnt.profile[3] - (20.0 + 20.0 / hours) * hours / 100.0).abs() < 1e-9);
        assert!((learnt.profile[4] - 0.2).abs() < 1e-12);
        assert_eq!(learnt.profile[5], 1.0);
    }

    #[test]
    fn an_even_rate_comes_to_its_half_life_over_ln_2() {
        let calendar = Calendar::new(MINUTE, Tz::UTC);
        let half_life = HalfLife::new(2 * HOUR).unwrap();
        let at = EventTime::from_micros(1_795_334_400_000_000 + 7 * MINUTE);
        let even = Baseline::even(Vec::new());
        let felt = even.felt(&calendar, at, half_life, half_life);
        assert!((felt - 2.0 / std::f64::consts::LN_2).abs() < 1e-11, "{felt}");
        let day = Span {
            start: at,
            end: at.plus(24 * HOUR),
        };
        assert!((even.profile_over(&calendar, day) - 24.0).abs() < 1e-12);
    }
}
