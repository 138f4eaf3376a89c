//! The pipeline's queue when it is full: the source waits, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use riskgrid_ingest::grid::PartitionId;
use riskgrid_ingest::pipeline::PartitionBatch;

use crate::pipeline_rig::{DEADLINE, batch, now, pipeline, reading, wait};

/// Long enough for a source that does not wait to hand over another batch.
const A_WHILE: Duration = Duration::from_millis(300);
/// What the pipeline says of its queue.
const WAITING_BATCHES: usize = 4;
const BATCHES: usize = 200;

fn of_one_reading(number: usize) -> PartitionBatch {
    let record = reading(number as i64, &number.to_string(), now(), 113.9);
    batch(&PartitionId::of_journal(), vec![record])
}

#[test]
fn a_full_queue_holds_the_source_up_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (reached_sender, reached) = channel();
    let (gate, opened) = channel::<()>();
    // Stands still at the first event until the gate is gone.
    let stands_still = move || {
        // Nobody listens any more after the first.
        let _ = reached_sender.send(());
        let _ = opened.recv();
    };
    let (handle, reader) = pipeline(folder.path(), stands_still)
        .restore()
        .unwrap()
        .start()
        .unwrap();

    let handed_over = Arc::new(AtomicUsize::new(0));
    let (all_sender, all) = channel();
    let counter = Arc::clone(&handed_over);
    std::thread::spawn(move || {
        for number in 0..BATCHES {
            handle.send(of_one_reading(number)).unwrap();
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
