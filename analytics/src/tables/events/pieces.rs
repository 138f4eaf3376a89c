//! The rows of `events`: those of each batch that are seen and that the filters keep.

use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::{and_kleene, filter_record_batch};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;

use super::shown::ShownBatch;
use crate::tables::scan::{Pieces, RowBatches};
use crate::tables::time_filters::EventsWithin;

/// What a scan keeps of the rows of a batch.
#[derive(Debug)]
pub(super) struct EventFilter {
    /// The times that `of_times` keeps: a batch inside them need not be looked at.
    pub(super) inside: EventsWithin,
    pub(super) of_times: Option<Arc<dyn PhysicalExpr>>,
    pub(super) of_others: Option<Arc<dyn PhysicalExpr>>,
}

impl EventFilter {
    /// Which of `rows`, which are of this batch, are kept; `None` where all are.
    fn kept(&self, shown: &ShownBatch, rows: &RecordBatch) -> Result<Option<BooleanArray>> {
        let is_inside = shown.spans().are_inside(self.inside);
        let filters = [
            self.of_times.as_ref().filter(|_| !is_inside),
            self.of_others.as_ref(),
        ];
        let mut kept: Option<BooleanArray> = None;
        for filter in filters.into_iter().flatten() {
            let of_filter = filter.evaluate(rows)?.into_array(rows.num_rows())?;
            kept = Some(match kept {
                Some(kept) => and_kleene(&kept, of_filter.as_boolean())?,
                None => of_filter.as_boolean().clone(),
            });
        }
        Ok(kept)
    }
}

/// The events that are seen and kept, batch by batch.
#[derive(Debug)]
pub(super) struct FilteredEvents {
    pub(super) batches: Vec<ShownBatch>,
    /// The columns of the log that are read.
    pub(super) columns: Vec<usize>,
    /// These as a schema.
    pub(super) read: SchemaRef,
    pub(super) filter: EventFilter,
}

impl FilteredEvents {
    /// The rows of a batch, in the columns that are read. What is not seen is left out before a filter is asked.
    pub(super) fn rows_of(&self, batch: usize) -> Result<Option<RecordBatch>> {
        let Some(shown) = self.batches.get(batch) else {
            return Ok(None);
        };
        let rows = shown.read(&self.columns)?.with_schema(Arc::clone(&self.read))?;
        Ok(Some(match self.filter.kept(shown, &rows)? {
            Some(kept) => filter_record_batch(&rows, &kept)?,
            None => rows,
        }))
    }

    /// Bytes that reading a batch takes.
    pub(super) fn bytes(&self, batch: usize) -> usize {
        self.batches.get(batch).map_or(0, |shown| {
            let is_filtered = self.filter.of_times.is_some() || self.filter.of_others.is_some();
            let is_whole = shown.rows() == shown.batch.batch.num_rows();
            if is_filtered || !is_whole {
                shown.batch.bytes
            } else {
                0
            }
        })
    }
}

/// The batches of a scan.
#[derive(Debug)]
pub(super) struct EventPieces {
    pub(super) events: FilteredEvents,
    /// The columns of the scan, which are among those that are read.
    pub(super) schema: SchemaRef,
}

impl Pieces for EventPieces {
    fn number(&self) -> usize {
        self.events.batches.len()
    }

    fn rows(&self, piece: usize) -> usize {
        self.events.batches.get(piece).map_or(0, ShownBatch::rows)
    }

    fn read(&self, piece: usize) -> Result<RowBatches> {
        let Some(rows) = self.events.rows_of(piece)? else {
            return Ok(Box::new(std::iter::empty()));
        };
        let wanted = self.schema.fields().iter();
        let places = wanted.map(|field| rows.schema().index_of(field.name()));
        let places: Vec<usize> = places.collect::<Result<_, _>>()?;
        let rows = rows.project(&places)?.with_schema(Arc::clone(&self.schema))?;
        Ok(Box::new(std::iter::once(Ok(rows))))
    }

    fn bytes(&self, piece: usize) -> usize {
        self.events.bytes(piece)
    }
}
