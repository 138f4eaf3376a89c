//! `cells`: the aggregates of each (layer, cell, bucket), one row each, at the finest step that is kept.
//!
//! A question that only adds up buckets is answered from the coarsest slices that fit: see [`whole_window`].

mod filter;
mod pieces;
mod time_bin;
pub(crate) mod whole_window;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    DictionaryArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, Int32Type, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, ScalarValue, Statistics, project_schema};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    AcrossPartitions, ConstExpr, EquivalenceProperties, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use h3o::Resolution;
use riskgrid_ingest::grid::{
    CellSet, GridSnapshot, Span, StartsWithin, TimedSlice, parent_of, shares_of_cells,
};
use riskgrid_ingest::{Layer, LayerIndex};

use self::filter::{CellsFilter, kept};
use self::pieces::{CellPieces, Piece, ScannedLayer, rows_of};
use self::time_bin::TimeBin;
use super::columns::{field, time_type};
use super::filters::condition;
use super::scan::{Known, SnapshotScan, statistics_of};
use super::visible::visible_layers;
use crate::permission::Permission;
use crate::scan_at_once::scan_at_once;
use crate::sql::{cell_field, commented};

/// Its columns.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let layer = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(Schema::new(vec![
        field("layer", layer, false, "id of the layer"),
        commented(cell_field("cell", false), "H3 cell of the base resolution"),
        field("bucket", time_type(), false, "start of the bucket"),
        field(
            "bucket_seconds",
            DataType::UInt32,
            false,
            "length of the bucket in seconds",
        ),
        field("count", DataType::UInt64, false, "events"),
        field(
            "weight",
            DataType::UInt64,
            false,
            "sum of severities of reports; the count of observations",
        ),
        field(
            "sum",
            DataType::Float64,
            true,
            "sum of values, in the layer's unit",
        ),
        field("sum_squares", DataType::Float64, true, "sum of squared values"),
        field("min", DataType::Float64, true, "least value"),
        field("max", DataType::Float64, true, "greatest value"),
        field("last", DataType::Float64, true, "newest value"),
        field("last_time", time_type(), true, "time of the newest value"),
        field(
            "sources",
            DataType::UInt64,
            false,
            "linear-counting bitmap of the distinct sources",
        ),
        field(
            "channels",
            DataType::UInt64,
            true,
            "reports: bitmap of channels and sources",
        ),
        field(
            "revision",
            DataType::UInt32,
            false,
            "how often late events changed the slice; 0 for who sees some areas only",
        ),
    ]))
});

/// The table over one snapshot.
#[derive(Clone)]
pub(crate) struct CellsTable {
    snapshot: Arc<GridSnapshot>,
    /// Rows of other cells and layers are as if they did not exist.
    permission: Arc<Permission>,
    /// What the rows are.
    rows: Rows,
}

/// What a scan gives a row for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// Each cell and bucket.
    Buckets,
    /// Each cell of this resolution, its buckets added up: all, or those that start in the same hour or day. Of their starts
    /// only that bin means something, and their lengths mean nothing.
    Window {
        resolution: Resolution,
        bin: Option<TimeBin>,
    },
}

