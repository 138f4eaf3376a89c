//! What a checkpoint file holds of a partition, and how a partition is made again from a chain of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::event::EventHash;
use crate::grid::{
    EntityKey, EntityTable, EventBatch, EventCounts, GivenUp, GridSettings, LayerTotals, Partition,
    PartitionId, Report, ResponseUnit, Sensor, Span, StoredSlice, TimedSlice,
};
use crate::layer::LayerTable;
use crate::time::EventTime;

/// One file of a chain. Slices, hashes and full batches of raw events are those since the file before it;
/// everything else is the whole present state.
#[derive(Serialize, Deserialize)]
pub(crate) struct PartitionState {
    id: PartitionId,
    domain: Arc<str>,
    next_offset: i64,
    /// The next number of each queue of replays, by the id of the store that holds it.
    next_replays: BTreeMap<u64, u64>,
    newest: Option<EventTime>,
    sealed_to: EventTime,
    counts: EventCounts,
    dedup_floor: Option<EventTime>,
    hashes: Vec<(EventTime, EventHash)>,
    layers: Vec<LayerState>,
    sensors: Vec<(EntityKey, Sensor)>,
    reports: Vec<(EntityKey, Report)>,
    units: Vec<(EntityKey, ResponseUnit)>,
    /// Arrow IPC streams.
    events: Vec<ByteBuf>,
    /// The batch that was being filled; the next file holds it again, longer or full.
    events_open: Option<ByteBuf>,
    /// What alert rules know of this partition; opaque here.
    rules: Vec<u8>,
    given_up: GivenUp,
    /// Whether it holds everything, rather than what changed since the file before it.
    #[serde(skip)]
    is_whole: bool,
}

#[derive(Serialize, Deserialize)]
struct LayerState {
    layer: String,
    totals: LayerTotals,
    sealed: Vec<(u8, Span, u32, StoredSlice)>,
    open: Vec<(EventTime, StoredSlice)>,
}

/// Why a file that is whole still cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Learnt layers come from files of their own, which must be there.
    #[error(
        "layer `{0}` is in the checkpoint but not in the folder `catalogue`; restore that folder, or remove the checkpoint and read the log again"
    )]
    UnknownLayer(String),
    /// A slice's rows are out of order.
    #[error("a slice of layer `{0}` is damaged")]
    DamagedSlice(String),
    /// A batch of raw events is damaged.
    #[error("a batch of raw events is damaged: {0}")]
    DamagedEvents(#[from] arrow::error::ArrowError),
}

impl PartitionState {
    /// Takes what changed in `partition` since the last time this was called, or everything. It must reach a file, or the
    /// next state must be whole.
    pub(crate) fn take(partition: &mut Partition, layers: &LayerTable, all: bool, rules: Vec<u8>) -> Self {
        partition.settle();
        let (full, open) = partition.events.batches_to_save(all);
        let mut layer_states = Vec::new();
        for (index, (slices, totals)) in &partition.layers {
            let Some(layer) = layers.get(*index) else { continue };
            let sealed = slices.slices_to_save(all).into_iter();
            layer_states.push(LayerState {
                layer: layer.id.clone(),
                totals: *totals,
                sealed: sealed
                    .map(|(step, s)| (step as u8, s.span, s.revision, (&s.slice).into()))
                    .collect(),
                open: slices
                    .open_to_save()
                    .map(|(start, slice)| (start, (&slice).into()))
                    .collect(),
            });
        }
        let state = Self {
            id: partition.id.clone(),
            domain: Arc::clone(&partition.domain),
            next_offset: partition.next_offset,
            next_replays: partition.next_replays.clone(),
            newest: partition.newest,
            sealed_to: partition.sealed_to,
            counts: partition.counts.clone(),
            dedup_floor: partition.dedup.floor(),
            hashes: partition.dedup.to_save(all),
            layers: layer_states,
            sensors: all_entities(&partition.sensors),
            reports: all_entities(&partition.reports),
            units: all_entities(&partition.units),
            events: full.iter().filter_map(|batch| to_ipc(batch)).collect(),
            events_open: open.as_deref().and_then(to_ipc),
            rules,
            given_up: partition.given_up,
            is_whole: all,
        };
        partition.mark_saved();
        state
    }

