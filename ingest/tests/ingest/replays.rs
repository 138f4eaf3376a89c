//! Replays that a crash undid are applied again, between the same records of the log.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::edge::Bounds;
use riskgrid_ingest::grid::{EventCounts, GridReader, PartitionId};
use riskgrid_ingest::pipeline::{PipelineHandle, ReplayError};
use riskgrid_ingest::{DAY, EventTime, HOUR, SECOND};

use crate::pipeline_rig::{DEADLINE, batch, pipeline, reading};

const START: i64 = 1_795_000_000 * SECOND;

/// One run of the pipeline over a folder.
struct Run {
    handle: PipelineHandle,
    reader: GridReader,
    letters: DeadLetterStore,
}

impl Run {
    fn start(folder: &Path, bounds: Option<Bounds>) -> Self {
        let mut pipeline = pipeline(folder, || {});
        pipeline.edge.bounds = bounds;
        pipeline.settings.checkpoint_every = Duration::from_hours(1);
        let letters = pipeline.dead_letters.clone();
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
            let lon = if *offset == 1 { 50.0 } else { 113.9 };
            reading(*offset, &offset.to_string(), time, lon)
        });
        let batch = batch(&PartitionId::of_journal(), records.collect());
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
