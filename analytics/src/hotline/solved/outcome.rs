//! What became of a hotspot.

use serde::Serialize;

use super::ratio::{RateRatio, rate_ratio};

/// The least sums that anything is said of.
const LEAST: u64 = 10;
const SIGNIFICANT: f64 = 0.05;
/// From this quotient on all of it went next door.
const DISPLACED: f64 = -1.0;

/// Weekly counts of a place, before and after.
#[derive(Clone, Copy, Debug)]
pub struct WeeklyCounts<'a> {
    /// The weeks before.
    pub before: &'a [u64],
    /// As many weeks after.
    pub after: &'a [u64],
}

/// What is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing can be said.
    TooFew,
    /// It may be chance.
    Unclear,
    /// It became more.
    Worse,
    /// It became less here, and more around.
    Moved,
    /// It became less.
    Solved,
}

/// The numbers, and what they come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Here.
    pub ratio: RateRatio,
    /// Around.
    pub around: RateRatio,
    /// The weighted displacement quotient; `None` where nothing changed here.
    pub wdq: Option<f64>,
    /// The total net effect, in reports.
    pub tne: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
}

/// Judges a hotspot by its own cells, the rings around them, and the district's other cells.
pub fn outcome(here: WeeklyCounts<'_>, around: WeeklyCounts<'_>, elsewhere: WeeklyCounts<'_>) -> Outcome {
    let sum = |weeks: &[u64]| weeks.iter().sum::<u64>();
    let sums = |counts: WeeklyCounts<'_>| (sum(counts.before), sum(counts.after));
    let ((a0, a1), (b0, b1), (c0, c1)) = (sums(here), sums(around), sums(elsewhere));
    let ratio = rate_ratio(here.before, here.after, elsewhere.before, elsewhere.after);
    let ratio_around = rate_ratio(around.before, around.after, elsewhere.before, elsewhere.after);
    let [a0f, a1f, b0f, b1f, c0f, c1f] = [a0, a1, b0, b1, c0, c1].map(|sum| sum as f64);
    let wdq = (b1f / c1f - b0f / c0f) / (a1f / c1f - a0f / c0f);
    let tne = (a0f * c1f / c0f - a1f) + (b0f * c1f / c0f - b1f);
    let wdq = Some(wdq).filter(|number| number.is_finite());
    let went_around = ratio_around.theta > 1.0 && ratio_around.p <= SIGNIFICANT;
    let verdict = if a0 < LEAST || c0 < LEAST || c1 < LEAST {
        Verdict::TooFew
    } else if SIGNIFICANT < ratio.p {
        Verdict::Unclear
    } else if 1.0 < ratio.theta {
        Verdict::Worse
    } else if went_around || wdq.is_some_and(|wdq| wdq <= DISPLACED) {
        Verdict::Moved
    } else {
        Verdict::Solved
    };
    Outcome {
        ratio,
        around: ratio_around,
        wdq,
        tne: Some(tne).filter(|number| number.is_finite()),
        verdict,
    }
}
