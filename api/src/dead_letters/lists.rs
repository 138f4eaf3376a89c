//! Lists of dead letters take a thread each and may look at all letters: a few at once, each for a while, and none for a
//! client that is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// Lists that are made at once.
const AT_ONCE: usize = 2;
/// How long one looks for letters before it answers with those that it has found, and where to go on.
const LOOKS_FOR: Duration = Duration::from_secs(5);
/// Letters that are looked at between two looks at the clock.
const BETWEEN_CHECKS: u32 = 256;

/// The turns of those who list.
#[derive(Debug)]
pub struct Lists {
    turns: Arc<Semaphore>,
    refused: AtomicU64,
}

impl Default for Lists {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            refused: AtomicU64::new(0),
        }
    }
}

/// A turn; dropping it ends the looking, wherever that is done.
#[derive(Debug)]
pub struct Turn(Arc<AtomicBool>);

/// How long a look may go on; kept by the thread that looks.
#[derive(Debug)]
pub struct Looking {
    is_given_up: Arc<AtomicBool>,
    until: Instant,
    letters: u32,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Lists {
    /// A turn for whoever waits, and its other end for the thread that works.
    ///
    /// # Errors
    /// 503 while as many lists are made as may be at once.
    pub fn turn(&self) -> Result<(Turn, Looking), Problem> {
        let Ok(permit) = Arc::clone(&self.turns).try_acquire_owned() else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Problem::unavailable(
                format!(
                    "{AT_ONCE} lists of dead letters are being made, which is all at once; try again soon"
                ),
                1,
            ));
        };
        let is_given_up = Arc::new(AtomicBool::new(false));
        let looking = Looking {
            is_given_up: Arc::clone(&is_given_up),
            until: Instant::now() + LOOKS_FOR,
            letters: 0,
            _permit: Some(permit),
        };
        Ok((Turn(is_given_up), looking))
    }

    /// Lists that were not made because there was no turn.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Looking {
    /// For work that ends by itself and is done whether or not anybody waits.
    pub fn to_the_end() -> Self {
        Self {
            is_given_up: Arc::default(),
            until: Instant::now() + Duration::from_hours(24),
            letters: 0,
            _permit: None,
        }
    }

    /// Whether to stop here; asked for each letter.
    pub fn is_over(&mut self) -> bool {
        self.letters = self.letters.wrapping_add(1);
        self.letters.is_multiple_of(BETWEEN_CHECKS)
            && (self.is_given_up.load(Ordering::Relaxed) || Instant::now() >= self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_turns_as_allowed_and_each_comes_back_when_its_thread_is_done() {
        let lists = Lists::default();
        let turns: Vec<_> = (0..AT_ONCE).map(|_| lists.turn().unwrap()).collect();
        assert!(lists.turn().is_err());
        assert_eq!(lists.refused(), 1);
        drop(turns);
        assert!(lists.turn().is_ok());
    }

    #[test]
    fn a_look_ends_soon_after_nobody_waits_for_it() {
        let (turn, mut looking) = Lists::default().turn().unwrap();
        assert!((0..10 * BETWEEN_CHECKS).all(|_| !looking.is_over()));
        drop(turn);
        assert!((0..BETWEEN_CHECKS).any(|_| looking.is_over()));
    }
}
