//! The aggregates of a bucket's cells while it may still get events: by cell, in no order, no wider than their layer needs.

use hashbrown::HashMap;

use super::aggregate::CellAggregate;
use super::slice::Slice;
use crate::words::LayerKind;

/// What reports keep of a cell: a quarter of a whole aggregate, so that four times as many lie in the processor's cache.
#[derive(Clone, Copy, Debug, Default)]
struct ReportAggregate {
    count: u64,
    weight: u64,
    sources: u64,
    channels: u64,
}

impl ReportAggregate {
    fn merge(&mut self, other: &CellAggregate) {
        self.count += other.count;
        self.weight += other.weight;
        self.sources |= other.sources;
        self.channels |= other.channels;
    }
}

impl From<&ReportAggregate> for CellAggregate {
    fn from(report: &ReportAggregate) -> Self {
        Self {
            count: report.count,
            weight: report.weight,
            sources: report.sources,
            channels: report.channels,
            ..Self::default()
        }
    }
}

/// Aggregates by cell, of one layer.
#[derive(Debug)]
pub(crate) struct CellMap(Cells);

#[derive(Debug)]
enum Cells {
    Reports(HashMap<u64, ReportAggregate>),
    Observations(HashMap<u64, CellAggregate>),
}

/// Bytes of a cell in a table, which is between 7/16 and 7/8 full and counted by what it has room for, and of its row in
/// the columns that readers see.
const fn bytes_of_cell<A>(row: usize) -> usize {
    (size_of::<(u64, A)>() + 1) * 8 / 7 + row
}

impl CellMap {
    /// About how many bytes it takes, and what readers see of it.
    pub(crate) fn bytes(&self) -> usize {
        match &self.0 {
            Cells::Reports(reports) => {
                reports.capacity() * bytes_of_cell::<ReportAggregate>(LayerKind::Report.row_bytes())
            }
            Cells::Observations(observations) => {
                observations.capacity() * bytes_of_cell::<CellAggregate>(LayerKind::Observation.row_bytes())
            }
        }
    }

    pub(crate) fn new(kind: LayerKind) -> Self {
        Self(match kind {
            LayerKind::Report => Cells::Reports(HashMap::new()),
            LayerKind::Observation => Cells::Observations(HashMap::new()),
        })
    }

    /// The cells of a slice.
    pub(crate) fn of(slice: &Slice) -> Self {
        let mut map = Self::new(slice.kind());
        for (cell, aggregate) in slice.rows() {
            map.add(cell, &aggregate);
        }
        map
    }

    /// Adds to what a cell has.
    pub(crate) fn add(&mut self, cell: u64, aggregate: &CellAggregate) {
        match &mut self.0 {
            Cells::Reports(reports) => reports.entry(cell).or_default().merge(aggregate),
            Cells::Observations(observations) => observations.entry(cell).or_default().merge(aggregate),
        }
    }

    /// As columns sorted by cell.
    pub(crate) fn to_slice(&self) -> Slice {
        match &self.0 {
            Cells::Reports(reports) => {
                let sorted = sorted(reports).into_iter();
                let rows: Vec<_> = sorted
                    .map(|(cell, report)| (cell, CellAggregate::from(report)))
                    .collect();
                Slice::from_sorted(LayerKind::Report, &rows)
            }
            Cells::Observations(observations) => {
                Slice::from_sorted(LayerKind::Observation, &sorted(observations))
            }
        }
    }
}

/// Aggregates are large: what is sorted are pointers to them.
fn sorted<A>(map: &HashMap<u64, A>) -> Vec<(u64, &A)> {
    let mut rows: Vec<(u64, &A)> = map.iter().map(|(cell, aggregate)| (*cell, aggregate)).collect();
    rows.sort_unstable_by_key(|(cell, _)| *cell);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    use crate::grid::aggregate::ValueAggregate;

    proptest! {
        #[test]
        fn a_map_keeps_what_an_ordered_one_of_whole_aggregates_does(
            added in prop::collection::vec((0..20_u64, 1..9_u64, any::<u64>(), any::<u64>(), -9..9_i64), 0..80),
            kind in prop::sample::select(vec![LayerKind::Report, LayerKind::Observation]),
        ) {
            let mut map = CellMap::new(kind);
            let mut expected: BTreeMap<u64, CellAggregate> = BTreeMap::new();
            for (cell, count, sources, channels, value) in added {
                let aggregate = match kind {
                    LayerKind::Report => CellAggregate { count, weight: count / 2, sources, channels, ..CellAggregate::default() },
                    LayerKind::Observation => CellAggregate {
                        count,
                        weight: count,
                        sources,
                        channels: 0,
                        values: ValueAggregate { sum: value.into(), min: value, max: value, last: value, last_time: value, ..ValueAggregate::default() },
                    },
                };
                map.add(cell, &aggregate);
                expected.entry(cell).or_default().merge(&aggregate);
            }
            let expected: Vec<_> = expected.into_iter().collect();
            let slice = map.to_slice();
            prop_assert_eq!(slice.rows().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(CellMap::of(&slice).to_slice().rows().collect::<Vec<_>>(), expected);
        }
    }
}
