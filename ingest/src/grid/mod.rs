//! The grid: columnar by time, sorted by cell, each partition written by one thread, all read through snapshots.

mod aggregate;
mod block_sums;
mod calendar;
mod cell_map;
mod dedup;
mod earlier_readings;
mod entities;
mod entity_key;
mod entity_shard;
mod entity_table;
mod event_log;
mod layer_slices;
mod partition;
mod partition_limits;
mod publisher;
mod selection;
mod slice;
mod slice_start;
mod snapshot;
mod stored_slice;
mod visible_totals;
mod window_sum;

pub use crate::cells::{ALL_CELLS, CellSet, children_range, parent_of};
pub use crate::words::PartitionId;
pub use aggregate::{CellAggregate, Metric, ValueAggregate};
pub use calendar::{Calendar, Span, Step};
pub use entities::{Place, Report, ResponseUnit, Sensor, Stamped};
pub use entity_key::{EntityKey, KeyRef};
pub use entity_table::EntityTable;
pub use event_log::{EVENT_SCHEMA, EventBatch, EventLogLimits, EventView};
pub use layer_slices::{Cutoffs, LayerView, SliceMap, TimedSlice};
pub use partition::{
    Applied, EventCounts, Forgotten, GivenUp, GridSettings, LayerTotals, Partition, Retention,
};
pub use publisher::{GridPublisher, GridReader, Heard};
pub use selection::{PartitionSlice, SpanSlices, shares_of_cells};
pub use slice::{KindColumns, ObservationColumns, Slice};
pub use slice_start::{SliceStart, StartsWithin};
pub use snapshot::{DomainClock, GridSnapshot, PartitionView, Version};
pub(crate) use stored_slice::StoredSlice;
pub use window_sum::WindowSum;
