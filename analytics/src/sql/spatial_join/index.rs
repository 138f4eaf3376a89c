//! The indexed side of a spatial join: its rows, their geometries made ready, and an R-tree over these.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::compute::interleave;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_expr::PhysicalExpr;
use futures::StreamExt as _;
use geo::{Distance as _, Euclidean, Geometry, HasDimensions as _, Point, Rect};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, PointDistance as _, RTree};

use super::predicate::Test;
use crate::geometry::{
    GeometryValues, Prepared, bounds_of, metres_between, on_unit_sphere, point_on_globe, squared_chord,
};
use crate::sql::bounds::bytes_of;

/// Bytes that an entry takes in a tree, about: itself, and its share of the nodes above.
const TREE_BYTES: usize = 96;

/// All rows of the indexed side.
#[derive(Debug)]
pub(super) struct Index {
    batches: Vec<RecordBatch>,
    /// Where each row lies, as (batch, row in it).
    places: Vec<(usize, usize)>,
    /// One row of nothing but NULL.
    nulls: RecordBatch,
    entries: Entries,
    /// Whether a row has been joined, where somebody will ask.
    joined: Vec<AtomicBool>,
    /// Streams that still look rows up; the last one tells which were not joined.
    pub(super) lookers: AtomicUsize,
    _memory: MemoryReservation,
}

#[derive(Debug)]
enum Entries {
    Boxes {
        tree: RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>,
        /// By row; `None` where there is no geometry.
        prepared: Vec<Option<Prepared>>,
    },
    Sphere {
        tree: RTree<GeomWithData<[f64; 3], usize>>,
        points: Vec<Option<Point>>,
    },
}

impl Index {
    /// Reads all of `rows`. Its memory is kept in `memory`.
    pub(super) async fn build(
        mut rows: SendableRecordBatchStream,
        geometry: &Arc<dyn PhysicalExpr>,
        test: Test,
        asks_for_joined: bool,
        lookers: usize,
        memory: MemoryReservation,
    ) -> Result<Self> {
        let schema = rows.schema();
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut places = Vec::new();
        let mut geometries = Vec::new();
        while let Some(batch) = rows.next().await.transpose()? {
            let fixed = size_of::<(usize, usize)>() + size_of::<Option<Prepared>>() + TREE_BYTES;
            memory.try_grow(bytes_of(&batch) + batch.num_rows() * fixed)?;
            let column = geometry.evaluate(&batch)?.into_array(batch.num_rows())?;
            let values = GeometryValues::new(&column)?;
            for row in 0..batch.num_rows() {
                let geometry = geometry_of(&values, row).map(Prepared::new);
                memory.try_grow(geometry.as_ref().map_or(0, Prepared::bytes))?;
                geometries.push(geometry);
                places.push((batches.len(), row));
                tokio::task::consume_budget().await;
            }
            batches.push(batch);
        }
        let joined = if asks_for_joined { places.len() } else { 0 };
        Ok(Self {
            nulls: null_row(&schema)?,
            batches,
            entries: Entries::new(geometries, test),
            joined: (0..joined).map(|_| AtomicBool::new(false)).collect(),
            places,
            lookers: AtomicUsize::new(lookers),
            _memory: memory,
        })
    }

    /// The rows that may be joined to a geometry, ascending; of the nearest ones exactly these.
    pub(super) fn candidates(&self, geometry: &Geometry, test: Test, found: &mut Vec<usize>) {
        found.clear();
        match (&self.entries, test) {
            (Entries::Boxes { tree, .. }, Test::Relation(_) | Test::WithinDegrees(_)) => {
                let margin = if let Test::WithinDegrees(degrees) = test {
                    degrees
                } else {
                    0.0
                };
                if let Some(envelope) = bounds_of(geometry).and_then(|bounds| envelope(bounds, margin)) {
                    found.extend(
                        tree.locate_in_envelope_intersecting(&envelope)
                            .map(|entry| entry.data),
                    );
                }
            }
            (Entries::Sphere { tree, .. }, Test::WithinMetres(metres)) => {
                if let Some(point) = point_on_globe(geometry).filter(|_| metres >= 0.0) {
                    // Wider by what rounding can take away; the exact test follows.
                    let chord = squared_chord(metres) * (1.0 + 1e-9) + 1e-20;
                    let within = tree.locate_within_distance(on_unit_sphere(point), chord);
                    found.extend(within.map(|entry| entry.data));
                }
            }
            (Entries::Sphere { tree, .. }, Test::Nearest(k)) => {
                if let Some(point) = point_on_globe(geometry) {
                    nearest(tree, on_unit_sphere(point), k, found);
                }
            }
            _ => {}
        }
        found.sort_unstable();
    }

