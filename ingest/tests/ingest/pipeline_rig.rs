//! A pipeline over a folder: how it is made, what is handed to it, how a test waits for what comes of it.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use riskgrid_ingest::checkpoint::{CheckpointStore, Files};
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::edge::Edge;
use riskgrid_ingest::grid::{GridPublisher, PartitionId};
use riskgrid_ingest::layer_store::{LayerCatalogue, LayerStore};
use riskgrid_ingest::observer::{EventObserver, Step};
use riskgrid_ingest::pipeline::{PartitionBatch, Payload, Pipeline, PipelineSettings, Record, Records};
use riskgrid_ingest::{Event, EventTime, Layer, LayerTable, SECOND};
use serde_json::json;

use crate::grid_rig::{EDGE, SETTINGS};

/// How long anything may take before a test gives up; generous, for busy machines.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Does something at each reading, in the worker's thread, and knows no rules.
struct AtEachReading<F>(F);

impl<F: FnMut() + Send> EventObserver for AtEachReading<F> {
    fn newest_reading(&mut self, _: &PartitionId, _: &Event<'_>, _: &Layer, _: f64) {
        (self.0)();
    }
    fn advance(&mut self, _: &PartitionId, _: &str, _: EventTime) {}
    fn flush(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
    fn save(&mut self, _: &PartitionId, _: Step) -> Vec<u8> {
        Vec::new()
    }
    fn restore(&mut self, _: &PartitionId, _: &[(u64, Vec<u8>)]) {}
    fn forget(&mut self, _: &PartitionId) {}
}

/// The wall clock.
pub(crate) fn now() -> EventTime {
    EventTime::from(chrono::Utc::now())
}

/// With one worker, checkpoints once a second, and what the folder holds from a run before.
pub(crate) fn pipeline(folder: &Path, at_each_reading: impl FnMut() + Send + 'static) -> Pipeline {
    let files = Files::open_folder(&folder.join("checkpoints")).unwrap();
    let layer_store = LayerStore::open(files.clone()).unwrap();
    let edge = Edge {
        source_key: layer_store.source_key(),
        ..EDGE
    };
    let layers = LayerCatalogue::new(LayerTable::new(&[], 8).unwrap(), layer_store);
    let observer = Mutex::new(Some(AtEachReading(at_each_reading)));
    Pipeline {
        grid: SETTINGS,
        publisher: GridPublisher::new(SETTINGS.calendar, EDGE.resolution, layers.table(), 30 * SECOND),
        edge,
        dead_letters: dead_letters(folder),
        dead_letter_topic: None,
        topics: HashMap::from([(PartitionId::of_journal().topic, None)]),
        layers,
        checkpoints: CheckpointStore::new(files.clone(), files, "node").unwrap(),
        attempts: None,
        // There is one worker, which asks once.
        observer: Box::new(move || Box::new(observer.lock().unwrap().take().unwrap())),
        on_checkpoint: Box::new(|_| {}),
        settings: PipelineSettings {
            publish_every: Duration::from_millis(10),
            checkpoint_every: Duration::from_secs(1),
            max_event: 1 << 20,
            workers: 1,
            grid_bytes: usize::MAX,
        },
        clock: now,
    }
}

/// The store of the run before is closed a little after it was stopped.
fn dead_letters(folder: &Path) -> DeadLetterStore {
    let began = Instant::now();
    loop {
        match DeadLetterStore::open(&folder.join("dead-letters")) {
            Ok(store) => return store,
            Err(error) => assert!(began.elapsed() < DEADLINE, "{error}"),
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// One reading, received when it was made, at a longitude and 22.5 north.
pub(crate) fn reading(offset: i64, id: &str, time: EventTime, lon: f64) -> Record {
    let event = json!({
        "specversion": "1.0", "id": id, "source": "//test", "type": "riskgrid.observation.v1", "time": time.to_string(),
        "data": {"sensor": "s", "property": "water", "value": 1, "unit": "m", "lon": lon, "lat": 22.5},
    });
    Record {
        offset,
        received: time,
        payload: Payload::Structured(event.to_string().into_bytes()),
    }
}

/// Records of CloudEvents, from a log that has more of them.
pub(crate) fn batch(partition: &PartitionId, records: Vec<Record>) -> PartitionBatch {
    PartitionBatch {
        partition: partition.clone(),
        feed: None,
        records: Records::Owned(records),
        caught_up: false,
    }
}

/// Waits until it is so.
pub(crate) fn wait(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "not so: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
