//! The pipeline's queue when it is full: the source waits, and nothing is lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use h3o::Resolution;
use riskgrid_ingest::checkpoint::{CheckpointStore, Files};
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::edge::Edge;
use riskgrid_ingest::grid::{Calendar, EventLogLimits, GridPublisher, GridSettings, PartitionId, Retention};
use riskgrid_ingest::layer_store::{LayerCatalogue, LayerStore};
use riskgrid_ingest::observer::{EventObserver, Step};
use riskgrid_ingest::pipeline::{PartitionBatch, Payload, Pipeline, PipelineSettings, Record, Records};
use riskgrid_ingest::{DAY, Event, EventTime, HOUR, Layer, LayerTable, MINUTE, SECOND};

const DEADLINE: Duration = Duration::from_mins(1);
/// Long enough for a source that does not wait to hand over another batch.
const A_WHILE: Duration = Duration::from_millis(300);
/// What the pipeline says of its queue.
const WAITING_BATCHES: usize = 4;
const BATCHES: usize = 200;

/// Stands still at the first event until the gate is gone.
struct Gate {
    reached: Sender<()>,
    opened: Receiver<()>,
}

impl EventObserver for Gate {
    fn newest_reading(&mut self, _: &PartitionId, _: &Event<'_>, _: &Layer, _: f64) {
        // Nobody listens any more after the first.
        let _ = self.reached.send(());
        let _ = self.opened.recv();
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

fn now() -> EventTime {
    EventTime::from(chrono::Utc::now())
}

fn pipeline(folder: &Path, observer: Gate) -> Pipeline {
    let settings = GridSettings {
        calendar: Calendar::new(MINUTE, Tz::UTC),
        allowed_lateness: 2 * MINUTE,
        retention: Retention {
            buckets: 48 * HOUR,
            hours: 90 * DAY,
            days: 900 * DAY,
        },
        dedup_horizon: DAY,
        dedup_bytes: 1 << 20,
        events: EventLogLimits { age: DAY, bytes: 0 },
        max_sensors: 1_000_000,
        max_reports: 1_000_000,
        max_units: 100_000,
    };
    let files = Files::open_folder(folder).unwrap();
    let layer_store = LayerStore::open(files.clone()).unwrap();
    let edge = Edge {
        resolution: Resolution::Nine,
        future_skew: 5 * MINUTE,
        bounds: None,
        source_key: layer_store.source_key(),
    };
    let layers = LayerCatalogue::new(LayerTable::new(&[], 8).unwrap(), layer_store);
    let observer = Mutex::new(Some(observer));
    Pipeline {
        grid: settings,
        publisher: GridPublisher::new(settings.calendar, Resolution::Nine, layers.table(), 30 * SECOND),
        edge,
        dead_letters: DeadLetterStore::open(&folder.join("dead-letters")).unwrap(),
        dead_letter_topic: None,
        topics: HashMap::new(),
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

/// One reading.
fn batch(number: usize) -> PartitionBatch {
    let received = now();
    let event = serde_json::json!({
        "specversion": "1.0", "id": number.to_string(), "source": "//test", "type": "riskgrid.observation.v1",
        "time": received.to_string(),
        "data": {"sensor": number.to_string(), "property": "water", "value": 1, "unit": "m", "lon": 113.9, "lat": 22.5},
    });
    PartitionBatch {
        partition: PartitionId::of_journal(),
        feed: None,
        records: Records::Owned(vec![Record {
            offset: number as i64,
            received,
            payload: Payload::Structured(event.to_string().into_bytes()),
        }]),
        caught_up: false,
    }
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "not so: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_full_queue_holds_the_source_up_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (reached_sender, reached) = channel();
    let (gate, opened) = channel::<()>();
    let observer = Gate {
        reached: reached_sender,
        opened,
    };
    let (handle, reader) = pipeline(folder.path(), observer)
        .restore()
        .unwrap()
        .start()
        .unwrap();

    let handed_over = Arc::new(AtomicUsize::new(0));
    let (all_sender, all) = channel();
    let counter = Arc::clone(&handed_over);
    std::thread::spawn(move || {
        for number in 0..BATCHES {
            handle.send(batch(number)).unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
        }
        all_sender.send(handle).unwrap();
    });
    reached.recv_timeout(DEADLINE).unwrap();
    // The one that is being applied, and those that wait; one place may be taken by the question of what readers may see.
    let most = 1 + WAITING_BATCHES;
    wait("the queue is full", || {
        handed_over.load(Ordering::SeqCst) >= most - 1
    });
    assert!(matches!(
        all.recv_timeout(A_WHILE),
        Err(RecvTimeoutError::Timeout)
    ));
    assert!(handed_over.load(Ordering::SeqCst) <= most);

    drop(gate);
    let _handle = all.recv_timeout(DEADLINE).unwrap();
    wait("all are counted", || {
        reader.snapshot().counts().read == BATCHES as u64
    });
    let counts = reader.snapshot().counts();
    assert_eq!((counts.accepted, counts.duplicate), (BATCHES as u64, 0));
}
