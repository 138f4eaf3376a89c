//! The word that an answer gives a cell, by sign and false discovery rate.

use std::fmt;

/// Hot or cold, and the strictest false discovery rate (1, 5, 10 %) at which the cell is still called.
///
/// `_99` bounds the share of false calls in the answer by 1 %; it is not a confidence in that one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HotspotClass {
    /// z > 0, q ≤ .01
    Hot99,
    /// z > 0, q ≤ .05
    Hot95,
    /// z > 0, q ≤ .10
    Hot90,
    /// Not called, or no statistic.
    None,
    /// z < 0, q ≤ .10
    Cold90,
    /// z < 0, q ≤ .05
    Cold95,
    /// z < 0, q ≤ .01
    Cold99,
}

/// How many standard deviations a cell lies above the mean; NaN where that is undefined.
#[derive(Clone, Copy, Debug)]
pub struct Score(pub f64);

impl HotspotClass {
    /// Every class, from hottest to coldest: the legend.
    pub const ALL: [Self; 7] = [
        Self::Hot99,
        Self::Hot95,
        Self::Hot90,
        Self::None,
        Self::Cold90,
        Self::Cold95,
        Self::Cold99,
    ];

    /// Class of a cell with this score (NaN: undefined) and its q, the false discovery rate.
    #[must_use]
    pub fn of(Score(z): Score, q: f64) -> Self {
        let classes = match z {
            z if z > 0.0 => [Self::Hot99, Self::Hot95, Self::Hot90],
            z if z < 0.0 => [Self::Cold99, Self::Cold95, Self::Cold90],
            _ => return Self::None,
        };
        match q {
            q if q <= 0.01 => classes[0],
            q if q <= 0.05 => classes[1],
            q if q <= 0.10 => classes[2],
            _ => Self::None,
        }
    }

    /// The name in SQL: `hot_99` … `none` … `cold_99`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hot99 => "hot_99",
            Self::Hot95 => "hot_95",
            Self::Hot90 => "hot_90",
            Self::None => "none",
            Self::Cold90 => "cold_90",
            Self::Cold95 => "cold_95",
            Self::Cold99 => "cold_99",
        }
    }
}

impl fmt::Display for HotspotClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_belong_to_the_stricter_class() {
        let cases = [
            (2.0, 0.01, "hot_99"),
            (2.0, 0.010_000_1, "hot_95"),
            (2.0, 0.05, "hot_95"),
            (2.0, 0.10, "hot_90"),
            (2.0, 0.100_1, "none"),
            (-2.0, 0.0, "cold_99"),
            (-2.0, 0.05, "cold_95"),
            (-2.0, 0.07, "cold_90"),
            (0.0, 0.0, "none"),
            (f64::NAN, 1.0, "none"),
        ];
        for (z, q, name) in cases {
            assert_eq!(HotspotClass::of(Score(z), q).to_string(), name, "{z} {q}");
        }
    }
}
