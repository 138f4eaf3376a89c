//! The wall clock is set while the pipeline runs: nothing is paced by it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use h3o::Resolution;
use riskgrid_ingest::checkpoint::{CheckpointStore, Files};
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::edge::Edge;
use riskgrid_ingest::grid::{Calendar, EventLogLimits, GridPublisher, GridSettings, PartitionId, Retention};
use riskgrid_ingest::layer_store::{LayerCatalogue, LayerStore};
use riskgrid_ingest::observer::{EventObserver, Step};
use riskgrid_ingest::pipeline::{
    PartitionBatch, Payload, Pipeline, PipelineHandle, PipelineSettings, Record, Records,
};
use riskgrid_ingest::{DAY, Event, EventTime, HOUR, Layer, LayerTable, MINUTE, SECOND};

/// Far less than any jump: what waits for the wall clock is not seen in it.
const DEADLINE: Duration = Duration::from_mins(1);
const IDLE_AFTER: i64 = SECOND / 2;
/// Of all events, by whatever clock.
const TIME: EventTime = EventTime::from_micros(1_795_000_000 * SECOND);

/// Stands still at each event until it is let go; without a gate it does nothing.
struct Watcher(Option<Receiver<()>>);

impl EventObserver for Watcher {
    fn newest_reading(&mut self, _: &PartitionId, _: &Event<'_>, _: &Layer, _: f64) {
        if let Some(gate) = &self.0 {
            // An error means that the gate is gone: open.
            let _ = gate.recv();
        }
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

fn pipeline(folder: &Path, clock: fn() -> EventTime, gate: Option<Receiver<()>>) -> Pipeline {
    let grid = GridSettings {
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
        max_reports: 1_000_000,
        max_sensors: 1_000_000,
        max_units: 1_000_000,
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
    let watcher = Mutex::new(Some(Watcher(gate)));
    Pipeline {
        grid,
        publisher: GridPublisher::new(grid.calendar, Resolution::Nine, layers.table(), IDLE_AFTER),
        edge,
        dead_letters: DeadLetterStore::open(&folder.join("dead-letters")).unwrap(),
        dead_letter_topic: None,
        topics: HashMap::new(),
        layers,
        checkpoints: CheckpointStore::new(files.clone(), files, "node").unwrap(),
        attempts: None,
        // There is one worker, which asks once.
        observer: Box::new(move || Box::new(watcher.lock().unwrap().take().unwrap())),
        on_checkpoint: Box::new(|_| {}),
        settings: PipelineSettings {
            publish_every: Duration::from_millis(10),
            checkpoint_every: Duration::from_millis(50),
            max_event: 1 << 20,
            workers: 1,
            grid_bytes: usize::MAX,
        },
        clock,
    }
}

/// One reading, so long after the first.
fn send(handle: &PipelineHandle, partition: &PartitionId, number: i64, after: i64) {
    let time = TIME.plus(after);
    let event = serde_json::json!({
        "specversion": "1.0", "id": format!("{partition}-{number}"), "source": "//test",
        "type": "riskgrid.observation.v1", "time": time.to_string(),
        "data": {"sensor": "s", "property": "water", "value": 1, "unit": "m", "lon": 113.9, "lat": 22.5},
    });
    let batch = PartitionBatch {
        partition: partition.clone(),
        feed: None,
        records: Records::Owned(vec![Record {
            offset: number,
            received: time,
            payload: Payload::Structured(event.to_string().into_bytes()),
        }]),
        caught_up: false,
    };
    handle.send(batch).unwrap();
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "not so: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_clock_that_is_set_changes_nothing_of_publishing_and_saving() {
    static SET_BY: AtomicI64 = AtomicI64::new(0);
    fn clock() -> EventTime {
        EventTime::from(chrono::Utc::now()).plus(SET_BY.load(Ordering::Relaxed))
    }
    let folder = tempfile::tempdir().unwrap();
    let mut pipeline = pipeline(folder.path(), clock, None);
    let (saved, on_saved) = channel();
    pipeline.on_checkpoint = Box::new(move |durable| {
        let offset = durable.iter().map(|(_, offset)| *offset).max();
        // Nobody listens any more at the end.
        let _ = saved.send(offset.unwrap_or(0));
    });
    let (handle, reader) = pipeline.restore().unwrap().start().unwrap();
    let journal = PartitionId::of_journal();
    let jumps = [
        0,
        -2 * MINUTE,
        -2 * MINUTE,
        HOUR,
        -DAY,
        400 * DAY,
        0,
        -10_000 * DAY,
        SECOND,
    ];
    for (number, jump) in (0..).zip(jumps) {
        SET_BY.store(jump, Ordering::Relaxed);
        send(&handle, &journal, number, number * SECOND);
        wait(
            &format!("event {number} is published, the clock set by {jump}"),
            || reader.snapshot().counts().accepted == number as u64 + 1,
        );
        while on_saved.recv_timeout(DEADLINE).unwrap() <= number {}
        assert!(handle.is_late_by().is_none());
    }
}

#[test]
fn a_partition_that_falls_silent_is_idle_after_the_same_time_whatever_the_clock_says() {
    static SET_BY: AtomicI64 = AtomicI64::new(0);
    fn clock() -> EventTime {
        EventTime::from(chrono::Utc::now()).plus(SET_BY.load(Ordering::Relaxed))
    }
    let folder = tempfile::tempdir().unwrap();
    let (handle, reader) = pipeline(folder.path(), clock, None)
        .restore()
        .unwrap()
        .start()
        .unwrap();
    let (journal, silent) = (PartitionId::of_journal(), PartitionId::of_file("silent"));
    send(&handle, &silent, 0, 0);
    send(&handle, &journal, 0, 10 * MINUTE);
    SET_BY.store(-DAY, Ordering::Relaxed);
    wait("what was silent no longer holds the rest back", || {
        reader
            .snapshot()
            .complete_to()
            .is_some_and(|time| time > TIME.plus(5 * MINUTE))
    });
}

#[test]
fn a_worker_that_stands_still_makes_what_readers_see_old() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, opened) = channel();
    let now = || EventTime::from(chrono::Utc::now());
    let (handle, reader) = pipeline(folder.path(), now, Some(opened))
        .restore()
        .unwrap()
        .start()
        .unwrap();
    wait("nothing waits", || handle.snapshot_age() < Duration::from_secs(1));
    send(&handle, &PartitionId::of_journal(), 0, 0);
    wait("its change is seconds old", || {
        handle.snapshot_age() > Duration::from_secs(3)
    });
    wait("it is late", || handle.is_late_by().is_some());
    drop(gate);
    wait("it goes on", || {
        reader.snapshot().counts().accepted == 1 && handle.is_late_by().is_none()
    });
    wait("nothing waits any more", || {
        handle.snapshot_age() < Duration::from_secs(1)
    });
}
