//! What is taken of a partition for a checkpoint: shared with the grid and not copied, and put into bytes piece by piece
//! by who writes it.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::ipc::writer::StreamWriter;
use serde_bytes::Bytes;

use super::CheckpointError;
use super::item::{Head, Item, bytes_of};
use crate::grid::{
    EntityTable, EventBatch, Forgotten, Partition, Report, ResponseUnit, Sensor, Slice, StoredSlice,
    TimedSlice,
};
use crate::words::{EventTime, Layer, LayerTable, PartitionId};

/// A file is full when it has so many bytes; one item more may be in it.
const FILE_BYTES: usize = 16 << 20;

/// What changed of a partition since a generation, 0 for everything.
pub(crate) struct PartitionState {
    head: Head,
    forgotten: Forgotten,
    since: u64,
    sensors: EntityTable<Sensor>,
    reports: EntityTable<Report>,
    units: EntityTable<ResponseUnit>,
    hashes: Vec<(EventTime, Arc<Vec<u128>>)>,
    events: Vec<Arc<EventBatch>>,
    open_events: Option<Arc<EventBatch>>,
    layers: Vec<LayerState>,
}

struct LayerState {
    layer: Arc<Layer>,
    sealed: Vec<(usize, Arc<TimedSlice>)>,
    open: Vec<(EventTime, Slice)>,
}

impl PartitionState {
    /// Takes what changed in `partition` since a generation. What changes from now on is of the next one.
    pub(crate) fn take(partition: &mut Partition, layers: &LayerTable, since: u64, rules: Vec<u8>) -> Self {
        partition.settle();
        let (events, open_events) = partition.events.changed_since(since);
        let known = partition.layers.iter();
        let layer_states: Vec<_> = known
            .filter_map(|(index, (slices, totals))| {
                let layer = layers.get(*index)?;
                let sealed = slices.changed_since(since);
                let state = LayerState {
                    layer: Arc::clone(layer),
                    sealed: sealed.map(|(step, slice)| (step, Arc::clone(slice))).collect(),
                    open: slices.open_to_save().collect(),
                };
                Some((state, *totals))
            })
            .collect();
        let state = Self {
            head: Head {
                id: partition.id.clone(),
                domain: Arc::clone(&partition.domain),
                generation: partition.generation,
                next_offset: partition.next_offset,
                next_replays: partition.next_replays.clone(),
                newest: partition.newest,
                sealed_to: partition.sealed_to,
                counts: partition.counts.clone(),
                dedup_floor: partition.dedup.floor(),
                layers: layer_states
                    .iter()
                    .map(|(state, totals)| (state.layer.id.clone(), *totals))
                    .collect(),
                reports_dropped: partition.reports.dropped_since(since),
                given_up: partition.given_up,
                rules,
            },
            forgotten: partition.forgotten,
            since,
            sensors: partition.sensors.clone(),
            reports: partition.reports.clone(),
            units: partition.units.clone(),
            hashes: partition.dedup.changed_since(since),
            events,
            open_events,
            layers: layer_states.into_iter().map(|(state, _)| state).collect(),
        };
        partition.begin_generation(partition.generation.saturating_add(1));
        state
    }

    /// Whose state it is.
    pub(crate) const fn id(&self) -> &PartitionId {
        &self.head.id
    }

    /// The first offset that is not in it.
    pub(crate) const fn next_offset(&self) -> i64 {
        self.head.next_offset
    }

    /// The generation of the newest change in it.
    pub(super) const fn generation(&self) -> u64 {
        self.head.generation
    }

    /// The generation after which it holds all changes; 0: it holds everything.
    pub(super) const fn since(&self) -> u64 {
        self.since
    }

    /// Puts it into the bytes of files, and hands each file to `write`. What the grid copies when it changes is let go of
    /// first.
    pub(super) fn into_files(
        self,
        write: impl FnMut(&[u8]) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let mut files = FileWriter {
            bytes: Vec::new(),
            write,
        };
        files.add(&Item::Head(Cow::Owned(self.head)))?;
        if self.forgotten != Forgotten::default() {
            let before = [
                self.sensors.dropped_since(self.since),
                self.units.dropped_since(self.since),
            ];
            files.add(&Item::Forgotten(self.forgotten, before))?;
        }
        for (key, sensor) in self.sensors.changed_since(self.since) {
            let earlier = sensor.earlier.iter().copied().collect();
            let (key, sensor) = (Cow::Borrowed(key), Cow::Borrowed(sensor));
            files.add(&Item::SensorReadings(key, sensor, earlier))?;
        }
        drop(self.sensors);
        for (key, report) in self.reports.changed_since(self.since) {
            let channel = report.channel;
            let (key, report) = (Cow::Borrowed(key), Cow::Borrowed(report));
            files.add(&Item::ReportChannel(key, report, channel))?;
        }
        drop(self.reports);
        for (key, unit) in self.units.changed_since(self.since) {
            files.add(&Item::Unit(Cow::Borrowed(key), Cow::Borrowed(unit)))?;
        }
        drop(self.units);
        let mut bytes = Vec::new();
        for (start, hashes) in self.hashes {
            bytes_of(&hashes, &mut bytes);
            let hashes = Bytes::new(&bytes);
            files.add(&Item::Hashes { start, hashes })?;
        }
        for batch in self.events {
            put_ipc(&batch, &mut bytes)?;
            files.add(&Item::Events(Bytes::new(&bytes)))?;
        }
        if let Some(batch) = self.open_events {
            put_ipc(&batch, &mut bytes)?;
            files.add(&Item::OpenEvents(Bytes::new(&bytes)))?;
        }
        for state in self.layers {
            let layer = state.layer.id.as_str();
            for (step, timed) in state.sealed {
                files.add(&Item::Slice {
                    layer,
                    step: step as u8,
                    span: timed.span,
                    revision: timed.revision,
                    slice: StoredSlice::of(&timed.slice, &mut bytes),
                })?;
            }
            for (start, slice) in state.open {
                let slice = StoredSlice::of(&slice, &mut bytes);
                files.add(&Item::OpenBucket { layer, start, slice })?;
            }
        }
        files.finish()
    }
}

struct FileWriter<W> {
    bytes: Vec<u8>,
    write: W,
}

impl<W: FnMut(&[u8]) -> Result<(), CheckpointError>> FileWriter<W> {
    fn add(&mut self, item: &Item<'_>) -> Result<(), CheckpointError> {
        self.bytes = postcard::to_extend(item, std::mem::take(&mut self.bytes))?;
        if self.bytes.len() >= FILE_BYTES {
            (self.write)(&self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), CheckpointError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        (self.write)(&self.bytes)
    }
}

fn put_ipc(batch: &EventBatch, bytes: &mut Vec<u8>) -> Result<(), CheckpointError> {
    bytes.clear();
    let mut writer = StreamWriter::try_new(bytes, &batch.batch.schema())?;
    writer.write(&batch.batch)?;
    writer.finish()?;
    Ok(())
}
