//! The raw events of a window, as Arrow batches with the times that they span.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Float64Builder, ListBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder, UInt8Builder, UInt64Builder,
};
use arrow::compute::filter_record_batch;
use arrow::compute::kernels::aggregate::{max, min};
use arrow::datatypes::{
    DataType, Field, Float64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use arrow::error::ArrowError;

use crate::words::{Event, EventKind, EventTime, Layer};

/// Rows of a full batch.
const BATCH_ROWS: usize = 8192;
/// Bytes of the texts of a full batch: far below the 2 GiB that a column of texts can address.
const BATCH_BYTES: usize = 8 << 20;
/// Of the bytes that a partition may keep, the batch being filled is at most this part, so that it is not all there is.
const PART_OF_LIMIT: usize = 8;
/// Bytes of a row beside its texts: numbers, and an offset and a bit for each column.
const ROW_BYTES: usize = 160;

/// Columns of the table `events`; times are microseconds UTC.
pub static EVENT_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let areas = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    Arc::new(Schema::new(vec![
        text("source", false),
        text("id", false),
        text("type", false),
        text("layer", true),
        Field::new("time", time.clone(), false),
        Field::new("lon", DataType::Float64, true),
        Field::new("lat", DataType::Float64, true),
        Field::new("cell", DataType::UInt64, true),
        Field::new("value", DataType::Float64, true),
        Field::new("severity", DataType::UInt8, true),
        text("report", true),
        text("op", true),
        text("sensor", true),
        text("unit", true),
        Field::new("areas", areas, true),
        Field::new("received", time, false),
    ]))
});

/// One batch of events.
#[derive(Clone, Debug)]
pub struct EventBatch {
    /// Rows in order of arrival, columns of [`EVENT_SCHEMA`].
    pub batch: RecordBatch,
    /// The earliest event time in it.
    pub first: EventTime,
    /// The latest event time in it.
    pub last: EventTime,
    /// The least and the greatest of its cells; none where no event has a place.
    pub cells: Option<(u64, u64)>,
    /// West, south, east, north of its places.
    pub bounds: Option<[f64; 4]>,
    /// Bytes that it takes.
    pub bytes: usize,
    views: EventViews,
}

/// Some rows of a batch: those that somebody may see.
#[derive(Clone, Debug)]
pub struct EventView {
    /// Which.
    pub rows: BooleanArray,
    /// How many.
    pub number: usize,
    /// The earliest and the latest of their times; none where there is no row.
    pub times: Option<(EventTime, EventTime)>,
    /// The least and the greatest of their cells.
    pub cells: Option<(u64, u64)>,
    /// West, south, east, north of their places.
    pub bounds: Option<[f64; 4]>,
}

/// Views that a batch remembers: a bit a row each.
const VIEWS_REMEMBERED: usize = 16;

/// A view, and the name of the rights that it is of.
type NamedView = (u128, Arc<EventView>);

/// The views of a batch that were asked for, the oldest first.
#[derive(Clone, Debug, Default)]
struct EventViews(Arc<Mutex<VecDeque<NamedView>>>);

impl EventBatch {
    /// The rows that `rows` picks out, which is asked once for each `name`: a name means the same rows whenever it is asked.
    ///
    /// # Errors
    /// Those of `rows`, and where it picks out of another number of rows.
    pub fn view(
        &self,
        name: u128,
        rows: impl FnOnce(&RecordBatch) -> Result<BooleanArray, ArrowError>,
    ) -> Result<Arc<EventView>, ArrowError> {
        let lock = || self.views.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = lock().iter().find(|(known, _)| *known == name) {
            return Ok(Arc::clone(known));
        }
        let rows = rows(&self.batch)?;
        let places = ["time", "cell", "lon", "lat"].map(|name| self.batch.schema().index_of(name));
        let places = places.into_iter().collect::<Result<Vec<usize>, ArrowError>>()?;
        let seen = filter_record_batch(&self.batch.project(&places)?, &rows)?;
        let spans = Spans::of(&seen);
        let view = Arc::new(EventView {
            number: seen.num_rows(),
            rows,
            times: spans.as_ref().and_then(|spans| spans.times),
            cells: spans.as_ref().and_then(|spans| spans.cells),
            bounds: spans.as_ref().and_then(|spans| spans.bounds),
        });
        let mut views = lock();
        if views.len() >= VIEWS_REMEMBERED {
            views.pop_front();
        }
        views.push_back((name, Arc::clone(&view)));
        Ok(view)
    }

    /// None for a batch without rows, or without the columns of [`EVENT_SCHEMA`].
    fn of(batch: RecordBatch) -> Option<Self> {
        let spans = Spans::of(&batch)?;
        let (first, last) = spans.times?;
        Some(Self {
            first,
            last,
            cells: spans.cells,
            bounds: spans.bounds,
            bytes: batch.columns().iter().map(bytes_of).sum(),
            batch,
            views: EventViews::default(),
        })
    }
}

