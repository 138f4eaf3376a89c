//! What the files of a checkpoint hold: one item after the other, as postcard writes them. Files are cut between items, so
//! that neither who writes nor who reads holds more than a few of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use crate::grid::{
    EntityKey, EventCounts, Forgotten, GivenUp, LayerTotals, Report, ResponseUnit, Sensor, Slice, Span,
    Stamped, StoredSlice, TimedSlice,
};
use crate::words::{Channel, EventTime, PartitionId};

/// What is small, and stands in each step of a chain as it was then; it comes before all else of its step.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) id: PartitionId,
    pub(super) domain: Arc<str>,
    /// That of the changes in the step.
    pub(super) generation: u64,
    pub(super) next_offset: i64,
    /// The next number of each queue of replays, by the id of the store that holds it.
    pub(super) next_replays: BTreeMap<u64, u64>,
    pub(super) newest: Option<EventTime>,
    pub(super) sealed_to: EventTime,
    pub(super) counts: EventCounts,
    pub(super) dedup_floor: Option<EventTime>,
    pub(super) layers: Vec<(String, LayerTotals)>,
    /// Reports of older steps that no event told of since this time are dropped.
    pub(super) reports_dropped: Option<EventTime>,
    pub(super) given_up: GivenUp,
    /// What alert rules know of this partition; opaque here.
    #[serde(with = "serde_bytes")]
    pub(super) rules: Vec<u8>,
}

