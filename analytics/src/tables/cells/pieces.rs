//! The rows of `cells`: of each slice, or of a whole window summed by cell. A column is made only where it is asked for;
//! whole numbers of one slice share its memory.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{Int32Type, SchemaRef};
use datafusion::common::{Result, internal_err};
use h3o::Resolution;
use riskgrid_ingest::cells::CellSet;
use riskgrid_ingest::grid::{Span, TimedSlice, WindowSum};
use riskgrid_ingest::{LayerKind, ValueScale};

use crate::tables::scan::{Pieces, RowBatches};

/// Bytes that a row takes while slices are summed: its place, its sums, its numbers as readers see them.
const BYTES_OF_A_ROW: usize = 160;

/// A layer of the scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScannedLayer {
    pub(super) kind: LayerKind,
    pub(super) scale: ValueScale,
}

/// What becomes one row a cell.
#[derive(Debug)]
pub(super) struct Piece {
    /// Which of the scan's layers.
    pub(super) layer: usize,
    /// What its rows say of time.
    pub(super) span: Span,
    /// At least one: the slices of the grid that hold the span.
    pub(super) parts: Vec<Arc<TimedSlice>>,
    /// What is read in their place and holds the same, where that is less.
    pub(super) condensed: Option<Arc<[Arc<TimedSlice>]>>,
    /// The cells of its rows.
    pub(super) cells: CellSet,
    /// Rows of its parts: see [`rows_of`].
    pub(super) rows: usize,
}

/// How many rows the slices have of these cells.
pub(super) fn rows_of(slices: &[Arc<TimedSlice>], cells: &CellSet) -> usize {
    slices.iter().map(|part| cells.count_in(&part.slice.cells)).sum()
}

/// All of a scan.
#[derive(Debug)]
pub(super) struct CellPieces {
    pub(super) layers: Vec<ScannedLayer>,
    /// Their ids, in the same order: the dictionary of every batch.
    pub(super) layer_ids: Arc<StringArray>,
    pub(super) pieces: Vec<Piece>,
    /// Cells are shown as their parents of this resolution.
    pub(super) coarser: Option<Resolution>,
    /// The columns of the scan.
    pub(super) schema: SchemaRef,
    /// Whether it is told how often late events changed a slice: that counts those of all its cells.
    pub(super) has_revisions: bool,
}

impl Pieces for CellPieces {
    fn number(&self) -> usize {
        self.pieces.len()
    }

    fn rows(&self, piece: usize) -> usize {
        self.pieces.get(piece).map_or(0, |piece| piece.rows)
    }

    fn bytes(&self, piece: usize) -> usize {
        self.rows(piece).saturating_mul(BYTES_OF_A_ROW)
    }

    fn read(&self, piece: usize) -> Result<RowBatches> {
        let (Some(piece), Some(layer)) = (
            self.pieces.get(piece),
            self.pieces
                .get(piece)
                .and_then(|piece| self.layers.get(piece.layer)),
        ) else {
            return internal_err!(
                "a scan of {} pieces was asked for piece {piece}",
                self.pieces.len()
            );
        };
        let parts = piece.condensed.as_deref().unwrap_or(&piece.parts);
        let slices = parts.iter().map(|part| &part.slice);
        let rows = Rows {
            sum: WindowSum::of(layer.kind, slices, &piece.cells, self.coarser),
            piece,
            layer: *layer,
            layer_ids: &self.layer_ids,
            has_revisions: self.has_revisions,
        };
        let columns: Result<Vec<ArrayRef>> = self
            .schema
            .fields()
            .iter()
            .map(|field| rows.column(field.name()))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.sum.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns?, &options)?;
        Ok(Box::new(std::iter::once(Ok(batch))))
    }
}

/// The rows of one piece.
struct Rows<'a> {
    sum: WindowSum,
    piece: &'a Piece,
    layer: ScannedLayer,
    layer_ids: &'a Arc<StringArray>,
    has_revisions: bool,
}

impl Rows<'_> {
    fn column(&self, name: &str) -> Result<ArrayRef> {
        let (sum, scale) = (&self.sum, self.layer.scale);
        Ok(match name {
            "layer" => {
                let keys = vec![self.piece.layer as i32; sum.len()];
                let ids: ArrayRef = Arc::clone(self.layer_ids) as ArrayRef;
                Arc::new(DictionaryArray::<Int32Type>::try_new(
                    Int32Array::from(keys),
                    ids,
                )?)
            }
            "cell" => whole(sum.cells().clone()),
            "bucket" => times(vec![self.piece.span.start.micros(); sum.len()].into()),
            "bucket_seconds" => {
                let seconds = u32::try_from(self.piece.span.seconds()).unwrap_or(u32::MAX);
                Arc::new(UInt32Array::from(vec![seconds; sum.len()]))
            }
            "count" => whole(sum.count()),
            "weight" => whole(sum.weight()),
            "sources" => whole(sum.sources()),
            "revision" => {
                let revisions = self.piece.parts.iter().filter(|_| self.has_revisions);
                let revision: u32 = revisions.map(|part| part.revision).sum();
                Arc::new(UInt32Array::from(vec![revision; sum.len()]))
            }
            "channels" if self.layer.kind == LayerKind::Report => whole(sum.channels()),
            "sum" if self.has_values() => floats(&sum.sum(), |units| scale.value(units as f64)),
            "sum_squares" if self.has_values() => {
                floats(&sum.sum_squares(), |units| scale.square(units as f64))
            }
            "min" if self.has_values() => floats(&sum.min(), |units| scale.value(units as f64)),
            "max" if self.has_values() => floats(&sum.max(), |units| scale.value(units as f64)),
            "last" if self.has_values() => floats(&sum.last().0, |units| scale.value(units as f64)),
            "last_time" if self.has_values() => times(sum.last().1),
            other => match super::SCHEMA.field_with_name(other) {
                Ok(field) => new_null_array(field.data_type(), sum.len()),
                Err(error) => return Err(error.into()),
            },
        })
    }

    fn has_values(&self) -> bool {
        self.layer.kind == LayerKind::Observation
    }
}

fn times(micros: ScalarBuffer<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::new(micros, None).with_timezone("UTC"))
}

fn whole(numbers: ScalarBuffer<u64>) -> ArrayRef {
    Arc::new(UInt64Array::new(numbers, None))
}

fn floats<T: Copy>(units: &[T], of: impl Fn(T) -> f64) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(
        units.iter().map(|units| of(*units)),
    ))
}
