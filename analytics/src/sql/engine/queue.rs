//! Where queries wait for their turn.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::turns::{Asker, Place, QueueFull, Share, Turns};

/// Lets so many queries run at once, in turns.
#[derive(Debug)]
pub(super) struct Queue {
    turns: Mutex<Turns>,
    /// Somebody may have come to their turn.
    moved: Notify,
}

/// The right to run, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    queue: Arc<Queue>,
    asker: Asker,
    since: Instant,
}

/// A place in the queue, given up when it is dropped before its turn.
struct Waits<'a> {
    queue: &'a Queue,
    asker: &'a Asker,
    place: Option<Place>,
}

impl Queue {
    pub(super) fn new(all: Share) -> Self {
        Self {
            turns: Mutex::new(Turns::new(all)),
            moved: Notify::new(),
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many run, and how many wait.
    pub(super) fn numbers(&self) -> (usize, usize) {
        self.turns().numbers()
    }

    /// Waits for the turn of a query of `asker`.
    ///
    /// # Errors
    /// When as many wait as may.
    pub(super) async fn turn(
        self: &Arc<Self>,
        asker: &Asker,
        share: Share,
        is_live: bool,
    ) -> Result<Permit, QueueFull> {
        let place = self.turns().come(asker, share, is_live)?;
        let mut waits = Waits {
            queue: self,
            asker,
            place: Some(place),
        };
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // Before the look, so that no move is missed between the two.
            moved.as_mut().enable();
            if self.turns().starts(place) {
                waits.place = None;
                return Ok(Permit {
                    queue: Arc::clone(self),
                    asker: Arc::clone(asker),
                    since: Instant::now(),
                });
            }
            moved.await;
        }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.queue.turns().leave(self.asker, place);
            self.queue.moved.notify_waiters();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.queue.turns().end(&self.asker, self.since.elapsed());
        self.queue.moved.notify_waiters();
    }
}
