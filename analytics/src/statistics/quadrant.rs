//! How a cell and its neighbours lie to the mean: the four quarters of Moran's scatter plot (Anselin 1995).

use std::fmt;

/// High or low, the cell first, its neighbours second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quadrant {
    /// High among high: the middle of a hot spot.
    HighHigh,
    /// Low among high: a hole in one.
    LowHigh,
    /// Low among low: the middle of a cold spot.
    LowLow,
    /// High among low: a spike.
    HighLow,
    /// The cell or its neighbours lie at the mean, or there are no neighbours, or all cells are alike.
    None,
}

impl Quadrant {
    /// Quadrant of a cell that lies `own` above the mean and its neighbours `near` together, in any unit.
    #[must_use]
    pub const fn of(own: i128, near: i128) -> Self {
        match (own.signum(), near.signum()) {
            (1, 1) => Self::HighHigh,
            (-1, 1) => Self::LowHigh,
            (-1, -1) => Self::LowLow,
            (1, -1) => Self::HighLow,
            _ => Self::None,
        }
    }

    /// The name in SQL: `HH`, `LH`, `LL`, `HL` or `none`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HighHigh => "HH",
            Self::LowHigh => "LH",
            Self::LowLow => "LL",
            Self::HighLow => "HL",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Quadrant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cell_comes_first_and_the_mean_itself_is_neither() {
        let cases = [
            (5, 1, "HH"),
            (-5, 1, "LH"),
            (-1, -9, "LL"),
            (1, -9, "HL"),
            (0, 4, "none"),
            (4, 0, "none"),
            (0, 0, "none"),
        ];
        for (own, near, name) in cases {
            assert_eq!(Quadrant::of(own, near).to_string(), name, "{own} {near}");
        }
    }
}
