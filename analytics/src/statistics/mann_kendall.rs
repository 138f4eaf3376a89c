//! Whether a series rises or falls: Mann (1945), by season Hirsch, Slack & Smith (1982), with the correction of Hamed & Rao
//! (1998) for autocorrelation; how steeply: Sen (1968).

use super::normal::two_sided_normal_p;

/// Values that a series must have at least.
const FEWEST_VALUES: usize = 10;
/// Values of each season.
const FEWEST_OF_SEASON: usize = 2;
/// Autocorrelations count where they are larger than those of 95 in 100 series of noise.
const SIGNIFICANT: f64 = 1.959_963_984_540;
/// Values this close, as a part of the largest, are alike: floating sums would untie what is tied.
const ALIKE: f64 = 1e-9;

/// How a trend is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrendMethod {
    /// Each value with each later one.
    Plain,
    /// Only those a whole number of seasons of so many steps apart.
    Seasonal(usize),
    /// As plain, its variance corrected by autocorrelations up to this lag.
    HamedRao(usize),
}

/// What the trend of one series is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Pairs that rise less those that fall.
    pub s: i64,
    /// Var(S) without a trend.
    pub variance: f64,
    /// (S − sign S)/√Var.
    pub z: f64,
    /// Two-sided.
    pub p: f64,
    /// Of all pairs, rising less falling.
    pub tau: f64,
    /// Median of the slopes of pairs, a step.
    pub slope: f64,
    /// Median of the values less that of their steps at this slope.
    pub intercept: f64,
}

/// Scratch space: the slopes of a series of n values are n²/2.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    slopes: Vec<f64>,
    sorted: Vec<f64>,
}

impl Trend {
    /// Of a series, a value a step, NaN where one is missing. `None` where there are too few, of a season too, and for
    /// [`TrendMethod::HamedRao`] where any is missing.
    #[must_use]
    pub fn of(series: &[f64], method: TrendMethod, pairs: &mut Pairs) -> Option<Self> {
        let known: Vec<(usize, f64)> = series
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, value)| !value.is_nan())
            .collect();
        if known.len() < FEWEST_VALUES {
            return None;
        }
        pairs.slopes.clear();
        let (mut s, mut variance, mut compared) = (0, 0.0, 0.0);
        let mut add = |values: &[(usize, f64)]| {
            s += pairs.compare(values);
            variance += pairs.variance(values);
            let n = values.len() as f64;
            compared += n * (n - 1.0) / 2.0;
        };
        match method {
            TrendMethod::HamedRao(_) if known.len() < series.len() => return None,
            TrendMethod::Plain | TrendMethod::HamedRao(_) => add(&known),
            TrendMethod::Seasonal(season) => {
                for phase in 0..season.max(1) {
                    let of_phase: Vec<_> = known
                        .iter()
                        .copied()
                        .filter(|(step, _)| step % season.max(1) == phase)
                        .collect();
                    if of_phase.len() < FEWEST_OF_SEASON {
                        return None;
                    }
                    add(&of_phase);
                }
            }
        }
        let slope = median(&mut pairs.slopes);
        if let TrendMethod::HamedRao(lag) = method {
            variance *= correction(&known, slope, lag);
        }
        let z = if s == 0 {
            0.0
        } else {
            (s - s.signum()) as f64 / variance.sqrt()
        };
        let mut values: Vec<f64> = known.iter().map(|(_, value)| *value).collect();
        let mut steps: Vec<f64> = known.iter().map(|(step, _)| *step as f64).collect();
        Some(Self {
            s,
            variance,
            z,
            p: two_sided_normal_p(z),
            tau: s as f64 / compared,
            slope,
            intercept: median(&mut values) - slope * median(&mut steps),
        })
    }
}

impl Pairs {
    /// S, and the slopes of all pairs.
    fn compare(&mut self, values: &[(usize, f64)]) -> i64 {
        let mut s = 0;
        for (position, (step, value)) in values.iter().enumerate() {
            for (later, after) in values.iter().skip(position + 1) {
                s += i64::from(after > value) - i64::from(after < value);
                self.slopes.push((after - value) / (later - step) as f64);
            }
        }
        s
    }

    /// [n(n−1)(2n+5) − Σ t(t−1)(2t+5)]/18, t values that are alike.
    fn variance(&mut self, values: &[(usize, f64)]) -> f64 {
        let of = |n: usize| (n * (n - 1) * (2 * n + 5)) as f64;
        self.sorted.clear();
        self.sorted.extend(values.iter().map(|(_, value)| *value));
        self.sorted.sort_unstable_by(f64::total_cmp);
        let alike = self.sorted.chunk_by(|a, b| a >= b).map(|tied| of(tied.len()));
        (of(values.len()) - alike.sum::<f64>()) / 18.0
    }
}

/// By what Var(S) grows where values that follow each other are alike; 1 where that would make it nothing.
fn correction(known: &[(usize, f64)], slope: f64, most_lag: usize) -> f64 {
    let n = known.len();
    let largest = known.iter().map(|(_, value)| value.abs()).fold(0.0, f64::max);
    let unit = ALIKE * largest;
    if unit == 0.0 {
        return 1.0;
    }
    let level: Vec<f64> = known
        .iter()
        .map(|(step, value)| ((value - slope * *step as f64) / unit).round())
        .collect();
    let middle = f64::midpoint(n as f64, 1.0);
    let ranks: Vec<f64> = midranks(&level).into_iter().map(|rank| rank - middle).collect();
    let all: f64 = ranks.iter().map(|rank| rank * rank).sum();
    if all == 0.0 {
        return 1.0;
    }
    let limit = SIGNIFICANT / (n as f64).sqrt();
    let mut sum = 0.0;
    for lag in 1..=most_lag.min(n - 1) {
        let together: f64 = ranks.iter().zip(ranks.iter().skip(lag)).map(|(a, b)| a * b).sum();
        let correlation = together / all;
        if correlation.abs() > limit {
            let left = (n - lag) as f64;
            sum += left * (left - 1.0) * (left - 2.0) * correlation;
        }
    }
    let n = n as f64;
    let factor = 1.0 + 2.0 / (n * (n - 1.0) * (n - 2.0)) * sum;
    if factor > 0.0 { factor } else { 1.0 }
}

/// Ranks from 1; those of values that are alike are their mean.
fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> = values.iter().copied().zip(0..).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|a, b| a.0 >= b.0) {
        let rank = before as f64 + f64::midpoint(tied.len() as f64, 1.0);
        for (_, position) in tied {
            if let Some(slot) = ranks.get_mut(*position) {
                *slot = rank;
            }
        }
        before += tied.len();
    }
    ranks
}

/// The middle one, or the mean of the middle two; 0 of none. Orders `values` as it needs.
fn median(values: &mut [f64]) -> f64 {
    let half = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    let is_even = values.len().is_multiple_of(2);
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let upper = *middle;
    if is_even {
        let lower = below.iter().copied().max_by(f64::total_cmp).unwrap_or(upper);
        f64::midpoint(lower, upper)
    } else {
        upper
    }
}
