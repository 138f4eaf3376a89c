//! What a layer's events span in some cells only, as the grid knows it: for who may see no others.
//!
//! Totals are kept of whole layers. Those of some cells are added up from the coarsest slices when they are first asked of a
//! snapshot. The first and the last time are those of raw events where these are kept, else the start of their bucket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{TimestampMicrosecondType, UInt64Type};

use super::calendar::Span;
use super::layer_slices::TimedSlice;
use super::partition::LayerTotals;
use super::slice_start::{SliceStart, StartsWithin};
use super::snapshot::GridSnapshot;
use crate::cells::CellSet;
use crate::words::{EventTime, LayerIndex, ReportOp};

/// Answers that a snapshot remembers.
const REMEMBERED: usize = 4096;

/// What was asked of a snapshot so far.
#[derive(Debug, Default)]
pub(crate) struct VisibleTotals {
    known: Mutex<HashMap<(LayerIndex, CellSet), Option<LayerTotals>>>,
}

impl GridSnapshot {
    /// [`totals`](Self::totals) of the events in these cells that are still kept; `None` where there are none.
    pub fn totals_within(&self, layer: LayerIndex, cells: &CellSet) -> Option<LayerTotals> {
        if cells.is_all() {
            return self.totals(layer);
        }
        let key = (layer, cells.clone());
        let known = || {
            self.visible_totals
                .known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(totals) = known().get(&key) {
            return *totals;
        }
        let totals = self.add_up_within(layer, cells);
        let mut known = known();
        if known.len() < REMEMBERED {
            known.insert(key, totals);
        }
        totals
    }

    fn add_up_within(&self, layer: LayerIndex, cells: &CellSet) -> Option<LayerTotals> {
        let all = self.totals(layer)?;
        let span = self.snap(layer, all.first_time, all.last_time.plus(1));
        let mut visible: Vec<Arc<TimedSlice>> = self.covering(layer, span);
        visible.retain(|part| cells.rows_in(&part.slice.cells).next().is_some());
        let count = visible.iter().map(|part| count_of(part, cells)).sum();
        let first = visible.iter().min_by_key(|part| part.span.start)?.span;
        let last = visible.iter().max_by_key(|part| part.span.end)?.span;
        let within = |span: Span| StartsWithin {
            first: SliceStart::of(span),
            last: SliceStart::at(span.end.plus(-1)),
        };
        // A day holds hours, and these buckets.
        let finest = |span: Span| {
            let slices = self.slices(layer, within(span)).into_iter();
            slices.filter_map(|mut slices| {
                slices
                    .parts
                    .retain(|part| cells.rows_in(&part.slice.cells).next().is_some());
                (!slices.parts.is_empty()).then_some(slices)
            })
        };
        let (first, last) = (finest(first).next(), finest(last).last());
        let times = |slices: Option<&super::SpanSlices>| {
            let slices = slices?;
            let count = slices.parts.iter().map(|part| count_of(part, cells)).sum();
            self.event_times(layer, slices.span, cells, count)
                .or(Some((slices.span.start, slices.span.start)))
        };
        Some(LayerTotals {
            count,
            first_time: times(first.as_ref())?.0,
            last_time: times(last.as_ref())?.1,
        })
    }

    /// The earliest and the latest time of the `count` raw events that the layer has of these cells in `span`; none unless all
    /// of them are kept.
    fn event_times(
        &self,
        layer: LayerIndex,
        span: Span,
        cells: &CellSet,
        count: u64,
    ) -> Option<(EventTime, EventTime)> {
        let id = &self.layers.get(layer)?.id;
        let mut found: Vec<i64> = Vec::new();
        for partition in &self.partitions {
            let batches = partition.events.iter();
            for batch in batches.filter(|batch| batch.first < span.end && span.start <= batch.last) {
                let text = |name| batch.batch.column_by_name(name)?.as_string_opt::<i32>();
                let (layers, ops) = (text("layer")?, text("op")?);
                let times = batch.batch.column_by_name("time")?;
                let times = times.as_primitive_opt::<TimestampMicrosecondType>()?;
                let of_cells = batch
                    .batch
                    .column_by_name("cell")?
                    .as_primitive_opt::<UInt64Type>()?;
                let counts = |row: usize| {
                    let time = EventTime::from_micros(times.value(row));
                    span.contains(time)
                        && layers.is_valid(row)
                        && layers.value(row) == id
                        && of_cells.is_valid(row)
                        && cells.holds(of_cells.value(row))
                        && (ops.is_null(row) || ops.value(row) == ReportOp::Open.as_str())
                };
                found.extend(
                    (0..batch.batch.num_rows())
                        .filter(|row| counts(*row))
                        .map(|row| times.value(row)),
                );
            }
        }
        let ends = found.iter().min().zip(found.iter().max());
        let (first, last) = ends.filter(|_| found.len() as u64 == count)?;
        Some((EventTime::from_micros(*first), EventTime::from_micros(*last)))
    }
}

fn count_of(part: &TimedSlice, cells: &CellSet) -> u64 {
    let counts = &part.slice.count;
    cells
        .rows_in(&part.slice.cells)
        .flat_map(|rows| &counts[rows])
        .sum()
}
