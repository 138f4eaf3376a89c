//! What is handed over to a worker and not applied yet: bounded by bytes beside the number of batches, because one batch
//! may hold a few bytes or many.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::save_error::PipelineEnded;

/// Bytes on their way to one worker. A batch that is larger by itself goes alone.
const MOST_BYTES: usize = 32 << 20;

#[derive(Debug, Default)]
struct Waiting {
    batches: usize,
    bytes: usize,
    has_ended: bool,
}

/// The batches on their way to one worker.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Numbers only: whole whoever panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for a batch of so many bytes.
    pub(super) fn enter(&self, bytes: usize) -> Result<(), PipelineEnded> {
        let mut waiting = self.lock();
        while waiting.bytes > 0 && waiting.bytes + bytes > MOST_BYTES && !waiting.has_ended {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.has_ended {
            return Err(PipelineEnded);
        }
        waiting.batches += 1;
        waiting.bytes += bytes;
        Ok(())
    }

    /// A batch is applied.
    pub(super) fn leave(&self, bytes: usize) {
        let mut waiting = self.lock();
        waiting.batches -= 1;
        waiting.bytes -= bytes;
        drop(waiting);
        self.changed.notify_all();
    }

    /// Nothing is applied any more: nobody waits for it.
    pub(super) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    /// How many there are, those included that wait for room in the queue.
    pub(super) fn batches(&self) -> usize {
        self.lock().batches
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn bytes_wait_for_room_and_a_large_batch_goes_alone() {
        let flight = Arc::new(InFlight::default());
        // Alone it may be larger than all may be together.
        flight.enter(MOST_BYTES + 1).unwrap();
        let (entered, has_entered) = channel();
        let source = Arc::clone(&flight);
        let thread = std::thread::spawn(move || {
            source.enter(1).unwrap();
            entered.send(()).unwrap();
            // There is no room for this one until the pipeline ends.
            source.enter(MOST_BYTES)
        });
        assert!(has_entered.recv_timeout(Duration::from_millis(200)).is_err());
        flight.leave(MOST_BYTES + 1);
        has_entered.recv_timeout(Duration::from_mins(1)).unwrap();
        assert_eq!((flight.batches(), flight.bytes()), (1, 1));
        flight.end();
        assert!(thread.join().unwrap().is_err());
    }
}
