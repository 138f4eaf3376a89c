//! Sets of cells of one resolution, as ranges of ids: what a filter keeps, what an area holds, what somebody may see.

use std::ops::Range;
use std::sync::Arc;

use super::ids::ALL_CELLS;

/// Cells as ranges of their ids, ascending and apart. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CellSet {
    ranges: Arc<[Range<u64>]>,
}

impl CellSet {
    /// Every cell.
    pub fn all() -> Self {
        Self {
            ranges: Arc::new([ALL_CELLS]),
        }
    }

    /// No cell.
    pub fn none() -> Self {
        Self { ranges: Arc::new([]) }
    }

    /// The ids that are in any of `ranges`, which may be in any order and overlap.
    pub fn of(mut ranges: Vec<Range<u64>>) -> Self {
        ranges.retain(|range| range.start < range.end);
        ranges.sort_unstable_by_key(|range| range.start);
        let mut apart: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match apart.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        Self { ranges: apart.into() }
    }

    /// The ranges, ascending and apart.
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// Whether it holds every cell.
    pub fn is_all(&self) -> bool {
        *self.ranges == [ALL_CELLS]
    }

    /// Whether it holds no cell.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether it holds `cell`.
    pub fn holds(&self, cell: u64) -> bool {
        let after = self.ranges.partition_point(|range| range.start <= cell);
        let before = after.checked_sub(1).and_then(|place| self.ranges.get(place));
        before.is_some_and(|range| cell < range.end)
    }

    /// What both hold.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        if self.is_all() {
            return other.clone();
        }
        if other.is_all() {
            return self.clone();
        }
        let mut both = Vec::new();
        let (mut ours, mut theirs) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some(a), Some(b)) = (ours.peek(), theirs.peek()) {
            let (start, end) = (a.start.max(b.start), a.end.min(b.end));
            if start < end {
                both.push(start..end);
            }
            if a.end <= b.end {
                ours.next();
            } else {
                theirs.next();
            }
        }
        Self { ranges: both.into() }
    }

    /// What either holds.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self::of(self.ranges.iter().chain(other.ranges.iter()).cloned().collect())
    }

    /// Where in `cells`, which ascend, those are that it holds: runs, ascending and apart. Takes time with the lesser of
    /// its ranges and the runs.
    pub fn rows_in<'a>(&'a self, cells: &'a [u64]) -> impl Iterator<Item = Range<usize>> + 'a {
        let mut row = 0;
        let mut ranges = &*self.ranges;
        std::iter::from_fn(move || {
            loop {
                let left = cells.get(row..)?;
                let next = *left.first()?;
                // Ranges before the next cell hold nothing more, and cells before the next range are in none.
                ranges = ranges.get(ranges.partition_point(|range| range.end <= next)..)?;
                let range = ranges.first()?;
                let start = row + left.partition_point(|cell| *cell < range.start);
                let end = row + left.partition_point(|cell| *cell < range.end);
                row = end.max(start);
                if start < end {
                    return Some(start..end);
                }
            }
        })
    }

    /// How many of `cells`, which ascend, it holds.
    pub fn count_in(&self, cells: &[u64]) -> usize {
        if self.is_all() {
            return cells.len();
        }
        self.rows_in(cells).map(|rows| rows.len()).sum()
    }
}

impl Default for CellSet {
    fn default() -> Self {
        Self::all()
    }
}

impl From<Range<u64>> for CellSet {
    fn from(range: Range<u64>) -> Self {
        Self::of(vec![range])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges() -> impl Strategy<Value = Vec<Range<u64>>> {
        prop::collection::vec((0..60_u64, 0..12_u64), 0..12).prop_map(|pairs| {
            pairs
                .into_iter()
                .map(|(start, length)| start..start + length)
                .collect()
        })
    }

    fn hold(ranges: &[Range<u64>], cell: u64) -> bool {
        ranges.iter().any(|range| range.contains(&cell))
    }

    proptest! {
        #[test]
        fn a_set_is_what_a_look_at_every_range_says(
            one in ranges(),
            other in ranges(),
            cells in prop::collection::btree_set(0..80_u64, 0..40),
        ) {
            let (first, second) = (CellSet::of(one.clone()), CellSet::of(other.clone()));
            for set in [&first, &second, &first.and(&second), &first.or(&second)] {
                let apart = set.ranges().windows(2).all(|pair| pair[0].end < pair[1].start);
                prop_assert!(apart && set.ranges().iter().all(|range| range.start < range.end));
            }
            for cell in 0..80 {
                let (in_one, in_other) = (hold(&one, cell), hold(&other, cell));
                prop_assert_eq!(first.holds(cell), in_one);
                prop_assert_eq!(first.and(&second).holds(cell), in_one && in_other);
                prop_assert_eq!(first.or(&second).holds(cell), in_one || in_other);
            }
            let cells: Vec<u64> = cells.into_iter().collect();
            let found: Vec<u64> = first.rows_in(&cells).flat_map(|rows| cells[rows].to_vec()).collect();
            let slow: Vec<u64> = cells.iter().copied().filter(|cell| hold(&one, *cell)).collect();
            prop_assert_eq!(first.count_in(&cells), slow.len());
            prop_assert_eq!(found, slow);
        }
    }

    #[test]
    fn all_hold_everything_and_none_nothing() {
        assert!(CellSet::all().is_all() && CellSet::all().holds(0x0894_11ca_1b67_ffff));
        assert!(CellSet::none().is_empty() && !CellSet::none().holds(7));
        assert_eq!(CellSet::all().and(&CellSet::from(3..5)), CellSet::from(3..5));
        assert_eq!(CellSet::all().or(&CellSet::from(3..5)), CellSet::all());
    }
}
