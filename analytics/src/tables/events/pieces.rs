//! The rows of `events`: those of each batch that the filters keep.

use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray};
use arrow::compute::{and_kleene, filter_record_batch};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use riskgrid_ingest::grid::EventBatch;

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
    /// Which rows are kept; `None` where all are.
    pub(super) fn kept(&self, events: &EventBatch) -> Result<Option<BooleanArray>> {
        let is_inside = self.inside.contains(events.first, events.last);
        let filters = [
            self.of_times.as_ref().filter(|_| !is_inside),
            self.of_others.as_ref(),
        ];
        let mut kept: Option<BooleanArray> = None;
        for filter in filters.into_iter().flatten() {
            let rows = events.batch.num_rows();
            let of_filter = filter.evaluate(&events.batch)?.into_array(rows)?;
            kept = Some(match kept {
                Some(kept) => and_kleene(&kept, of_filter.as_boolean())?,
                None => of_filter.as_boolean().clone(),
            });
        }
        Ok(kept)
    }

    /// Bytes that filtering a batch takes.
    pub(super) fn bytes(&self, events: &EventBatch) -> usize {
        if self.of_times.is_some() || self.of_others.is_some() {
            events.bytes
        } else {
            0
        }
    }
}

/// The batches of a scan.
#[derive(Debug)]
pub(super) struct EventPieces {
    pub(super) batches: Vec<Arc<EventBatch>>,
    pub(super) filter: EventFilter,
    pub(super) projection: Option<Vec<usize>>,
    pub(super) schema: SchemaRef,
}

impl Pieces for EventPieces {
    fn number(&self) -> usize {
        self.batches.len()
    }

    fn rows(&self, piece: usize) -> usize {
        self.batches.get(piece).map_or(0, |batch| batch.batch.num_rows())
    }

    fn read(&self, piece: usize) -> Result<RowBatches> {
        let Some(events) = self.batches.get(piece) else {
            return Ok(Box::new(std::iter::empty()));
        };
        let projected = match &self.projection {
            Some(projection) => events.batch.project(projection)?,
            None => events.batch.clone(),
        };
        let mut rows = projected.with_schema(Arc::clone(&self.schema))?;
        if let Some(kept) = self.filter.kept(events)? {
            rows = filter_record_batch(&rows, &kept)?;
        }
        Ok(Box::new(std::iter::once(Ok(rows))))
    }

    fn bytes(&self, piece: usize) -> usize {
        self.batches
            .get(piece)
            .map_or(0, |batch| self.filter.bytes(batch))
    }
}
