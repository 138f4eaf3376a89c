//! The hazard index of a report layer: how much there is, and how much more than the cell's own past would have.

use super::baseline::Expected;

/// What makes an intensity an index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HazardScale {
    /// The intensity whose level is one half.
    pub half_level: f64,
    /// The share of the surprise in the index; the rest is the level's.
    pub surprise_weight: f64,
}

/// z at which the surprise is one half.
const HALF_SURPRISE: f64 = 4.0;

/// The index with what it is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HazardIndex {
    /// `H`, 0 to 1.
    pub hazard: f64,
    /// 0 to 1.
    pub level: f64,
    /// How far the intensity is above what was expected, in standard deviations; none without a baseline.
    pub z: Option<f64>,
    /// 0 to 1; none without a baseline.
    pub surprise: Option<f64>,
}

impl HazardScale {
    /// A'/(A' + a): ten times the half level gives .91, a hundred times .99.
    pub fn level(&self, intensity: f64) -> f64 {
        intensity / (intensity + self.half_level)
    }

    /// The index of an intensity, monotone in it.
    pub fn index(&self, intensity: f64, expected: Option<Expected>) -> HazardIndex {
        let level = self.level(intensity);
        let Some(expected) = expected else {
            return HazardIndex {
                hazard: level,
                level,
                z: None,
                surprise: None,
            };
        };
        let z = (intensity - expected.mean) / expected.variance.sqrt();
        let above = z.max(0.0);
        let surprise = above / (above + HALF_SURPRISE);
        HazardIndex {
            hazard: (1.0 - self.surprise_weight) * level + self.surprise_weight * surprise,
            level,
            z: Some(z),
            surprise: Some(surprise),
        }
    }

    /// The index of a cell in which all is as expected.
    pub fn as_expected(&self, expected: Expected) -> f64 {
        (1.0 - self.surprise_weight) * self.level(expected.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ten_times_the_half_level_is_91_hundredths_and_a_hundred_times_99() {
        let scale = HazardScale {
            half_level: 1.675,
            surprise_weight: 0.25,
        };
        assert!((scale.level(16.75) - 0.91).abs() < 0.001);
        assert!((scale.level(167.5) - 0.99).abs() < 0.001);
    }

    proptest! {
        #[test]
        fn it_never_falls_when_the_intensity_grows(
            less in 0.0..100.0_f64, more in 0.0..100.0_f64, mean in 0.0..50.0_f64, variance in 0.05..50.0_f64, weight in 0.0..=1.0_f64,
        ) {
            let scale = HazardScale { half_level: 3.0, surprise_weight: weight };
            for expected in [None, Some(Expected { mean, variance })] {
                let index = |intensity| scale.index(intensity, expected).hazard;
                prop_assert!(index(less) <= index(less + more) + 1e-12);
                prop_assert!((0.0..=1.0).contains(&index(less)));
            }
        }
    }
}