/// One thing in a file.
#[derive(Serialize, Deserialize)]
pub(super) enum Item<'a> {
    Head(Cow<'a, Head>),
    Sensor(Cow<'a, EntityKey>, Cow<'a, Sensor>),
    Report(Cow<'a, EntityKey>, Cow<'a, Report>),
    Unit(Cow<'a, EntityKey>, Cow<'a, ResponseUnit>),
    /// Hashes of events, sorted, 16 bytes each.
    Hashes {
        start: EventTime,
        #[serde(borrow)]
        hashes: &'a Bytes,
    },
    /// Raw events, an Arrow IPC stream.
    Events(#[serde(borrow)] &'a Bytes),
    /// The batch of raw events that is being filled; the next step holds it again, longer or full.
    OpenEvents(#[serde(borrow)] &'a Bytes),
    /// A sealed slice.
    Slice {
        #[serde(borrow)]
        layer: &'a str,
        step: u8,
        span: Span,
        revision: u32,
        #[serde(borrow)]
        slice: StoredSlice<'a>,
    },
    /// A bucket that may still get events; the next step holds it again, or sealed.
    OpenBucket {
        #[serde(borrow)]
        layer: &'a str,
        start: EventTime,
        #[serde(borrow)]
        slice: StoredSlice<'a>,
    },
    /// Sensors and units that were too many; only where there were some.
    Forgotten(Forgotten, [Option<EventTime>; 2]),
    /// A sensor, and the readings before its newest; [`Item::Sensor`] is what was written before there were any.
    SensorReadings(Cow<'a, EntityKey>, Cow<'a, Sensor>, Vec<Stamped<i64>>),
    /// A report, and how its opening came; [`Item::Report`] is what was written before that was kept.
    ReportChannel(Cow<'a, EntityKey>, Cow<'a, Report>, Option<Stamped<Channel>>),
}

/// Why the bytes of a file are no items, although they are those that were written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error("not what this riskgrid writes: {0}")]
    Encoding(#[from] postcard::Error),
    #[error("a slice of layer `{0}` is damaged")]
    Slice(String),
    #[error("hashes of events are damaged")]
    Hashes,
    #[error("a batch of raw events is damaged: {0}")]
    Events(#[from] arrow::error::ArrowError),
}

/// The items of one file, as the grid keeps them.
#[derive(Default)]
pub(super) struct Part {
    pub(super) head: Option<Head>,
    /// How many sensors and units were dropped so far; those of older steps that no event told of since these times are.
    pub(super) forgotten: Option<(Forgotten, [Option<EventTime>; 2])>,
    pub(super) sensors: Vec<(EntityKey, Sensor)>,
    pub(super) reports: Vec<(EntityKey, Report)>,
    pub(super) units: Vec<(EntityKey, ResponseUnit)>,
    pub(super) hashes: Vec<(EventTime, Vec<u128>)>,
    pub(super) events: Vec<RecordBatch>,
    pub(super) open_events: Vec<RecordBatch>,
    pub(super) slices: Vec<(String, u8, TimedSlice)>,
    pub(super) open_buckets: Vec<(String, EventTime, Slice)>,
}

impl Part {
    /// Reads the items of a file.
    pub(super) fn read(mut bytes: &[u8]) -> Result<Self, Damage> {
        let mut part = Self::default();
        while !bytes.is_empty() {
            let (item, rest) = postcard::take_from_bytes::<Item<'_>>(bytes)?;
            part.take(item)?;
            bytes = rest;
        }
        Ok(part)
    }

    fn take(&mut self, item: Item<'_>) -> Result<(), Damage> {
        let damaged = |layer: &str| Damage::Slice(layer.to_owned());
        match item {
            Item::Head(head) => self.head = Some(head.into_owned()),
            Item::Forgotten(counts, before) => self.forgotten = Some((counts, before)),
            Item::Sensor(key, sensor) => self.sensors.push((key.into_owned(), sensor.into_owned())),
            Item::Report(key, report) => self.reports.push((key.into_owned(), report.into_owned())),
            Item::SensorReadings(key, sensor, readings) => {
                let mut sensor = sensor.into_owned();
                for reading in readings {
                    sensor.earlier.insert(reading);
                }
                self.sensors.push((key.into_owned(), sensor));
            }
            Item::ReportChannel(key, report, channel) => {
                let mut report = report.into_owned();
                report.channel = channel;
                self.reports.push((key.into_owned(), report));
            }
            Item::Unit(key, unit) => self.units.push((key.into_owned(), unit.into_owned())),
            Item::Hashes { start, hashes } => {
                self.hashes
                    .push((start, hashes_of(hashes).ok_or(Damage::Hashes)?));
            }
            Item::Events(bytes) => read_batches(bytes, &mut self.events)?,
            Item::OpenEvents(bytes) => read_batches(bytes, &mut self.open_events)?,
            Item::Slice {
                layer,
                step,
                span,
                revision,
                slice,
            } => {
                let slice = slice.to_slice().ok_or_else(|| damaged(layer))?;
                let slice = TimedSlice {
                    span,
                    revision,
                    slice,
                };
                self.slices.push((layer.to_owned(), step, slice));
            }
            Item::OpenBucket { layer, start, slice } => {
                let slice = slice.to_slice().ok_or_else(|| damaged(layer))?;
                self.open_buckets.push((layer.to_owned(), start, slice));
            }
        }
        Ok(())
    }

    /// The layers that it names.
    pub(super) fn layers_named(&self) -> impl Iterator<Item = &str> {
        let head = self.head.iter().flat_map(|head| &head.layers);
        let sensors = self.sensors.iter().map(|(key, _)| &*key.scope);
        let reports = self.reports.iter();
        let reports = reports.filter_map(|(_, report)| Some(report.layer.as_ref()?.value.as_str()));
        head.map(|(layer, _)| layer.as_str())
            .chain(sensors)
            .chain(reports)
    }
}

/// Hashes as they lie in a file.
pub(super) fn bytes_of(hashes: &[u128], bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.extend(hashes.iter().flat_map(|hash| hash.to_le_bytes()));
}

fn hashes_of(bytes: &[u8]) -> Option<Vec<u128>> {
    let (hashes, rest) = bytes.as_chunks::<16>();
    rest.is_empty()
        .then(|| hashes.iter().map(|hash| u128::from_le_bytes(*hash)).collect())
}

/// By the decoder, which takes no more memory than there are bytes: a reader would take what a damaged length says.
fn read_batches(bytes: &[u8], batches: &mut Vec<RecordBatch>) -> Result<(), Damage> {
    let (mut decoder, mut buffer) = (StreamDecoder::new(), Buffer::from(bytes));
    while !buffer.is_empty() {
        batches.extend(decoder.decode(&mut buffer)?);
    }
    Ok(decoder.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scope: &str) -> Cow<'static, EntityKey> {
        Cow::Owned(EntityKey {
            scope: scope.into(),
            name: "one".into(),
        })
    }

    #[test]
    fn sensors_and_reports_of_older_checkpoints_are_read_and_newer_ones_know_more() {
        let at = EventTime::from_micros;
        let readings = vec![Stamped::new(at(2), 2, 20), Stamped::new(at(1), 1, 10)];
        let channel = Some(Stamped::new(at(1), 1, Channel::Phone));
        let items = [
            Item::Sensor(key("old"), Cow::Owned(Sensor::default())),
            Item::Report(key("old"), Cow::Owned(Report::default())),
            Item::SensorReadings(key("new"), Cow::Owned(Sensor::default()), readings),
            Item::ReportChannel(key("new"), Cow::Owned(Report::default()), channel),
        ];
        let bytes: Vec<u8> = items
            .iter()
            .flat_map(|item| postcard::to_stdvec(item).unwrap())
            .collect();
        let part = Part::read(&bytes).unwrap();
        let known: Vec<_> = part
            .sensors
            .iter()
            .map(|(key, sensor)| (&*key.scope, sensor.readings_before(at(9)).collect::<Vec<_>>()))
            .collect();
        assert_eq!(known, [("old", vec![]), ("new", vec![(at(2), 20), (at(1), 10)])]);
        let channels: Vec<_> = part
            .reports
            .iter()
            .map(|(_, report)| report.channel.map(|channel| channel.value))
            .collect();
        assert_eq!(channels, [None, Some(Channel::Phone)]);
    }
}
