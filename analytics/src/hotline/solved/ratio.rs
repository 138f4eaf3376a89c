//! How much more, or less, reports became than elsewhere.

use serde::Serialize;

use super::fisher::fisher_p;
use super::student::student_p;

/// Below this many before or after, Fisher's test has a say.
const FEW: u64 = 5;

/// The ratio of two ratios, after over before here, after over before elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RateRatio {
    /// Below 1: it became less than elsewhere.
    pub theta: f64,
    /// The dispersion of the counts here, 1 or more.
    pub phi: f64,
    /// The dispersion elsewhere.
    pub phi_elsewhere: f64,
    /// Degrees of freedom.
    pub nu: f64,
    /// ln θ over its standard error.
    pub t: f64,
    /// Two-sided.
    pub p: f64,
}

/// Of weekly counts here and elsewhere, before and after; each span has the same number of weeks, at least two.
pub fn rate_ratio(
    before: &[u64],
    after: &[u64],
    elsewhere_before: &[u64],
    elsewhere_after: &[u64],
) -> RateRatio {
    let sums = [before, after, elsewhere_before, elsewhere_after].map(|weeks| weeks.iter().sum::<u64>());
    let correction = if sums.contains(&0) { 0.5 } else { 0.0 };
    let [here_before, here_after, there_before, there_after] = sums.map(|sum| sum as f64 + correction);
    let (phi, phi_elsewhere) = (
        dispersion(&[before, after]),
        dispersion(&[elsewhere_before, elsewhere_after]),
    );
    let here = phi * (1.0 / here_before + 1.0 / here_after);
    let there = phi_elsewhere * (1.0 / there_before + 1.0 / there_after);
    let freedom = (before.len() + after.len()).saturating_sub(2) as f64;
    let log = ((here_after / here_before) / (there_after / there_before)).ln();
    let nu = (here + there).powi(2) * freedom / (here * here + there * there);
    let t = log / (here + there).sqrt();
    let mut p = student_p(t, nu);
    let [before, after, elsewhere_before, elsewhere_after] = sums;
    if before.min(after) < FEW {
        p = p.max(fisher_p(after, before, elsewhere_after, elsewhere_before));
    }
    RateRatio {
        theta: log.exp(),
        phi,
        phi_elsewhere,
        nu,
        t,
        p,
    }
}

/// Pearson's dispersion of weekly counts about the mean of their span; never below 1. A span of nothing says nothing.
fn dispersion(spans: &[&[u64]]) -> f64 {
    let (mut chi_square, mut freedom) = (0.0, 0.0);
    for weeks in spans {
        let mean = weeks.iter().sum::<u64>() as f64 / weeks.len() as f64;
        if 0.0 < mean {
            let squares = weeks.iter().map(|count| (*count as f64 - mean).powi(2));
            chi_square += squares.sum::<f64>() / mean;
            freedom += weeks.len() as f64 - 1.0;
        }
    }
    if freedom == 0.0 {
        return 1.0;
    }
    (chi_square / freedom).max(1.0)
}