impl fmt::Debug for CellsTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CellsTable")
            .field("version", &self.snapshot.version)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl CellsTable {
    pub(in crate::tables) fn new(snapshot: &Arc<GridSnapshot>, permission: &Arc<Permission>) -> Self {
        Self {
            snapshot: Arc::clone(snapshot),
            permission: Arc::clone(permission),
            rows: Rows::Buckets,
        }
    }

    /// The cells that are seen.
    fn seen(&self) -> &CellSet {
        self.permission.cells()
    }

    /// Whether a slice has a row that is seen; the others are as if they did not exist.
    fn is_seen(&self, part: &TimedSlice) -> bool {
        self.seen().is_all() || self.seen().rows_in(&part.slice.cells).next().is_some()
    }

    /// The layers that the filters keep, by id.
    fn layers(&self, state: &dyn Session, filter: &CellsFilter) -> Result<Vec<(LayerIndex, &Layer)>> {
        let mut layers: Vec<(LayerIndex, &Layer)> =
            visible_layers(&self.snapshot, &self.permission).collect();
        layers.sort_unstable_by(|(_, a), (_, b)| a.id.cmp(&b.id));
        if filter.layers.is_empty() {
            return Ok(layers);
        }
        // A layer without a row is asked nothing: a filter may fail for its id.
        layers.retain(|(index, _)| self.snapshot.totals_within(*index, self.seen()).is_some());
        let ids = StringArray::from_iter_values(layers.iter().map(|(_, layer)| &layer.id));
        let keys = Int32Array::from_iter_values(0..layers.len() as i32);
        let ids = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(ids))?;
        let schema = Arc::new(SCHEMA.project(&[0])?);
        let batch = RecordBatch::try_new(schema, vec![Arc::new(ids)])?;
        let kept = kept(state, &filter.layers, &batch)?;
        let mut row = 0..;
        layers.retain(|_| row.next().is_some_and(|row| kept.value(row)));
        Ok(layers)
    }

    /// How many layers there are, as far as they are seen.
    fn all_layers(&self) -> usize {
        visible_layers(&self.snapshot, &self.permission).count()
    }

    /// One piece a bucket of each layer.
    fn buckets(
        &self,
        state: &dyn Session,
        layers: &[(LayerIndex, &Layer)],
        filter: &CellsFilter,
    ) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        for (number, (index, _)) in layers.iter().enumerate() {
            let slices = self.snapshot.slices(*index, filter.starts);
            pieces.extend(slices.into_iter().filter_map(|mut slices| {
                slices.parts.retain(|part| self.is_seen(part));
                (!slices.parts.is_empty()).then(|| Piece {
                    layer: number,
                    span: slices.span,
                    rows: rows_of(&slices.parts, &filter.cells),
                    parts: slices.parts,
                    condensed: None,
                    cells: filter.cells.clone(),
                })
            }));
        }
        if filter.slices.is_empty() {
            return Ok(pieces);
        }
        let ids = StringArray::from_iter_values(layers.iter().map(|(_, layer)| &layer.id));
        let keys = Int32Array::from_iter_values(pieces.iter().map(|piece| piece.layer as i32));
        let starts = pieces.iter().map(|piece| piece.span.start.micros());
        let seconds = pieces
            .iter()
            .map(|piece| u32::try_from(piece.span.seconds()).unwrap_or(u32::MAX));
        let schema = Arc::new(SCHEMA.project(&[0, 2, 3])?);
        let batch = RecordBatch::try_new(
            schema,
            vec![
                Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(ids))?),
                Arc::new(TimestampMicrosecondArray::from_iter_values(starts).with_timezone("UTC")),
                Arc::new(UInt32Array::from_iter_values(seconds)),
            ],
        )?;
        let kept = kept(state, &filter.slices, &batch)?;
        let mut row = 0..;
        pieces.retain(|_| row.next().is_some_and(|row| kept.value(row)));
        Ok(pieces)
    }

    /// What the filter keeps of the layer, whole or by bins.
    fn spans(&self, layer: LayerIndex, filter: &CellsFilter, bin: Option<TimeBin>) -> Vec<Span> {
        let covered = |starts| self.snapshot.covered(layer, starts, self.seen());
        let whole = covered(filter.starts);
        let (Some(whole), Some(bin)) = (whole, bin) else {
            return whole.into_iter().collect();
        };
        let starting_within = |starts: StartsWithin| covered(starts.and(filter.starts));
        bin.of(whole).filter_map(starting_within).collect()
    }

    /// A scan of buckets by the filters that are understood, whose rows are asked the rest.
    fn scan_and_filter(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        rest: Vec<Expr>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let understood: Vec<Expr> = filters
            .iter()
            .filter(|filter| !rest.contains(filter))
            .cloned()
            .collect();
        let buckets = Self::new(&self.snapshot, &self.permission);
        let rows = buckets.scan_now(state, None, &understood, None)?;
        let Some(condition) = condition(state, rest, &DFSchema::try_from(Arc::clone(&SCHEMA))?)? else {
            return Ok(rows);
        };
        let kept = FilterExecBuilder::new(condition, rows)
            .apply_projection(projection.cloned())?
            .build()?;
        Ok(Arc::new(kept))
    }

    /// The coarsest slices of each layer that cover what the filter keeps: a piece a bin, or as many as are worth a core
    /// each where all is one.
    fn windows(
        &self,
        layers: &[(LayerIndex, &Layer)],
        filter: &CellsFilter,
        (resolution, bin): (Resolution, Option<TimeBin>),
        cores: NonZeroUsize,
    ) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let cores = bin.map_or(cores, |_| NonZeroUsize::MIN);
        for (number, (index, _)) in layers.iter().enumerate() {
            for span in self.spans(*index, filter, bin) {
                let mut parts = self.snapshot.covering(*index, span);
                // Bins are hours and days, which are sums already.
                let condensed = bin.is_none().then(|| -> Arc<[Arc<TimedSlice>]> {
                    self.snapshot.condensed(*index, span, parts.clone()).into()
                });
                parts.retain(|part| self.is_seen(part));
                if parts.is_empty() {
                    continue;
                }
                let shares = shares_of_cells(&parts, &filter.cells, cores, resolution).into_iter();
                let shares = shares.map(|range| filter.cells.and(&range.into()));
                pieces.extend(shares.filter(|cells| !cells.is_empty()).map(|cells| Piece {
                    layer: number,
                    span,
                    rows: rows_of(&parts, &cells),
                    parts: parts.clone(),
                    condensed: condensed.clone(),
                    cells,
                }));
            }
        }
        pieces
    }

    pub(in crate::tables) fn scan_now(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let filter = CellsFilter::of(filters, &self.snapshot, self.seen());
        if !filter.rest.is_empty() {
            return self.scan_and_filter(state, projection, filters, filter.rest);
        }
        let layers = self.layers(state, &filter)?;
        let (rows, pieces) = match self.rows {
            // Buckets that a filter picks out here and there are no window.
            Rows::Window { resolution, bin } if filter.slices.is_empty() => {
                let cores =
                    NonZeroUsize::new(state.config().target_partitions()).unwrap_or(NonZeroUsize::MIN);
                let pieces = self.windows(&layers, &filter, (resolution, bin), cores);
                (self.rows, pieces)
            }
            _ => (Rows::Buckets, self.buckets(state, &layers, &filter)?),
        };
        let schema = project_schema(&SCHEMA, projection)?;
        let coarser = match rows {
            Rows::Window { resolution, .. } if resolution < self.snapshot.resolution => Some(resolution),
            _ => None,
        };
        let scanned: Vec<ScannedLayer> = layers
            .iter()
            .map(|(_, layer)| ScannedLayer {
                kind: layer.kind,
                scale: layer.scale(),
            })
            .collect();
        let known = Known {
            table: "cells",
            pruned: pruned(rows, &pieces, self.seen(), (layers.len(), self.all_layers())),
            statistics: statistics(&schema, rows, &pieces, filter.cells == *self.seen()),
            properties: order(schema.clone(), rows, &pieces, layers.len())?,
            apart: apart(&schema, rows, &pieces),
        };
        let pieces = CellPieces {
            layers: scanned,
            layer_ids: Arc::new(StringArray::from_iter_values(
                layers.iter().map(|(_, layer)| &layer.id),
            )),
            pieces,
            coarser,
            schema,
            has_revisions: self.seen().is_all(),
        };
        let partitions = state.config().target_partitions();
        Ok(Arc::new(SnapshotScan::new(
            known,
            Arc::new(pieces),
            partitions,
            limit,
        )))
    }
}

