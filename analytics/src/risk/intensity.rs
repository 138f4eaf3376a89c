//! Intensity: marks that fade by half each half-life, A = Σ m·2^(−age/τ).
//!
//! Kept by forward decay (Cormode, Shkapenyuk, Srivastava and Xu 2009, "Forward decay: a practical time decay model for
//! streaming systems"): each mark is weighed once, against a landmark in the past, and what is read is divided by how far
//! time has come since. So late marks cost what others do, and nothing is touched while time goes by.
//!
//! Weighed marks are whole numbers of a very small unit, so that sums are the same bits in any order, and taking out what
//! was added leaves nothing behind.

use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::Span;

/// How many half-lives behind the moment a landmark is put.
const BEHIND: i64 = 24;
/// A landmark that lies further behind, in half-lives, is moved on.
const FURTHEST: i64 = 48;
/// Bits of a weighed mark after the point: read 24 to 48 half-lives on, the unit is at most 2⁻⁶⁸, and before the point there
/// is room for 2³⁵ marks that are brand-new.
const FRACTION: i32 = 44;
/// Marks older than this many half-lives are 2⁻⁷² of what they were; a cell would need 10¹² of them to have a row.
pub const HORIZON: i64 = 72;

/// How long a mark takes to count half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfLife {
    micros: i64,
}

impl HalfLife {
    /// `None` unless it is within ten minutes to thirty days.
    pub const fn new(micros: i64) -> Option<Self> {
        const MINUTE: i64 = 60_000_000;
        if micros >= 10 * MINUTE && micros <= 30 * 24 * 60 * MINUTE {
            Some(Self { micros })
        } else {
            None
        }
    }

    /// Half of one: the variance of marks fades twice as fast as they do.
    #[must_use]
    pub const fn half_of(whole: Self) -> Self {
        Self {
            micros: whole.micros / 2,
        }
    }

    /// In microseconds.
    pub const fn micros(self) -> i64 {
        self.micros
    }

    /// In hours.
    pub fn hours(self) -> f64 {
        self.micros as f64 / 3.6e9
    }

    /// What is left of 1 after an age in microseconds.
    pub fn left_after(self, age: f64) -> f64 {
        (-age / self.micros as f64).exp2()
    }
}

/// The middle of a bucket, where its events are taken to be (half-bucket convention): exact to sinh(x)/x − 1 with
/// x = d·ln 2/(2τ) if they are even in it.
pub fn middle(span: Span) -> EventTime {
    span.start.plus(span.end.since(span.start) / 2)
}

/// What events count as: `count + severity_factor·weight`.
pub fn mark(count: u64, weight: u64, severity_factor: f64) -> f64 {
    severity_factor.mul_add(weight as f64, count as f64)
}

/// The moment against which marks are weighed: a whole number of half-lives after the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landmark {
    half_life: HalfLife,
    number: i64,
}

/// Weighed marks, relative to a landmark. They merge by adding, in any order, to the same bits. A whole number of 128 bits in
/// two halves, the lower one first: as one it would be aligned to 16 bytes, and a cell would take so much more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weighed([u64; 2]);

impl Landmark {
    /// The landmark of surfaces about a moment.
    pub const fn about(half_life: HalfLife, at: EventTime) -> Self {
        Self {
            half_life,
            number: at.micros().div_euclid(half_life.micros) - BEHIND,
        }
    }

    const fn since(self, time: EventTime) -> i64 {
        time.micros() - self.number * self.half_life.micros
    }

    /// What marks in a bucket weigh.
    pub fn weigh(self, marks: f64, span: Span) -> Weighed {
        let exponent = self.since(middle(span)) as f64 / self.half_life.micros as f64;
        // Out of range it stays at the end of the range.
        Weighed::of((marks * (exponent + f64::from(FRACTION)).exp2()).round() as i128)
    }

    /// The intensity that weighed marks have at a moment.
    pub fn intensity(self, weighed: Weighed, at: EventTime) -> f64 {
        weighed.times(self.unit(at))
    }

    /// The intensity of the smallest weight at a moment.
    pub fn unit(self, at: EventTime) -> f64 {
        let exponent = self.since(at) as f64 / self.half_life.micros as f64;
        (-exponent - f64::from(FRACTION)).exp2()
    }

    /// Whether a moment is so far on that the landmark must be moved, or before it.
    pub const fn is_worn_out(self, at: EventTime) -> bool {
        let since = self.since(at);
        since > FURTHEST * self.half_life.micros || since < 0
    }

    /// By how many half-lives a later landmark lies after this one.
    pub const fn steps_to(self, later: Self) -> i64 {
        later.number - self.number
    }
}

impl Weighed {
    const fn of(number: i128) -> Self {
        Self([number as u64, (number >> 64) as u64])
    }

    const fn number(self) -> i128 {
        let [low, high] = self.0;
        (high as i128) << 64 | low as i128
    }