    /// Whether a candidate is joined to the geometry.
    pub(super) fn holds(&self, row: usize, geometry: &Geometry, test: Test) -> bool {
        match (&self.entries, test) {
            (Entries::Boxes { prepared, .. }, Test::Relation(_) | Test::WithinDegrees(_)) => {
                let Some(Some(prepared)) = prepared.get(row) else {
                    return false;
                };
                match test {
                    Test::Relation(relation) => prepared.holds(relation, geometry),
                    Test::WithinDegrees(degrees) => {
                        Euclidean.distance(prepared.geometry(), geometry) <= degrees
                    }
                    _ => false,
                }
            }
            (Entries::Sphere { points, .. }, Test::WithinMetres(metres)) => {
                let to = points.get(row).copied().flatten();
                matches!((point_on_globe(geometry), to), (Some(from), Some(to)) if metres_between(from, to) <= metres)
            }
            (Entries::Sphere { .. }, Test::Nearest(_)) => true,
            _ => false,
        }
    }

    pub(super) fn set_joined(&self, row: usize) {
        if let Some(joined) = self.joined.get(row) {
            joined.store(true, Ordering::Relaxed);
        }
    }

    /// The rows that have been joined, or have not.
    pub(super) fn rows_that_were(&self, joined: bool) -> Vec<usize> {
        let rows = self.joined.iter().enumerate();
        rows.filter(|(_, was)| was.load(Ordering::Relaxed) == joined)
            .map(|(row, _)| row)
            .collect()
    }

    /// A column of these rows, NULL for `None`.
    pub(super) fn column(&self, index: usize, rows: &[Option<usize>]) -> Result<ArrayRef> {
        let arrays: Vec<&dyn Array> = self
            .batches
            .iter()
            .chain([&self.nulls])
            .map(|batch| batch.column(index).as_ref())
            .collect();
        let null = (self.batches.len(), 0);
        let places: Vec<(usize, usize)> = rows
            .iter()
            .map(|row| row.and_then(|row| self.places.get(row).copied()).unwrap_or(null))
            .collect();
        Ok(interleave(&arrays, &places)?)
    }
}

impl Entries {
    fn new(geometries: Vec<Option<Prepared>>, test: Test) -> Self {
        if matches!(test, Test::WithinMetres(_) | Test::Nearest(_)) {
            let points: Vec<Option<Point>> = geometries
                .iter()
                .map(|geometry| point_on_globe(geometry.as_ref()?.geometry()))
                .collect();
            let entries = points
                .iter()
                .enumerate()
                .filter_map(|(row, point)| point.map(|point| GeomWithData::new(on_unit_sphere(point), row)));
            return Self::Sphere {
                tree: RTree::bulk_load(entries.collect()),
                points,
            };
        }
        let entries = geometries.iter().enumerate().filter_map(|(row, geometry)| {
            let bounds = geometry.as_ref()?.bounds()?;
            let corners = [bounds.min(), bounds.max()].map(|corner| [corner.x, corner.y]);
            let rectangle = Rectangle::from_corners(corners[0], corners[1]);
            Some(GeomWithData::new(rectangle, row))
        });
        Self::Boxes {
            tree: RTree::bulk_load(entries.collect()),
            prepared: geometries,
        }
    }
}

/// The box widened by a margin; `None` if the margin leaves nothing of it.
fn envelope(bounds: Rect, margin: f64) -> Option<AABB<[f64; 2]>> {
    let (min, max) = (bounds.min(), bounds.max());
    // Wider by what rounding can take away; the exact test follows.
    let slack = if margin > 0.0 { margin * 1e-9 + 1e-9 } else { 0.0 };
    (margin >= 0.0).then(|| {
        let margin = margin + slack;
        AABB::from_corners([min.x - margin, min.y - margin], [max.x + margin, max.y + margin])
    })
}

/// The `k` rows nearest to a point; of several that are equally far, those that come first.
fn nearest(tree: &RTree<GeomWithData<[f64; 3], usize>>, point: [f64; 3], k: usize, found: &mut Vec<usize>) {
    let mut ranked: Vec<(f64, usize)> = Vec::new();
    for entry in tree.nearest_neighbor_iter(&point) {
        let distance = entry.distance_2(&point);
        if ranked.len() >= k && ranked.last().is_some_and(|(furthest, _)| distance > *furthest) {
            break;
        }
        ranked.push((distance, entry.data));
    }
    ranked.sort_by(|(a, a_row), (b, b_row)| a.total_cmp(b).then(a_row.cmp(b_row)));
    found.extend(ranked.into_iter().take(k).map(|(_, row)| row));
}

fn null_row(schema: &SchemaRef) -> Result<RecordBatch> {
    let nullable = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true));
    let schema = SchemaRef::new(Schema::new(nullable.collect::<Vec<_>>()));
    let columns = schema
        .fields()
        .iter()
        .map(|field| new_null_array(field.data_type(), 1))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// The geometry of a row; `None` also where it is empty, because no relation that an index answers holds for that.
pub(super) fn geometry_of(values: &GeometryValues, row: usize) -> Option<Geometry> {
    values.get(row).filter(|geometry| !geometry.is_empty())
}
