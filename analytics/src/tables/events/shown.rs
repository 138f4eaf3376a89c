//! The events that a permission shows, batch by batch.
//!
//! An event is judged by its layer and by the areas that hold its point; positions of response units and the column of units
//! are for who sees units.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use datafusion::common::Result;
use riskgrid_ingest::grid::{EventBatch, EventView};
use riskgrid_ingest::{EventKind, EventTime};

use crate::permission::Permission;
use crate::tables::filters::Narrowing;
use crate::tables::time_filters::EventsWithin;

/// The rows of a batch that are seen.
#[derive(Clone, Debug)]
pub(super) struct ShownBatch {
    pub(super) batch: Arc<EventBatch>,
    /// None where it is all of them.
    view: Option<Arc<EventView>>,
}

/// Whether every event is seen.
pub(super) const fn shows_all(permission: &Permission) -> bool {
    permission.is_whole() && permission.sees_units()
}

impl ShownBatch {
    pub(super) fn of(batch: &Arc<EventBatch>, permission: &Permission) -> Result<Self> {
        let view = (!shows_all(permission))
            .then(|| batch.view(permission.class().bits(), |rows| seen_rows(rows, permission)));
        Ok(Self {
            batch: Arc::clone(batch),
            view: view.transpose()?,
        })
    }

    /// How many rows.
    pub(super) fn rows(&self) -> usize {
        self.view
            .as_ref()
            .map_or_else(|| self.batch.batch.num_rows(), |view| view.number)
    }

    /// What its rows span.
    pub(super) fn spans(&self) -> Spans {
        match &self.view {
            None => Spans {
                times: Some((self.batch.first, self.batch.last)),
                cells: self.batch.cells,
                bounds: self.batch.bounds,
            },
            Some(view) => Spans {
                times: view.times,
                cells: view.cells,
                bounds: view.bounds,
            },
        }
    }

    /// The rows in some of the columns.
    pub(super) fn read(&self, columns: &[usize]) -> Result<RecordBatch, ArrowError> {
        let rows = self.batch.batch.project(columns)?;
        match &self.view {
            Some(view) if view.number < rows.num_rows() => filter_record_batch(&rows, &view.rows),
            _ => Ok(rows),
        }
    }
}

/// What some rows span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    times: Option<(EventTime, EventTime)>,
    cells: Option<(u64, u64)>,
    bounds: Option<[f64; 4]>,
}

impl Spans {
    /// Whether rows may be kept by what a filter rules out.
    pub(super) fn may_match(&self, narrowing: &Narrowing) -> bool {
        self.times
            .is_some_and(|(first, last)| narrowing.times.meets(first, last))
            && narrowing.may_hold(self.cells, self.bounds)
    }

    /// Whether all times are among these.
    pub(super) fn are_inside(&self, times: EventsWithin) -> bool {
        self.times.is_none_or(|(first, last)| times.contains(first, last))
    }

    /// Of both.
    #[must_use]
    pub(super) fn with(self, other: Self) -> Self {
        fn both<T>(one: Option<T>, other: Option<T>, with: impl Fn(T, T) -> T) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(with(one, other)),
                (one, other) => one.or(other),
            }
        }
        Self {
            times: both(self.times, other.times, |a, b| (a.0.min(b.0), a.1.max(b.1))),
            cells: both(self.cells, other.cells, |a, b| (a.0.min(b.0), a.1.max(b.1))),
            bounds: both(self.bounds, other.bounds, |a, b| {
                [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
            }),
        }
    }
}

/// Which rows are seen.
fn seen_rows(events: &RecordBatch, permission: &Permission) -> Result<BooleanArray, ArrowError> {
    let column = |name: &str| {
        let found = events.column_by_name(name);
        found.ok_or_else(|| ArrowError::SchemaError(format!("events have no column {name}")))
    };
    let kinds = column("type")?.as_string::<i32>();
    let layers = column("layer")?.as_string::<i32>();
    let areas = column("areas")?.as_list::<i32>();
    let ids = areas.values().as_string::<i32>();
    let position = EventKind::Position.type_name();
    let in_scope = |row: usize| {
        if permission.has_all_areas() {
            return true;
        }
        let [start, end] = [row, row + 1].map(|at| areas.value_offsets()[at] as usize);
        areas.is_valid(row) && (start..end).any(|at| permission.admits_area(ids.value(at)))
    };
    let is_seen = |row: usize| {
        (permission.sees_units() || kinds.value(row) != position)
            && permission.admits_layer(layers.is_valid(row).then(|| layers.value(row)))
            && in_scope(row)
    };
    Ok((0..events.num_rows()).map(|row| Some(is_seen(row))).collect())
}
