//! Replays that a crash undid are applied again, between the same records of the log.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use h3o::Resolution;
use riskgrid_ingest::checkpoint::{CheckpointStore, Files};
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::edge::{Bounds, Edge};
use riskgrid_ingest::grid::{
    Calendar, EventCounts, EventLogLimits, GridPublisher, GridReader, GridSettings, PartitionId, Retention,
};
use riskgrid_ingest::layer_store::{LayerCatalogue, LayerStore};
use riskgrid_ingest::observer::{EventObserver, Step};
use riskgrid_ingest::pipeline::{
    PartitionBatch, Payload, Pipeline, PipelineHandle, PipelineSettings, Record, Records, ReplayError,
};
use riskgrid_ingest::{DAY, Event, EventTime, HOUR, Layer, LayerTable, MINUTE, SECOND};

const DEADLINE: Duration = Duration::from_mins(1);
const START: i64 = 1_795_000_000 * SECOND;

struct NoRules;

impl EventObserver for NoRules {
    fn newest_reading(&mut self, _: &PartitionId, _: &Event<'_>, _: &Layer, _: f64) {}
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

/// One run of the pipeline over a folder.
struct Run {
    handle: PipelineHandle,
    reader: GridReader,
    letters: DeadLetterStore,
}

/// The store of the run before is closed a little after it was stopped.
fn letters(folder: &Path) -> DeadLetterStore {
    let began = Instant::now();
    loop {
        match DeadLetterStore::open(&folder.join("dead-letters")) {
            Ok(store) => return store,
            Err(error) => assert!(began.elapsed() < DEADLINE, "{error}"),
        }
    }
}

impl Run {
    fn start(folder: &Path, bounds: Option<Bounds>) -> Self {
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
            max_sensors: 1_000_000,
            max_reports: 1_000_000,
            max_units: 100_000,
        };
        let files = Files::open_folder(&folder.join("checkpoints")).unwrap();
        let layer_store = LayerStore::open(files.clone()).unwrap();
        let edge = Edge {
            resolution: Resolution::Nine,
            future_skew: 5 * MINUTE,
            bounds,
            source_key: layer_store.source_key(),
        };
        let layers = LayerCatalogue::new(LayerTable::new(&[], 8).unwrap(), layer_store);
        let letters = letters(folder);
        let pipeline = Pipeline {
            grid,
            publisher: GridPublisher::new(grid.calendar, Resolution::Nine, layers.table(), 30 * SECOND),
            edge,
            dead_letters: letters.clone(),
            dead_letter_topic: None,
            topics: HashMap::from([(PartitionId::of_journal().topic, None)]),
            layers,
            checkpoints: CheckpointStore::new(files.clone(), files, "node").unwrap(),
            attempts: None,
            observer: Box::new(|| Box::new(NoRules)),
            on_checkpoint: Box::new(|_| {}),
            settings: PipelineSettings {
                publish_every: Duration::from_millis(10),
                checkpoint_every: Duration::from_hours(1),
                max_event: 1 << 20,
                workers: 1,
                grid_bytes: usize::MAX,
            },
            clock: || EventTime::from(chrono::Utc::now()),
        };
        let (handle, reader) = pipeline.restore().unwrap().start().unwrap();
        Self {
            handle,
            reader,
            letters,
        }
    }

    /// Hands over one reading a record, each so many hours after the first.
    fn read(&self, records: &[(i64, i64)]) {
        let records = records.iter().map(|(offset, hours)| {
            let time = EventTime::from_micros(START + hours * HOUR);
            let event = serde_json::json!({
                "specversion": "1.0", "id": offset.to_string(), "source": "//test", "type": "riskgrid.observation.v1",
                "time": time.to_string(),
                "data": {"sensor": "s", "property": "water", "value": 1, "unit": "m",
                    "lon": if *offset == 1 { 50.0 } else { 113.9 }, "lat": 22.5},
            });
            Record {
                offset: *offset,
                received: time,
                payload: Payload::Structured(event.to_string().into_bytes()),
            }
        });
        let batch = PartitionBatch {
            partition: PartitionId::of_journal(),
            feed: None,
            records: Records::Owned(records.collect()),
            caught_up: false,
        };
        self.handle.send(batch).unwrap();
    }

    fn reads(&self, events: u64) -> EventCounts {
        let began = Instant::now();
        loop {
            let counts = self.reader.snapshot().counts();
            if counts.read >= events {
                return counts;
            }
            assert!(began.elapsed() < DEADLINE, "{counts:?}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn stop(self) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.handle.stop()).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The place of record 1 is outside.
const NARROW: Bounds = Bounds([110.0, 20.0, 120.0, 25.0]);

#[test]
fn a_replay_that_a_crash_undid_is_applied_again_between_the_same_records() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoints, backup) = (folder.path().join("checkpoints"), folder.path().join("backup"));
    let run = Run::start(folder.path(), Some(NARROW));
    run.read(&[(0, 0), (1, 0)]);
    assert_eq!(run.reads(2).refused_total(), 1);
    run.stop();
    copy(&checkpoints, &backup);

    // After record 2, and before record 3, which makes what is replayed too late.
    let run = Run::start(folder.path(), None);
    let key = run.letters.iter().next().unwrap().unwrap().key();
    run.read(&[(2, 1)]);
    run.reads(3);
    let replayed = run.handle.replay(&key.partition_id(), vec![key.clone()]).unwrap();
    assert_eq!((replayed.replayed, replayed.accepted), (1, 1));
    run.read(&[(3, 30)]);
    let counts = run.reads(5);
    assert_eq!((counts.accepted, counts.refused_total()), (4, 1));
    run.stop();

    // As after a kill before the checkpoint.
    fs::remove_dir_all(&checkpoints).unwrap();
    copy(&backup, &checkpoints);
    let run = Run::start(folder.path(), None);
    let early = run.handle.replay(&key.partition_id(), vec![key.clone()]);
    assert!(matches!(early, Err(ReplayError::CatchingUp(_))), "{early:?}");
    run.read(&[(2, 1), (3, 30)]);
    assert_eq!(run.reads(5), counts);
    assert!(run.letters.get(&key).unwrap().unwrap().replayed.is_some());
    run.stop();

    // What is in a checkpoint is not applied once more.
    let run = Run::start(folder.path(), None);
    run.read(&[(4, 30)]);
    let counts = run.reads(6);
    assert_eq!((counts.read, counts.accepted, counts.duplicate), (6, 5, 0));
    let again = run.handle.replay(&key.partition_id(), vec![key.clone()]).unwrap();
    assert_eq!(
        (again.replayed, again.not_replayable.get("already")),
        (0, Some(&1))
    );
    assert_eq!(run.reads(6), counts);
    run.stop();
}

#[test]
fn what_cannot_be_replayed_is_said_by_why() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start(folder.path(), Some(NARROW));
    run.read(&[(0, 0), (1, 0)]);
    run.reads(2);
    let key = run.letters.iter().next().unwrap().unwrap().key();
    let of_another = PartitionId {
        topic: "journal".into(),
        partition: 7,
    };
    let elsewhere = run.handle.replay(&of_another, vec![key.clone()]);
    assert!(matches!(elsewhere, Err(ReplayError::NotHere(_))), "{elsewhere:?}");
    let unread = PartitionId {
        topic: "unread".into(),
        partition: 0,
    };
    let unread = run.handle.replay(&unread, vec![key.clone()]);
    assert!(matches!(unread, Err(ReplayError::NotConfigured(_))), "{unread:?}");
    // Refused again, it stays and is counted once more.
    let again = run.handle.replay(&key.partition_id(), vec![key.clone()]).unwrap();
    assert_eq!((again.replayed, again.refused.values().sum::<u64>()), (1, 1));
    assert_eq!(run.reads(3).refused_total(), 2);
    run.letters
        .expire(EventTime::from_micros(START + 31 * DAY))
        .unwrap();
    let expired = run.handle.replay(&key.partition_id(), vec![key.clone()]).unwrap();
    assert_eq!(
        (expired.replayed, expired.not_replayable.get("expired")),
        (0, Some(&1))
    );
    run.stop();
}
