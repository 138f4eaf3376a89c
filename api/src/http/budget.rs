//! One number of bytes for all bodies that are in memory at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes of bodies may be in memory together.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    most: usize,
    used: AtomicUsize,
}

impl BodyBudget {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            used: AtomicUsize::new(0),
        })
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// A share of nothing yet.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }
}

/// What one body takes of the budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<BodyBudget>,
    bytes: usize,
}

impl Share {
    /// Takes `more` bytes, when there are as many.
    #[must_use]
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let within = |used: usize| used.checked_add(more).filter(|sum| *sum <= self.budget.most);
        let taken = self
            .budget
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, within)
            .is_ok();
        if taken {
            self.bytes += more;
        }
        taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes that grow within a limit of their own and the budget of all.
#[derive(Debug)]
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    limit: usize,
    share: Share,
}

/// Why bytes were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// They are more than one body may have.
    Limit,
    /// Other bodies have the memory.
    Budget,
}

impl Gathered {
    pub(crate) fn new(budget: &Arc<BodyBudget>, limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            share: budget.share(),
        }
    }

    pub(crate) fn extend(&mut self, more: &[u8]) -> Result<(), Full> {
        let length = self.bytes.len() + more.len();
        if length > self.limit {
            return Err(Full::Limit);
        }
        let capacity = self.bytes.capacity();
        if length > capacity {
            let wanted = length.max(capacity.saturating_mul(2)).min(self.limit);
            if !self.share.grow(wanted - capacity) {
                return Err(Full::Budget);
            }
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn finish(self) -> (Vec<u8>, Share) {
        (self.bytes, self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_taken_within_both_limits_and_given_back() {
        let budget = BodyBudget::new(100);
        let mut one = Gathered::new(&budget, 60);
        assert_eq!(one.extend(&[0; 60]), Ok(()));
        assert_eq!(one.extend(&[0]), Err(Full::Limit));
        let mut other = Gathered::new(&budget, 60);
        assert_eq!(other.extend(&[0; 41]), Err(Full::Budget));
        assert_eq!(other.extend(&[0; 40]), Ok(()));
        assert_eq!(budget.used(), 100);
        let (bytes, share) = one.finish();
        drop(bytes);
        drop(other);
        assert_eq!(budget.used(), 60);
        drop(share);
        assert_eq!(budget.used(), 0);
    }
}