    /// The intensity where the smallest weight has this one.
    pub fn times(self, unit: f64) -> f64 {
        self.number() as f64 * unit
    }

    /// Adds others.
    pub const fn add(&mut self, other: Self) {
        *self = Self::of(self.number().saturating_add(other.number()));
    }

    /// Takes out what was added.
    pub const fn subtract(&mut self, other: Self) {
        *self = Self::of(self.number().saturating_sub(other.number()));
    }

    /// The same marks against a landmark `steps` half-lives later: exact, but for the last bit.
    #[must_use]
    pub const fn moved(self, steps: i64) -> Self {
        match steps {
            ..=0 => self,
            1..=120 => {
                let half = 1_i128 << (steps - 1);
                Self::of(self.number().saturating_add(half) >> steps)
            }
            _ => Self::of(0),
        }
    }

    /// Whether nothing is left but the last bits of what was moved and taken out again.
    pub const fn is_nothing(self) -> bool {
        self.number().unsigned_abs() < 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use riskgrid_ingest::{HOUR, MINUTE};

    fn span(start: i64, length: i64) -> Span {
        let start = EventTime::from_micros(start);
        Span {
            start,
            end: start.plus(length),
        }
    }

    /// A = Σ m·2^(−age/τ), as the model says it.
    fn recomputed(buckets: &[(Span, f64)], at: EventTime, half_life: HalfLife) -> f64 {
        let fades =
            |(span, marks): &(Span, f64)| marks * half_life.left_after(at.since(middle(*span)) as f64);
        buckets.iter().map(fades).sum()
    }

    proptest! {
        #[test]
        fn kept_as_marks_come_it_is_what_it_is_from_the_buckets(
            buckets in prop::collection::vec((0..4000_i64, 1..5000_u64, 0..20_000_u64, any::<bool>(), any::<bool>()), 1..40),
            half_life in (10 * MINUTE..30 * 24 * HOUR),
            moments in prop::collection::vec(0..90_i64, 1..6),
        ) {
            let half_life = HalfLife::new(half_life).unwrap();
            let now = 1_795_334_400_000_000;
            let start = EventTime::from_micros(now);
            let mut landmark = Landmark::about(half_life, start);
            let (mut kept, mut all) = (Weighed::default(), Vec::new());
            for (minutes, count, weight, is_hour, is_taken_out) in buckets {
                let bucket = span(now - minutes * MINUTE, if is_hour { HOUR } else { MINUTE });
                let marks = mark(count, weight, 0.5);
                kept.add(landmark.weigh(marks, bucket));
                if is_taken_out {
                    kept.subtract(landmark.weigh(marks, bucket));
                } else {
                    all.push((bucket, marks));
                }
            }
            let mut moments = moments;
            moments.sort_unstable();
            for half_lives in moments {
                let at = start.plus(half_lives * half_life.micros());
                if landmark.is_worn_out(at) {
                    let later = Landmark::about(half_life, at);
                    kept = kept.moved(landmark.steps_to(later));
                    landmark = later;
                }
                let (is, should) = (landmark.intensity(kept, at), recomputed(&all, at, half_life));
                prop_assert!((is - should).abs() <= 1e-9 * should.max(1e-9), "{is} {should}");
            }
        }
    }

    #[test]
    fn what_is_taken_out_again_leaves_nothing_behind() {
        let half_life = HalfLife::new(2 * HOUR).unwrap();
        let at = EventTime::from_micros(1_795_334_400_000_000);
        let landmark = Landmark::about(half_life, at);
        let (flood, drop) = (
            landmark.weigh(1e9, span(at.micros(), MINUTE)),
            landmark.weigh(1.0, span(at.micros() - 60 * HOUR, MINUTE)),
        );
        let mut kept = drop;
        kept.add(flood);
        kept.subtract(flood);
        assert_eq!(kept, drop);
        kept.subtract(drop);
        assert!(kept.is_nothing());
    }

    #[test]
    fn half_lives_are_ten_minutes_to_thirty_days() {
        assert!(HalfLife::new(10 * MINUTE - 1).is_none());
        assert!(HalfLife::new(10 * MINUTE).is_some());
        assert!(HalfLife::new(30 * 24 * HOUR).is_some());
        assert!(HalfLife::new(30 * 24 * HOUR + 1).is_none());
    }

    #[test]
    fn the_error_of_half_buckets_is_what_the_model_says() {
        let x = |d: f64, half_life: f64| d * std::f64::consts::LN_2 / (2.0 * half_life);
        let even = x(60.0, 3600.0);
        assert!((even.sinh() / even - 1.0 - 5.6e-6).abs() < 5e-8);
        assert!(((60.0_f64 / (2.0 * 3600.0)).exp2() - 1.0 - 0.0058).abs() < 5e-5);
    }
}