impl TableProvider for CellsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| {
            if CellsFilter::takes(filter, &self.snapshot) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(support).collect())
    }

    scan_at_once!();
}

/// What EXPLAIN shows: what of the table is read.
fn pruned(rows: Rows, pieces: &[Piece], seen: &CellSet, (layers, all_layers): (usize, usize)) -> String {
    let is_same = |a: &Piece, b: &Piece| (a.layer, a.span.start) == (b.layer, b.span.start);
    // Pieces of one window have the same slices.
    let distinct = pieces.chunk_by(is_same).filter_map(<[Piece]>::first);
    let slices: usize = distinct.clone().map(|piece| piece.parts.len()).sum();
    let all_rows: usize = distinct.map(|piece| rows_of(&piece.parts, seen)).sum();
    let kept: usize = pieces.iter().map(|piece| piece.rows).sum();
    let read = format!("layers={layers} of {all_layers}, slices={slices}, rows={kept} of {all_rows}");
    let Rows::Window { resolution, bin } = rows else {
        return read;
    };
    let window = pieces.iter().map(|piece| piece.span).reduce(|a, b| Span {
        start: a.start.min(b.start),
        end: a.end.max(b.end),
    });
    let window = window.map_or_else(
        || "none".to_owned(),
        |window| format!("{}/{}", window.start, window.end),
    );
    let bin = bin.map_or_else(String::new, |bin| format!(" and {}", bin.as_str()));
    format!(
        "{read}, window={window}, summed by cell of resolution {}{bin}",
        u8::from(resolution)
    )
}

