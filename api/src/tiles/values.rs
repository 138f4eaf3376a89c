//! What a tile set is made from: the numbers of each cell, and which of them a map shows.

use h3o::{CellIndex, Resolution};

/// One metric of one layer in one window, at one resolution. The lists have one item a cell, in the same order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellValues {
    /// H3 resolution of all cells, 0 to 15.
    pub resolution: u8,
    /// H3 cells, each once; ascending is the fast case.
    pub cells: Vec<u64>,
    /// Events of each cell.
    pub counts: Vec<u64>,
    /// The metric of each cell in its own unit; NaN where it has none. Not read when the metric is `count`.
    pub values: Vec<f64>,
    /// Whether the metric is a whole number by its nature, and so is shown as an integer.
    pub metric_is_integer: bool,
}

/// The numbers do not describe cells of one resolution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCellValues {
    /// The lists differ in length.
    #[error("{cells} cells with {counts} counts and {values} values")]
    Lengths {
        /// Cells given.
        cells: usize,
        /// Counts given.
        counts: usize,
        /// Values given.
        values: usize,
    },
    /// Not an H3 cell of the stated resolution.
    #[error("{cell:#x} is not an H3 cell of resolution {resolution}")]
    Cell {
        /// The offending number.
        cell: u64,
        /// The resolution stated.
        resolution: u8,
    },
    /// A cell is there more than once: which of its values holds cannot be told.
    #[error("cell {cell:x} is there more than once")]
    Twice {
        /// The cell.
        cell: u64,
    },
}

/// A number as a map shows it, equal to the one given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shown {
    Unsigned(u64),
    Signed(i64),
    Double(f64),
    /// A word of a closed list, by its number there.
    Word {
        number: u64,
        text: &'static str,
    },
}

impl Shown {
    /// The number to show for a metric; `None` where the cell has none (NaN), or one that JSON cannot hold.
    pub(crate) fn of(value: f64, is_integer: bool) -> Option<Self> {
        const PAST_EXACT: f64 = (1_u64 << 53) as f64;
        if !value.is_finite() {
            return None;
        }
        if !is_integer || value.fract() != 0.0 || value.abs() > PAST_EXACT {
            // One zero only: equal numbers are to give equal tiles.
            return Some(Self::Double(value + 0.0));
        }
        Some(if value < 0.0 {
            Self::Signed(value as i64)
        } else {
            Self::Unsigned(value as u64)
        })
    }
}

impl CellValues {
    /// Checks all, and puts the cells in ascending order. Afterwards the lists have one length; values that are not read
    /// are NaN.
    pub(crate) fn checked(self, reads_values: bool) -> Result<(Resolution, Self), InvalidCellValues> {
        let values_len = if reads_values {
            self.values.len()
        } else {
            self.cells.len()
        };
        if self.cells.len() != self.counts.len() || self.cells.len() != values_len {
            return Err(InvalidCellValues::Lengths {
                cells: self.cells.len(),
                counts: self.counts.len(),
                values: self.values.len(),
            });
        }
        let resolution = Resolution::try_from(self.resolution).ok();
        let is_valid = |cell: u64| CellIndex::try_from(cell).ok().map(CellIndex::resolution) == resolution;
        let (Some(resolution), None) = (resolution, self.cells.iter().find(|cell| !is_valid(**cell))) else {
            let cell = self
                .cells
                .iter()
                .copied()
                .find(|cell| !is_valid(*cell))
                .unwrap_or_default();
            return Err(InvalidCellValues::Cell {
                cell,
                resolution: self.resolution,
            });
        };
        let values = if reads_values {
            self.values
        } else {
            vec![f64::NAN; self.cells.len()]
        };
        let given = Self { values, ..self };
        let sorted = if given.cells.is_sorted() {
            given
        } else {
            given.sorted()
        };
        match sorted.cells.windows(2).find(|pair| pair.first() == pair.last()) {
            Some(pair) => Err(InvalidCellValues::Twice {
                cell: pair.first().copied().unwrap_or_default(),
            }),
            None => Ok((resolution, sorted)),
        }
    }

    fn sorted(self) -> Self {
        let mut rows: Vec<(u64, u64, f64)> = self
            .cells
            .into_iter()
            .zip(self.counts)
            .zip(self.values)
            .map(|((cell, count), value)| (cell, count, value))
            .collect();
        rows.sort_unstable_by_key(|(cell, ..)| *cell);
        Self {
            cells: rows.iter().map(|(cell, ..)| *cell).collect(),
            counts: rows.iter().map(|(_, count, _)| *count).collect(),
            values: rows.iter().map(|(.., value)| *value).collect(),
            resolution: self.resolution,
            metric_is_integer: self.metric_is_integer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(cells: &[u64]) -> CellValues {
        CellValues {
            resolution: 9,
            cells: cells.to_vec(),
            counts: (1..=cells.len() as u64).collect(),
            values: (1..=cells.len()).map(|value| value as f64).collect(),
            metric_is_integer: false,
        }
    }

    const A: u64 = 0x0892_8308_280f_ffff;
    const B: u64 = 0x0892_8308_2807_ffff;

    #[test]
    fn order_is_put_right_with_each_number_kept_by_its_cell() {
        let (_, sorted) = values(&[A, B]).checked(true).expect("valid");
        assert_eq!(
            (sorted.cells, sorted.counts, sorted.values),
            (vec![B, A], vec![2, 1], vec![2.0, 1.0])
        );
    }

    #[test]
    fn what_is_no_cell_of_the_resolution_is_refused() {
        assert!(matches!(
            values(&[A, 7]).checked(true),
            Err(InvalidCellValues::Cell {
                cell: 7,
                resolution: 9
            })
        ));
        let coarser = CellValues {
            resolution: 8,
            ..values(&[A])
        };
        assert!(matches!(
            coarser.checked(true),
            Err(InvalidCellValues::Cell {
                cell: A,
                resolution: 8
            })
        ));
        let no_resolution = CellValues {
            resolution: 16,
            ..values(&[])
        };
        assert!(no_resolution.checked(true).is_err());
    }

    #[test]
    fn a_cell_twice_or_a_list_too_short_is_refused() {
        assert!(matches!(
            values(&[A, B, A]).checked(true),
            Err(InvalidCellValues::Twice { cell: A })
        ));
        let short = CellValues {
            values: vec![],
            ..values(&[A])
        };
        assert!(matches!(
            short.clone().checked(true),
            Err(InvalidCellValues::Lengths { .. })
        ));
        assert!(short.checked(false).is_ok());
    }

    #[test]
    fn whole_numbers_are_shown_as_such_and_others_exactly() {
        assert_eq!(Shown::of(3.0, true), Some(Shown::Unsigned(3)));
        assert_eq!(Shown::of(-3.0, true), Some(Shown::Signed(-3)));
        assert_eq!(Shown::of(3.5, true), Some(Shown::Double(3.5)));
        assert_eq!(Shown::of(1e300, true), Some(Shown::Double(1e300)));
        assert_eq!(Shown::of(3.0, false), Some(Shown::Double(3.0)));
        assert_eq!(Shown::of(f64::NAN, false), None);
        assert_eq!(Shown::of(f64::INFINITY, true), None);
        let Some(Shown::Double(zero)) = Shown::of(-0.0, false) else {
            panic!("a double")
        };
        assert!(zero.is_sign_positive());
    }
}
