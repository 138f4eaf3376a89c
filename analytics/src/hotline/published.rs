//! The published table of ratings: offices by classes with all totals, in which no small count can be read or worked out.

use std::collections::BTreeSet;

/// The least count that is shown.
pub const SUPPRESSED_BELOW: u64 = 5;

/// A table with some cells hidden, all of them alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedTable {
    /// Row by row; `None` is hidden.
    pub cells: Vec<Vec<Option<u64>>>,
    /// Of each row, hidden cells included.
    pub row_totals: Vec<u64>,
    /// Of each column.
    pub column_totals: Vec<u64>,
    /// Of all.
    pub total: u64,
}

/// A cell: row and column.
type Cell = (usize, usize);

/// Hides counts from 1 up to `k` and, for each of them, a rectangle of others, so that it could be another count with the same
/// totals; then more, where what is hidden in a line sums up to less than `k`. `None`: the table must be withheld whole.
///
/// A count n > 0 hidden at (r, c) has hidden corners (r, c') and (r', c) of at least 2 and (r', c') above 0: one more in the
/// first and the last, one less in the two others, is another table that looks the same.
pub fn published_table(counts: &[Vec<u64>], k: u64) -> Option<PublishedTable> {
    let hidden = hidden_cells(counts, k)?;
    let columns = counts.first().map_or(0, Vec::len);
    let cells = counts
        .iter()
        .enumerate()
        .map(|(row, line)| {
            let cells = line.iter().enumerate();
            cells
                .map(|(column, count)| (!hidden.contains(&(row, column))).then_some(*count))
                .collect()
        })
        .collect();
    let row_totals: Vec<u64> = counts.iter().map(|line| line.iter().sum()).collect();
    let column_totals = (0..columns)
        .map(|column| counts.iter().filter_map(|line| line.get(column)).sum())
        .collect();
    Some(PublishedTable {
        cells,
        total: row_totals.iter().sum(),
        row_totals,
        column_totals,
    })
}

impl PublishedTable {
    /// Whether nothing of a row is hidden: only then may its rates be told.
    pub fn is_row_open(&self, row: usize) -> bool {
        self.cells
            .get(row)
            .is_some_and(|line| line.iter().all(Option::is_some))
    }
}

fn hidden_cells(counts: &[Vec<u64>], k: u64) -> Option<BTreeSet<Cell>> {
    let rows = counts.len();
    let columns = counts.first().map_or(0, Vec::len);
    let count = |(row, column): Cell| {
        counts
            .get(row)
            .and_then(|line| line.get(column))
            .copied()
            .unwrap_or(0)
    };
    let all = || (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)));
    let primary: Vec<Cell> = all().filter(|cell| (1..k).contains(&count(*cell))).collect();
    let mut hidden: BTreeSet<Cell> = primary.iter().copied().collect();
    for (row, column) in primary {
        let corners = |(other_row, other_column): Cell| {
            [
                (other_row, column),
                (row, other_column),
                (other_row, other_column),
            ]
        };
        let rectangle = all()
            .filter(|(other_row, other_column)| *other_row != row && *other_column != column)
            .filter(|other| {
                let [one, two, opposite] = corners(*other).map(count);
                1 < one && 1 < two && 0 < opposite
            })
            .min_by_key(|other| {
                let newly = corners(*other).into_iter().filter(|cell| !hidden.contains(cell));
                (newly.map(count).sum::<u64>(), *other)
            })?;
        hidden.extend(corners(rectangle));
    }
    let lines: Vec<Vec<Cell>> = (0..rows)
        .map(|row| (0..columns).map(|column| (row, column)).collect())
        .chain((0..columns).map(|column| (0..rows).map(|row| (row, column)).collect()))
        .collect();
    let mut has_changed = true;
    while has_changed {
        has_changed = false;
        for line in &lines {
            let (out_of_sight, shown): (Vec<Cell>, Vec<Cell>) =
                line.iter().partition(|cell| hidden.contains(cell));
            let sum: u64 = out_of_sight.into_iter().map(count).sum();
            if (1..k).contains(&sum) {
                let smallest = shown
                    .into_iter()
                    .filter(|cell| 0 < count(*cell))
                    .min_by_key(|cell| (count(*cell), *cell))?;
                hidden.insert(smallest);
                has_changed = true;
            }
        }
    }
    Some(hidden)
}

#[cfg(test)]
#[allow(clippy::needless_range_loop, reason = "cells are spoken of by row and column")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_tables_of_the_contract() {
        let counts = [[40, 12, 3], [25, 9, 7], [18, 2, 6], [30, 11, 8]].map(Vec::from);
        let table = published_table(&counts, SUPPRESSED_BELOW).unwrap();
        let (shown, hidden) = (Some, None);
        let expected = [
            vec![shown(40), hidden, hidden],
            vec![shown(25), shown(9), shown(7)],
            vec![shown(18), hidden, hidden],
            vec![shown(30), shown(11), shown(8)],
        ];
        assert_eq!(table.cells, expected);
        assert_eq!(
            (table.row_totals, table.column_totals, table.total),
            (vec![55, 41, 26, 49], vec![113, 34, 24], 171)
        );
        assert_eq!(
            published_table(&[vec![4, 0, 9], vec![0, 7, 0]], SUPPRESSED_BELOW),
            None
        );
        assert!(published_table(&[], SUPPRESSED_BELOW).is_some());
    }

    proptest! {
        #[test]
        fn each_small_count_could_be_another(
            counts in (1usize..7, 1usize..6).prop_flat_map(|(rows, columns)| {
                let count = prop_oneof![Just(0u64), 1u64..6, 5u64..60];
                prop::collection::vec(prop::collection::vec(count, columns), rows)
            }),
        ) {
            let k = SUPPRESSED_BELOW;
            let Some(table) = published_table(&counts, k) else { return Ok(()) };
            let hidden = |row: usize, column: usize| table.cells[row][column].is_none();
            let (rows, columns) = (counts.len(), counts[0].len());
            for row in 0..rows {
                for column in 0..columns {
                    let count = counts[row][column];
                    prop_assert!(hidden(row, column) || table.cells[row][column] == Some(count));
                    prop_assert!(!hidden(row, column) || count > 0);
                    if !(1..k).contains(&count) { continue }
                    prop_assert!(hidden(row, column));
                    // Another table: hidden cells alone differ, totals are the same, no count is below zero.
                    let other = (0..rows).any(|up| (0..columns).any(|aside| {
                        up != row && aside != column
                            && hidden(up, column) && hidden(row, aside) && hidden(up, aside)
                            && counts[up][column] >= 1 && counts[row][aside] >= 1
                    }));
                    prop_assert!(other);
                }
            }
            let sums_are_large = |sum: u64| sum == 0 || k <= sum;
            for row in 0..rows {
                prop_assert!(sums_are_large((0..columns).filter(|column| hidden(row, *column)).map(|column| counts[row][column]).sum()));
            }
            for column in 0..columns {
                prop_assert!(sums_are_large((0..rows).filter(|row| hidden(*row, column)).map(|row| counts[row][column]).sum()));
            }
        }
    }
}