fn statistics(schema: &SchemaRef, rows: Rows, pieces: &[Piece], keeps_all_cells: bool) -> Statistics {
    let number: usize = pieces.iter().map(|piece| piece.rows).sum();
    // Rows of partitions that share a cell and a bucket become one.
    let is_exact = rows == Rows::Buckets && pieces.iter().all(|piece| piece.parts.len() == 1);
    let rows = if is_exact {
        Precision::Exact(number)
    } else {
        Precision::Inexact(number)
    };
    let mut statistics = statistics_of(schema, rows);
    let starts = pieces.iter().map(|piece| piece.span.start.micros());
    let (Some(first), Some(last)) = (starts.clone().min(), starts.max()) else {
        return statistics;
    };
    let time = |micros| {
        let time = ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()));
        // A slice may have no row in the cells that are kept.
        if is_exact && keeps_all_cells {
            Precision::Exact(time)
        } else {
            Precision::Inexact(time)
        }
    };
    if let Ok(column) = schema.index_of("bucket")
        && let Some(column) = statistics.column_statistics.get_mut(column)
    {
        column.null_count = Precision::Exact(0);
        column.min_value = time(first);
        column.max_value = time(last);
    }
    statistics
}

/// The cell, as it is shown, from which on each piece is, where they are shares of the cells of one window.
fn apart(schema: &Schema, rows: Rows, pieces: &[Piece]) -> Option<(Arc<dyn PhysicalExpr>, Vec<ScalarValue>)> {
    let Rows::Window {
        resolution,
        bin: None,
    } = rows
    else {
        return None;
    };
    let column = Column::new("cell", schema.index_of("cell").ok()?);
    let layer = pieces.first()?.layer;
    let start = |piece: &Piece| {
        let shown = parent_of(piece.cells.ranges().first()?.start, resolution);
        (piece.layer == layer).then_some(ScalarValue::UInt64(Some(shown)))
    };
    let starts: Option<Vec<ScalarValue>> = pieces.iter().map(start).collect();
    Some((Arc::new(column), starts?))
}

/// Rows come by layer, then bucket, then cell. A column that has one value only does not matter for the order.
fn order(schema: SchemaRef, rows: Rows, pieces: &[Piece], layers: usize) -> Result<EquivalenceProperties> {
    let has_one_bucket = matches!(rows, Rows::Window { bin: None, .. })
        || pieces
            .windows(2)
            .all(|pair| pair.iter().all(|piece| piece.span.start == pair[0].span.start));
    let mut constants = Vec::new();
    let mut sorted = Vec::new();
    let mut is_whole = true;
    for (name, is_constant) in [
        ("layer", layers <= 1),
        ("bucket", has_one_bucket),
        ("cell", false),
    ] {
        let column = schema
            .index_of(name)
            .ok()
            .map(|index| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(name, index)) });
        match column {
            Some(column) if is_constant => {
                constants.push(ConstExpr::new(column, AcrossPartitions::Uniform(None)));
            }
            Some(column) if is_whole => sorted.push(PhysicalSortExpr::new_default(column)),
            _ => is_whole &= is_constant,
        }
    }
    let mut properties = EquivalenceProperties::new_with_orderings(schema, [sorted]);
    properties.add_constants(constants)?;
    Ok(properties)
}
