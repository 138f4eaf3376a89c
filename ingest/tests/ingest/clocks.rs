//! The wall clock is set while the pipeline runs: nothing is paced by it.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use riskgrid_ingest::grid::{GridPublisher, PartitionId};
use riskgrid_ingest::pipeline::{Pipeline, PipelineHandle};
use riskgrid_ingest::{DAY, EventTime, HOUR, MINUTE, SECOND};

use crate::grid_rig::{EDGE, SETTINGS};
use crate::pipeline_rig::{self, DEADLINE, batch, now, reading, wait};

const IDLE_AFTER: i64 = SECOND / 2;
/// Of all events, by whatever clock.
const TIME: EventTime = EventTime::from_micros(1_795_000_000 * SECOND);

fn pipeline(
    folder: &Path,
    clock: fn() -> EventTime,
    at_each_reading: impl FnMut() + Send + 'static,
) -> Pipeline {
    let mut pipeline = pipeline_rig::pipeline(folder, at_each_reading);
    pipeline.publisher = GridPublisher::new(
        SETTINGS.calendar,
        EDGE.resolution,
        pipeline.layers.table(),
        IDLE_AFTER,
    );
    pipeline.settings.checkpoint_every = Duration::from_millis(50);
    pipeline.clock = clock;
    pipeline
}

/// One reading, so long after the first.
fn send(handle: &PipelineHandle, partition: &PartitionId, number: i64, after: i64) {
    let id = format!("{partition}-{number}");
    let record = reading(number, &id, TIME.plus(after), 113.9);
    handle.send(batch(partition, vec![record])).unwrap();
}

#[test]
fn a_clock_that_is_set_changes_nothing_of_publishing_and_saving() {
    static SET_BY: AtomicI64 = AtomicI64::new(0);
    fn clock() -> EventTime {
        now().plus(SET_BY.load(Ordering::Relaxed))
    }
    let folder = tempfile::tempdir().unwrap();
    let mut pipeline = pipeline(folder.path(), clock, || {});
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
        now().plus(SET_BY.load(Ordering::Relaxed))
    }
    let folder = tempfile::tempdir().unwrap();
    let (handle, reader) = pipeline(folder.path(), clock, || {})
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
    let (gate, opened) = channel::<()>();
    let stands_still = move || {
        // An error means that the gate is gone: open.
        let _ = opened.recv();
    };
    let (handle, reader) = pipeline(folder.path(), now, stands_still)
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