    /// Whose state it is.
    pub(crate) const fn id(&self) -> &PartitionId {
        &self.id
    }

    /// The first offset that is not in it.
    pub(crate) const fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The layers that it names.
    pub(super) fn layers_named(&self) -> impl Iterator<Item = &str> {
        let slices = self.layers.iter().map(|state| state.layer.as_str());
        let sensors = self.sensors.iter().map(|(key, _)| &*key.scope);
        let reports = self.reports.iter();
        let reports = reports.filter_map(|(_, report)| Some(report.layer.as_ref()?.value.as_str()));
        slices.chain(sensors).chain(reports)
    }

    /// Whether it holds everything, rather than what changed since the file before it.
    pub(crate) const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The partition that a chain of files makes, oldest first, and what rules knew.
    pub(crate) fn restore(
        chain: Vec<Self>,
        settings: GridSettings,
        layers: &LayerTable,
    ) -> Result<Option<(Partition, Vec<u8>)>, StateError> {
        let Some(last) = chain.last() else { return Ok(None) };
        let mut partition = Partition::new(
            last.id.clone(),
            Arc::clone(&last.domain),
            settings,
            last.next_offset,
        );
        let mut rules = Vec::new();
        let files = chain.len();
        for (number, file) in chain.into_iter().enumerate() {
            let is_last = number + 1 == files;
            partition.newest = file.newest;
            partition.sealed_to = file.sealed_to;
            partition.given_up = file.given_up;
            for (time, hash) in file.hashes {
                partition.dedup.restore(time, hash);
            }
            for layer in file.layers {
                restore_layer(&mut partition, layers, layer)?;
            }
            let open = file.events_open.filter(|_| is_last);
            for bytes in file.events.into_iter().chain(open) {
                for batch in StreamReader::try_new(&**bytes, None)? {
                    partition.events.restore(batch?);
                }
            }
            if is_last {
                partition.next_replays = file.next_replays;
                partition.counts = file.counts;
                partition.dedup.set_floor(file.dedup_floor);
                partition.sensors = EntityTable::from_pairs(file.sensors);
                partition.reports = EntityTable::from_pairs(file.reports);
                partition.units = EntityTable::from_pairs(file.units);
                rules = file.rules;
            }
        }
        partition.restored();
        Ok(Some((partition, rules)))
    }
}

fn restore_layer(
    partition: &mut Partition,
    layers: &LayerTable,
    state: LayerState,
) -> Result<(), StateError> {
    let unknown = || StateError::UnknownLayer(state.layer.clone());
    let index = layers.find(&state.layer).ok_or_else(unknown)?;
    let kind = layers.get(index).map(|layer| layer.kind).ok_or_else(unknown)?;
    let damaged = || StateError::DamagedSlice(state.layer.clone());
    let slice_of = |stored: StoredSlice| {
        let slice = stored.into_slice().filter(|slice| slice.kind() == kind);
        slice.ok_or_else(damaged)
    };
    let slices = partition.layer_slices(index, kind, state.totals);
    for (step, span, revision, stored) in state.sealed {
        let slice = slice_of(stored)?;
        slices.restore(
            usize::from(step),
            TimedSlice {
                span,
                revision,
                slice,
            },
        );
    }
    slices.clear_open();
    for (start, stored) in state.open {
        slices.restore_open(start, &slice_of(stored)?);
    }
    Ok(())
}

fn all_entities<V: Clone>(table: &EntityTable<V>) -> Vec<(EntityKey, V)> {
    table
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn to_ipc(batch: &EventBatch) -> Option<ByteBuf> {
    let mut bytes = Vec::new();
    let written = StreamWriter::try_new(&mut bytes, &batch.batch.schema()).and_then(|mut writer| {
        writer.write(&batch.batch)?;
        writer.finish()
    });
    // Writing to memory fails only for types that IPC does not know, and the schema has none.
    written
        .inspect_err(|error| tracing::error!(%error, "raw events could not be put into the checkpoint"))
        .ok()?;
    Some(ByteBuf::from(bytes))
}
