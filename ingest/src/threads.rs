//! One piece of work cut into shares for the threads of the process, and locks that outlive a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What `work` makes of each share, in their order. The first is made on this thread, the others meanwhile on those that the
/// process keeps for it, one a core: a thread of its own for each would cost more than many a share, its memory above all.
/// Theirs take a while to wake, so this one does not wait for them with empty hands.
///
/// A panic of one is a panic of the caller.
pub fn on_threads<S: Send, T: Send>(shares: Vec<S>, work: impl Fn(S) -> T + Send + Sync) -> Vec<T> {
    let mut made: Vec<Option<T>> = shares.iter().map(|_| None).collect();
    let work = &work;
    rayon::in_place_scope(|scope| {
        let mut shares = shares.into_iter().zip(&mut made);
        let first = shares.next();
        for (share, slot) in shares {
            scope.spawn(move |_| *slot = Some(work(share)));
        }
        if let Some((share, slot)) = first {
            *slot = Some(work(share));
        }
    });
    made.into_iter().flatten().collect()
}

/// Locks what is whole whoever panicked while holding it: only such things lie behind the locks of this crate.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::on_threads;

    #[test]
    fn a_panic_of_any_share_is_one_of_the_caller() {
        for bad in [0, 2] {
            let caught =
                std::panic::catch_unwind(|| on_threads(vec![0, 1, 2], |share| assert_ne!(share, bad)));
            assert!(caught.is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_made_comes_in_the_order_of_the_shares() {
        for shares in [0_u32, 1, 2, 100] {
            let made = on_threads((0..shares).collect(), |share| share * 2);
            assert_eq!(made, (0..shares).map(|share| share * 2).collect::<Vec<_>>());
        }
    }
}
