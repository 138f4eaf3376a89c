//! The seam to alert rules, which live in crates that this one does not know.

use std::error::Error;

use crate::words::{Event, EventTime, Layer, PartitionId};

/// A step of a checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// It holds what changed after this generation; 0: everything.
    pub since: u64,
    /// Its own.
    pub generation: u64,
}

/// Is told of events as they are applied, on the thread that applies them; each such thread has one of its own.
///
/// A checkpoint at offset n is written only after [`flush`](Self::flush) made everything durable that offsets below n
/// caused; so what an observer decides is neither lost nor forgotten by a crash.
pub trait EventObserver: Send {
    /// An accepted observation that is now the newest of its sensor. `value` is in the layer's unit.
    fn newest_reading(&mut self, partition: &PartitionId, event: &Event<'_>, layer: &Layer, value: f64);

    /// An accepted report, whatever it does to it. `layer` is its own; updates and closes may name none.
    fn accepted_report(&mut self, _: &PartitionId, _: &Event<'_>, _: Option<&Layer>) {}

    /// All records at hand of a partition are applied; `now` is the clock by which its timers run.
    fn advance(&mut self, partition: &PartitionId, domain: &str, now: EventTime);

    /// Makes durable what was decided so far.
    ///
    /// # Errors
    /// Then none of this worker's partitions gets a checkpoint, and this is tried again later.
    fn flush(&mut self) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// What changed of the partition. The step that it is for may fail: then the next one asks for what this one held too.
    fn save(&mut self, partition: &PartitionId, step: Step) -> Vec<u8>;

    /// Takes up what the steps of a checkpoint held, each with its generation, the oldest first.
    fn restore(&mut self, partition: &PartitionId, steps: &[(u64, Vec<u8>)]);

    /// The partition is another node's now: its timers run there.
    fn forget(&mut self, partition: &PartitionId);
}

/// An observer that does nothing: grids without rules, in tests and benches.
#[derive(Debug, Default)]
pub struct NoObserver;

impl EventObserver for NoObserver {
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
