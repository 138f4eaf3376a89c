//! Models that compare a window with the same hours of the days before: EARS C1 to C3 (Hutwagner et al. 2003), a CUSUM, and
//! Farrington's (1996) with the weights of Noufaily et al. (2013), without terms for trend and season.

use super::super::count_law::upper_tail;

/// A standard deviation counts as at least this.
const LEAST_DEVIATION: f64 = 0.5;
/// Days that EARS compares with.
const DAYS: usize = 7;
/// Beyond it an EARS statistic alarms.
const EARS_ALARM: f64 = 3.0;
/// Beyond it C3 does.
const C3_ALARM: f64 = 2.0;
/// Half the shift, in standard deviations, that a CUSUM looks for.
const CUSUM_REFERENCE: f64 = 1.04;
/// From here on it alarms.
const CUSUM_ALARM: f64 = 2.26;
/// Events a day below which a CUSUM says nothing.
const FEWEST_EVENTS: f64 = 0.5;
/// Residuals beyond which earlier bursts weigh less.
const FARRINGTON_RESIDUAL: f64 = 2.58;

/// A model with a statistic of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayModel {
    /// Against the seven days before.
    EarsC1,
    /// Against seven days, two days before.
    EarsC2,
    /// C2 of the last three days together.
    EarsC3,
    /// What has piled up since the first half.
    Cusum,
}

impl DayModel {
    /// Of a series, oldest first, today last: the statistic, and whether it alarms. `None` where the series is too short.
    #[must_use]
    pub fn judge(self, series: &[f64]) -> Option<(f64, bool)> {
        match self {
            Self::EarsC1 => ears_c1(series).map(|statistic| (statistic, statistic > EARS_ALARM)),
            Self::EarsC2 => ears_c2(series).map(|statistic| (statistic, statistic > EARS_ALARM)),
            Self::EarsC3 => ears_c3(series).map(|statistic| (statistic, statistic > C3_ALARM)),
            Self::Cusum => cusum(series).map(|statistic| (statistic, statistic >= CUSUM_ALARM)),
        }
    }
}

/// How far the last of a series is above the mean of the seven days that end so many days before it, in their standard
/// deviations.
fn above(series: &[f64], days_before: usize) -> Option<f64> {
    let (today, before) = series.split_last()?;
    let end = before.len().checked_sub(days_before)?;
    let days = before.get(end.checked_sub(DAYS)?..end)?;
    let number = days.len() as f64;
    let mean = days.iter().sum::<f64>() / number;
    let squares: f64 = days.iter().map(|day| (day - mean).powi(2)).sum();
    let deviation = (squares / (number - 1.0)).sqrt().max(LEAST_DEVIATION);
    Some((today - mean) / deviation)
}

/// C1 of the last of a series.
#[must_use]
pub fn ears_c1(series: &[f64]) -> Option<f64> {
    above(series, 0)
}

/// C2 of the last of a series.
#[must_use]
pub fn ears_c2(series: &[f64]) -> Option<f64> {
    above(series, 2)
}

/// C3 of the last of a series.
#[must_use]
pub fn ears_c3(series: &[f64]) -> Option<f64> {
    let of_day = |back: usize| ears_c2(series.get(..series.len().checked_sub(back)?)?);
    let days = [of_day(0)?, of_day(1)?, of_day(2)?];
    Some(days.iter().map(|statistic| (statistic - 1.0).max(0.0)).sum())
}

fn cusum(series: &[f64]) -> Option<f64> {
    let (before, after) = series.split_at(series.len() / 2);
    let mean = before.iter().sum::<f64>() / before.len() as f64;
    if before.is_empty() || mean < FEWEST_EVENTS {
        return None;
    }
    let add = |sum: f64, day: &f64| (sum + (day - mean) / mean.sqrt() - CUSUM_REFERENCE).max(0.0);
    Some(after.iter().fold(0.0, add))
}

/// What Farrington's model says of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Farrington {
    /// Events expected.
    pub expected: f64,
    /// 1/size of the negative binomial law; 0 for the Poisson law.
    pub inverse_size: f64,
    /// Upper tail.
    pub p: f64,
}

impl Farrington {
    /// Of a window's count, by reference windows. `None` where nothing happened in these.
    #[must_use]
    pub fn of(count: u64, references: &[f64]) -> Option<Self> {
        Self::with_threshold(count, references, FARRINGTON_RESIDUAL)
    }

    pub(super) fn with_threshold(count: u64, references: &[f64], threshold: f64) -> Option<Self> {
        let n = references.len() as f64;
        let even = vec![1.0; references.len()];
        let (mean, dispersion) = mean_and_dispersion(references, &even)?;
        let weight = |y: &f64| {
            let residual = 1.5 * (y.powf(2.0 / 3.0) * mean.powf(-1.0 / 6.0) - mean.sqrt())
                / (dispersion * (1.0 - 1.0 / n)).sqrt();
            if residual > threshold {
                residual.powi(-2)
            } else {
                1.0
            }
        };
        let weights: Vec<f64> = references.iter().map(weight).collect();
        let all: f64 = weights.iter().sum();
        let weights: Vec<f64> = weights.iter().map(|weight| weight * n / all).collect();
        let (expected, dispersion) = mean_and_dispersion(references, &weights)?;
        let inverse_size = (dispersion - 1.0) / expected;
        Some(Self {
            expected,
            inverse_size,
            p: upper_tail(count, expected, inverse_size),
        })
    }
}

fn mean_and_dispersion(references: &[f64], weights: &[f64]) -> Option<(f64, f64)> {
    let n = references.len() as f64;
    let weighted = references.iter().zip(weights);
    let mean = weighted.clone().map(|(y, weight)| y * weight).sum::<f64>() / n;
    if n < 2.0 || mean <= 0.0 {
        return None;
    }
    let apart: f64 = weighted.map(|(y, weight)| weight * (y - mean).powi(2)).sum();
    Some((mean, (apart / mean / (n - 1.0)).max(1.0)))
}