/// What rows span.
struct Spans {
    times: Option<(EventTime, EventTime)>,
    cells: Option<(u64, u64)>,
    bounds: Option<[f64; 4]>,
}

impl Spans {
    fn of(batch: &RecordBatch) -> Option<Self> {
        let times = batch
            .column_by_name("time")?
            .as_primitive_opt::<TimestampMicrosecondType>()?;
        let cells = batch.column_by_name("cell")?.as_primitive_opt::<UInt64Type>()?;
        let lon = batch.column_by_name("lon")?.as_primitive_opt::<Float64Type>()?;
        let lat = batch.column_by_name("lat")?.as_primitive_opt::<Float64Type>()?;
        let time = EventTime::from_micros;
        Some(Self {
            times: min(times)
                .zip(max(times))
                .map(|(first, last)| (time(first), time(last))),
            cells: min(cells).zip(max(cells)),
            bounds: (|| Some([min(lon)?, min(lat)?, max(lon)?, max(lat)?]))(),
        })
    }
}

/// Bytes of a column's own rows: columns read from a file lie in one buffer, which each would count whole.
fn bytes_of(column: &ArrayRef) -> usize {
    let used = column.to_data().get_slice_memory_size();
    used.unwrap_or_else(|_| column.get_buffer_memory_size())
}

/// How much of the raw events is kept.
#[derive(Clone, Copy, Debug)]
pub struct EventLogLimits {
    /// Event time behind the partition's newest event, in microseconds.
    pub age: i64,
    /// Bytes of one partition's batches.
    pub bytes: usize,
}

/// The batch being filled.
struct Builders {
    source: StringBuilder,
    id: StringBuilder,
    kind: StringBuilder,
    layer: StringBuilder,
    time: TimestampMicrosecondBuilder,
    lon: Float64Builder,
    lat: Float64Builder,
    cell: UInt64Builder,
    value: Float64Builder,
    severity: UInt8Builder,
    report: StringBuilder,
    op: StringBuilder,
    sensor: StringBuilder,
    unit: StringBuilder,
    areas: ListBuilder<StringBuilder>,
    received: TimestampMicrosecondBuilder,
    rows: usize,
    /// Of the rows, texts included.
    bytes: usize,
}

/// Bytes that an event takes in a batch.
fn bytes_of_event(event: &Event<'_>, layer: Option<&Layer>) -> usize {
    let areas = event.areas.iter().flat_map(|ids| ids.iter());
    let texts = [event.source.len(), event.id.len(), event.entity.len()];
    ROW_BYTES
        + texts.iter().sum::<usize>()
        + layer.map_or(0, |layer| layer.id.len())
        + areas.map(|id| id.len() + size_of::<i32>()).sum::<usize>()
}

impl Builders {
    fn new() -> Self {
        Self {
            source: StringBuilder::new(),
            id: StringBuilder::new(),
            kind: StringBuilder::new(),
            layer: StringBuilder::new(),
            time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            lon: Float64Builder::new(),
            lat: Float64Builder::new(),
            cell: UInt64Builder::new(),
            value: Float64Builder::new(),
            severity: UInt8Builder::new(),
            report: StringBuilder::new(),
            op: StringBuilder::new(),
            sensor: StringBuilder::new(),
            unit: StringBuilder::new(),
            areas: ListBuilder::new(StringBuilder::new()),
            received: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            rows: 0,
            bytes: 0,
        }
    }

    /// Adds an event that takes so many bytes.
    fn push(&mut self, event: &Event<'_>, layer: Option<&Layer>, bytes: usize) {
        self.source.append_value(&event.source);
        self.id.append_value(&event.id);
        self.kind.append_value(event.kind.type_name());
        self.layer.append_option(layer.map(|layer| layer.id.as_str()));
        self.time.append_value(event.time.micros());
        self.lon
            .append_option(event.position.map(|position| position.lon));
        self.lat
            .append_option(event.position.map(|position| position.lat));
        self.cell
            .append_option(event.position.map(|position| u64::from(position.cell)));
        let value = event
            .value
            .zip(layer)
            .map(|(units, layer)| layer.scale().value(units as f64));
        self.value.append_option(value);
        let of = |kind| (event.kind == kind).then_some(&*event.entity);
        self.severity
            .append_option((event.kind == EventKind::Report).then_some(event.severity));
        self.report.append_option(of(EventKind::Report));
        self.op
            .append_option((event.kind == EventKind::Report).then(|| event.op.as_str()));
        self.sensor.append_option(of(EventKind::Observation));
        self.unit.append_option(of(EventKind::Position));
        for id in event.areas.iter().flat_map(|ids| ids.iter()) {
            self.areas.values().append_value(id);
        }
        self.areas.append(event.areas.is_some());
        self.received.append_value(event.received.micros());
        self.rows += 1;
        self.bytes += bytes;
    }

