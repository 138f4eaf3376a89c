//! Sums slices by cell without hashing: the place of each row's cell is found once; a column is added up when it is asked
//! for.

use std::borrow::Cow;
use std::ops::Range;

use arrow::buffer::ScalarBuffer;
use arrow::datatypes::ArrowNativeType;
use h3o::Resolution;

use super::aggregate::{CellAggregate, Metric};
use super::slice::{KindColumns, ObservationColumns, Slice};
use crate::cells::{CellPlaces, CellSet, parent_of};
use crate::words::{LayerKind, ValueScale};

/// What several slices of one layer hold together, one row a cell.
#[derive(Clone, Debug)]
pub struct WindowSum {
    kind: LayerKind,
    cells: ScalarBuffer<u64>,
    parts: Vec<Part>,
    /// The places that the rows of parts have, or would have.
    places: usize,
    /// The place of each cell, ascending; empty where the cells have all places.
    taken: Vec<u32>,
}

/// Some rows of one slice, and the place of each: below the number of places, by construction.
#[derive(Clone, Debug)]
struct Part {
    slice: Slice,
    /// Runs, ascending and apart; at least one.
    rows: Vec<Range<usize>>,
    places: Vec<u32>,
}

impl Part {
    /// The cells of the rows, ascending; their parents where a resolution is given, each as often as it has rows.
    fn keys(&self, resolution: Option<Resolution>) -> Cow<'_, [u64]> {
        match (self.rows.as_slice(), resolution) {
            ([only], None) => Cow::Borrowed(&self.slice.cells[only.clone()]),
            (_, None) => self.each(&self.slice.cells).copied().collect(),
            (_, Some(resolution)) => {
                let cells = self.each(&self.slice.cells);
                cells.map(|cell| parent_of(*cell, resolution)).collect()
            }
        }
    }

    /// What a column holds in the rows, in order.
    fn each<'a, T>(&'a self, column: &'a [T]) -> impl Iterator<Item = &'a T> {
        self.rows.iter().flat_map(|run| &column[run.clone()])
    }

    /// Runs of rows, each with the places of its rows.
    fn placed(&self) -> impl Iterator<Item = (Range<usize>, &[u32])> {
        let mut before = 0;
        self.rows.iter().map(move |run| {
            let places = &self.places[before..before + run.len()];
            before += run.len();
            (run.clone(), places)
        })
    }
}