    /// A copy of what is there so far.
    fn batch(&self) -> Option<Arc<EventBatch>> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.source.finish_cloned()),
            Arc::new(self.id.finish_cloned()),
            Arc::new(self.kind.finish_cloned()),
            Arc::new(self.layer.finish_cloned()),
            Arc::new(self.time.finish_cloned()),
            Arc::new(self.lon.finish_cloned()),
            Arc::new(self.lat.finish_cloned()),
            Arc::new(self.cell.finish_cloned()),
            Arc::new(self.value.finish_cloned()),
            Arc::new(self.severity.finish_cloned()),
            Arc::new(self.report.finish_cloned()),
            Arc::new(self.op.finish_cloned()),
            Arc::new(self.sensor.finish_cloned()),
            Arc::new(self.unit.finish_cloned()),
            Arc::new(self.areas.finish_cloned()),
            Arc::new(self.received.finish_cloned()),
        ];
        // The builders are those of the schema; an error here would be a defect that tests see as missing rows.
        let batch = RecordBatch::try_new(Arc::clone(&EVENT_SCHEMA), columns)
            .inspect_err(|error| tracing::error!(%error, "a batch of raw events does not fit its schema"))
            .ok()?;
        EventBatch::of(batch).map(Arc::new)
    }
}

/// The newest events of one partition.
pub(crate) struct EventLog {
    limits: EventLogLimits,
    /// Bytes with which a batch is full.
    batch_bytes: usize,
    /// With the generation in which each was full.
    full: VecDeque<(u64, Arc<EventBatch>)>,
    /// Of the full batches.
    bytes: usize,
    building: Builders,
    /// The batch being filled, as of the last publication.
    published: Option<Arc<EventBatch>>,
    published_rows: usize,
    /// Batches that are full from now on bear this generation.
    generation: u64,
}

impl EventLog {
    pub(crate) fn new(limits: EventLogLimits) -> Self {
        Self {
            limits,
            batch_bytes: (limits.bytes / PART_OF_LIMIT).min(BATCH_BYTES),
            full: VecDeque::new(),
            bytes: 0,
            building: Builders::new(),
            published: None,
            published_rows: 0,
            generation: 1,
        }
    }

    pub(crate) fn push(&mut self, event: &Event<'_>, layer: Option<&Layer>) {
        if self.limits.bytes == 0 {
            return;
        }
        let bytes = bytes_of_event(event, layer);
        if self.building.rows > 0 && self.building.bytes + bytes > self.batch_bytes {
            self.close();
        }
        self.building.push(event, layer, bytes);
        if self.building.rows >= BATCH_ROWS {
            self.close();
        }
        self.expire_bytes();
    }

    /// The batch being filled is full.
    fn close(&mut self) {
        if let Some(batch) = self.building.batch() {
            self.add_full(batch, self.generation);
        }
        self.building = Builders::new();
        self.published = None;
        self.published_rows = 0;
    }

    fn add_full(&mut self, batch: Arc<EventBatch>, generation: u64) {
        self.bytes += batch.bytes;
        self.full.push_back((generation, batch));
    }

    /// Drops the oldest batches that are past the limits.
    pub(crate) fn expire(&mut self, newest: EventTime) {
        let oldest = newest.plus(-self.limits.age);
        while self.full.front().is_some_and(|(_, first)| first.last < oldest) {
            self.drop_first();
        }
        self.expire_bytes();
    }

    /// Drops the oldest batches while there are too many bytes, those of the batch being filled among them.
    fn expire_bytes(&mut self) {
        while self.bytes() > self.limits.bytes && !self.full.is_empty() {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, first)) = self.full.pop_front() {
            self.bytes -= first.bytes;
        }
    }

    /// Bytes of all batches.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes + self.building.bytes
    }

    /// All batches, the one being filled included, for a snapshot.
    pub(crate) fn publish(&mut self) -> Vec<Arc<EventBatch>> {
        if self.building.rows > self.published_rows {
            self.published = self.building.batch();
            self.published_rows = self.building.rows;
        }
        let full = self.full.iter().map(|(_, batch)| batch);
        full.chain(&self.published).map(Arc::clone).collect()
    }

    /// Batches that are full from now on bear this generation.
    pub(crate) fn begin_generation(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// The batches that were full after a generation, and the one being filled apart: it is saved anew each time.
    pub(crate) fn changed_since(
        &mut self,
        generation: u64,
    ) -> (Vec<Arc<EventBatch>>, Option<Arc<EventBatch>>) {
        self.publish();
        let changed = self.full.iter().filter(|(full, _)| *full > generation);
        (
            changed.map(|(_, batch)| Arc::clone(batch)).collect(),
            self.published.clone(),
        )
    }

    /// Puts back a batch from a checkpoint of a generation.
    pub(crate) fn restore(&mut self, batch: RecordBatch, generation: u64) {
        if let Some(batch) = EventBatch::of(batch) {
            self.add_full(Arc::new(batch), generation);
        }
    }
}

impl std::fmt::Debug for EventLog {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EventLog")
            .field("batches", &self.full.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