impl WindowSum {
    /// The sum of `slices`, which are of one layer of `kind`: of their rows whose cells are among `cells`, each under its
    /// parent of `resolution` where one is given (coarser than the rows').
    pub fn of<'a>(
        kind: LayerKind,
        slices: impl IntoIterator<Item = &'a Slice>,
        cells: &CellSet,
        resolution: Option<Resolution>,
    ) -> Self {
        let mut parts: Vec<Part> = slices
            .into_iter()
            .filter_map(|slice| {
                let rows: Vec<Range<usize>> = cells.rows_in(&slice.cells).collect();
                (!rows.is_empty()).then(|| Part {
                    rows,
                    slice: slice.clone(),
                    places: Vec::new(),
                })
            })
            .collect();
        if let ([only], None) = (parts.as_slice(), resolution)
            && let [run] = only.rows.as_slice()
        {
            let cells = only.slice.cells.slice(run.start, run.len());
            return Self {
                kind,
                cells,
                parts,
                places: 0,
                taken: Vec::new(),
            };
        }
        let keys: Vec<Cow<'_, [u64]>> = parts.iter().map(|part| part.keys(resolution)).collect();
        let all = CellPlaces::of(&keys);
        let mut is_taken = vec![false; all.number()];
        let places: Vec<Vec<u32>> = keys
            .iter()
            .map(|keys| all.places_of(keys, &mut is_taken))
            .collect();
        drop(keys);
        for (part, places) in parts.iter_mut().zip(places) {
            part.places = places;
        }
        let taken: Vec<u32> = (0..)
            .zip(&is_taken)
            .filter_map(|(place, is_taken)| is_taken.then_some(place))
            .collect();
        let cells = taken.iter().map(|place| all.cell(*place)).collect();
        Self {
            kind,
            cells,
            parts,
            places: all.number(),
            taken: if taken.len() == all.number() {
                Vec::new()
            } else {
                taken
            },
        }
    }

    /// The cells, ascending.
    pub const fn cells(&self) -> &ScalarBuffer<u64> {
        &self.cells
    }

    /// How many cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Events of each cell.
    pub fn count(&self) -> ScalarBuffer<u64> {
        self.added(|slice| Some(&slice.count), 0, |sum, count| *sum += count)
    }

    /// Sums of severities of reports; the count of observations.
    pub fn weight(&self) -> ScalarBuffer<u64> {
        self.added(
            |slice| match &slice.columns {
                KindColumns::Report { weight, .. } => Some(weight),
                KindColumns::Observation(_) => Some(&slice.count),
            },
            0,
            |sum, weight| *sum += weight,
        )
    }

    /// Source bitmaps.
    pub fn sources(&self) -> ScalarBuffer<u64> {
        self.added(|slice| Some(&slice.sources), 0, |all, sources| *all |= sources)
    }

    /// Channel bitmaps of reports; zeros for observations.
    pub fn channels(&self) -> ScalarBuffer<u64> {
        self.added(
            |slice| match &slice.columns {
                KindColumns::Report { channels, .. } => Some(channels),
                KindColumns::Observation(_) => None,
            },
            0,
            |all, channels| *all |= channels,
        )
    }

    /// Sums of values, in whole units; zeros for reports, as for the other columns of values.
    pub fn sum(&self) -> ScalarBuffer<i128> {
        self.values(|values| &values.sum, 0, |sum, value| *sum += value)
    }

    /// Sums of squared values.
    pub fn sum_squares(&self) -> ScalarBuffer<i128> {
        self.values(
            |values| &values.sum_squares,
            0,
            |sum: &mut i128, square| *sum = sum.saturating_add(square),
        )
    }

    /// Least values.
    pub fn min(&self) -> ScalarBuffer<i64> {
        self.values(
            |values| &values.min,
            i64::MAX,
            |min, value| *min = value.min(*min),
        )
    }

    /// Greatest values.
    pub fn max(&self) -> ScalarBuffer<i64> {
        self.values(
            |values| &values.max,
            i64::MIN,
            |max, value| *max = value.max(*max),
        )
    }

    /// Newest values, their times and event hashes (the bits of a `u128`).
    pub fn last(&self) -> (ScalarBuffer<i64>, ScalarBuffer<i64>, ScalarBuffer<i128>) {
        if let [only] = self.parts.as_slice()
            && only.places.is_empty()
            && let [run] = only.rows.as_slice()
            && let KindColumns::Observation(values) = &only.slice.columns
        {
            let (start, length) = (run.start, run.len());
            return (
                values.last.slice(start, length),
                values.last_time.slice(start, length),
                values.last_hash.slice(start, length),
            );
        }
        let mut newest = vec![(i64::MIN, 0_u128, 0_i64); self.places];
        for part in &self.parts {
            let KindColumns::Observation(values) = &part.slice.columns else {
                continue;
            };
            for (row, place) in part.placed().flat_map(|(run, places)| run.zip(places)) {
                let (time, hash) = (values.last_time[row], values.last_hash[row].cast_unsigned());
                let (known_time, known_hash, _) = newest[*place as usize];
                if (time, hash) > (known_time, known_hash) {
                    newest[*place as usize] = (time, hash, values.last[row]);
                }
            }
        }
        let newest = self.of_cells(newest);
        (
            newest.iter().map(|(_, _, last)| *last).collect(),
            newest.iter().map(|(time, _, _)| *time).collect(),
            newest.iter().map(|(_, hash, _)| hash.cast_signed()).collect(),
        )
    }

    /// A metric of each cell, in the layer's unit.
    pub fn metric(&self, metric: Metric, scale: ValueScale) -> Vec<f64> {
        let numbers = |column: &[u64]| column.iter().map(|number| *number as f64).collect();
        let values = |column: &[i64]| column.iter().map(|units| scale.value(*units as f64)).collect();
        match metric {
            Metric::Count => numbers(&self.count()),
            Metric::Weight => numbers(&self.weight()),
            Metric::Sources => {
                let sources = self.sources();
                sources
                    .iter()
                    .map(|bitmap| CellAggregate::estimated_sources(*bitmap))
                    .collect()
            }
            Metric::Sum => self
                .sum()
                .iter()
                .map(|units| scale.value(*units as f64))
                .collect(),
            Metric::Mean => {
                let of_cells = self.sum();
                of_cells
                    .iter()
                    .zip(&*self.count())
                    .map(|(units, count)| scale.value(*units as f64) / *count as f64)
                    .collect()
            }
            Metric::Min => values(&self.min()),
            Metric::Max => values(&self.max()),
            Metric::Last => values(&self.last().0),
        }
    }

    /// All columns.
    pub fn into_slice(self) -> Slice {
        let columns = match self.kind {
            LayerKind::Report => KindColumns::Report {
                weight: self.weight(),
                channels: self.channels(),
            },
            LayerKind::Observation => {
                let (last, last_time, last_hash) = self.last();
                KindColumns::Observation(ObservationColumns {
                    sum: self.sum(),
                    sum_squares: self.sum_squares(),
                    min: self.min(),
                    max: self.max(),
                    last,
                    last_time,
                    last_hash,
                })
            }
        };
        Slice {
            count: self.count(),
            sources: self.sources(),
            cells: self.cells,
            columns,
        }
    }

    fn values<T: ArrowNativeType>(
        &self,
        column: impl Fn(&ObservationColumns) -> &ScalarBuffer<T>,
        neutral: T,
        add: impl Fn(&mut T, T),
    ) -> ScalarBuffer<T> {
        self.added(
            |slice| match &slice.columns {
                KindColumns::Report { .. } => None,
                KindColumns::Observation(values) => Some(column(values)),
            },
            neutral,
            add,
        )
    }

    /// One column, each row of each part added to its cell; shared where one slice is all there is.
    fn added<T: ArrowNativeType>(
        &self,
        column: impl Fn(&Slice) -> Option<&ScalarBuffer<T>>,
        neutral: T,
        add: impl Fn(&mut T, T),
    ) -> ScalarBuffer<T> {
        if let [only] = self.parts.as_slice()
            && only.places.is_empty()
            && let [run] = only.rows.as_slice()
            && let Some(values) = column(&only.slice)
        {
            return values.slice(run.start, run.len());
        }
        let mut sums = vec![neutral; self.places];
        for part in &self.parts {
            if let Some(values) = column(&part.slice) {
                for (run, places) in part.placed() {
                    for (place, value) in places.iter().zip(&values[run]) {
                        add(&mut sums[*place as usize], *value);
                    }
                }
            }
        }
        self.of_cells(sums).into()
    }

    /// What the places of cells hold, in the order of cells.
    fn of_cells<T: Copy>(&self, of_places: Vec<T>) -> Vec<T> {
        if self.taken.is_empty() {
            return of_places;
        }
        self.taken
            .iter()
            .map(|place| of_places[*place as usize])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::aggregate::ValueAggregate;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn aggregates(kind: LayerKind) -> impl Strategy<Value = CellAggregate> {
        (
            1..9u64,
            0..20u64,
            any::<u64>(),
            any::<u64>(),
            -50..50i64,
            0..4i64,
            any::<u128>(),
        )
            .prop_map(
                move |(count, weight, sources, channels, value, last_time, last_hash)| match kind {
                    LayerKind::Report => CellAggregate {
                        count,
                        weight,
                        sources,
                        channels,
                        ..CellAggregate::default()
                    },
                    LayerKind::Observation => CellAggregate {
                        count,
                        weight: count,
                        sources,
                        channels: 0,
                        values: ValueAggregate {
                            sum: i128::from(value),
                            sum_squares: i128::from(value * value),
                            min: value - 1,
                            max: value + 1,
                            last: value,
                            last_time,
                            last_hash,
                        },
                    },
                },
            )
    }

    /// Slices over children of a few cells: many rows in common, or few.
    fn slices(kind: LayerKind) -> impl Strategy<Value = Vec<BTreeMap<u64, CellAggregate>>> {
        let parents = [
            0x0851_fb46_ffff_ffff_u64,
            0x0851_fb47_ffff_ffff,
            0x0859_1932_7fff_ffff,
        ];
        let children: Vec<u64> = parents
            .into_iter()
            .filter_map(|parent| h3o::CellIndex::try_from(parent).ok())
            .flat_map(|parent| parent.children(Resolution::Eight).take(40))
            .map(u64::from)
            .collect();
        let cells = prop::sample::select(children);
        prop::collection::vec(prop::collection::btree_map(cells, aggregates(kind), 0..60), 0..7)
    }

    proptest! {
        #[test]
        fn a_sum_is_what_a_map_adds_up(
            (kind, slices) in prop_oneof![Just(LayerKind::Report), Just(LayerKind::Observation)]
                .prop_flat_map(|kind| (Just(kind), slices(kind))),
            coarser in prop::option::of(5u8..8),
            cuts in prop::option::of(prop::collection::vec((0.0..1.0f64, 0.0..1.0f64), 1..4)),
        ) {
            let resolution = coarser.and_then(|level| Resolution::try_from(level).ok());
            let known: Vec<u64> = slices.iter().flat_map(BTreeMap::keys).copied().collect();
            let cells: Vec<Range<u64>> = match cuts {
                Some(cuts) if !known.is_empty() => {
                    let pick = |part: f64| known[(part * known.len() as f64) as usize];
                    let cuts = cuts.into_iter();
                    cuts.map(|(a, b)| pick(a.min(b))..pick(a.max(b))).collect()
                }
                _ => std::iter::once(0..u64::MAX).collect(),
            };
            let mut expected: BTreeMap<u64, CellAggregate> = BTreeMap::new();
            for (cell, aggregate) in slices.iter().flatten() {
                if !cells.iter().any(|range| range.contains(cell)) {
                    continue;
                }
                let key = resolution.map_or(*cell, |resolution| parent_of(*cell, resolution));
                expected.entry(key).or_default().merge(aggregate);
            }
            let columns: Vec<Slice> = slices
                .iter()
                .map(|rows| {
                    let rows: Vec<_> = rows.iter().map(|(cell, aggregate)| (*cell, *aggregate)).collect();
                    Slice::from_sorted(kind, &rows)
                })
                .collect();
            let sum = WindowSum::of(kind, &columns, &CellSet::of(cells.clone()), resolution).into_slice();
            prop_assert_eq!(sum.rows().collect::<BTreeMap<_, _>>(), expected);
            prop_assert!(sum.cells.is_sorted_by(|a, b| a < b));
        }
    }
}
