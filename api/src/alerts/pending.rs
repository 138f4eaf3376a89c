//! Instances that are over and do not fire yet: each evaluator shows here what it has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use riskgrid_analytics::rules::Pending;

/// Instances that one evaluator shows; of more, the first.
pub(crate) const MOST_SHOWN: usize = 10_000;

/// What all evaluators show.
#[derive(Debug, Default)]
pub struct PendingInstances {
    shown: Mutex<BTreeMap<u64, Arc<[Pending]>>>,
}

impl PendingInstances {
    /// What an evaluator has now, in the place of what it had.
    pub(crate) fn show(&self, evaluator: u64, pending: Vec<Pending>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.is_empty() {
            shown.remove(&evaluator);
        } else {
            shown.insert(evaluator, pending.into());
        }
    }

    /// All of them, those that have been over for the shortest time first.
    pub fn all(&self) -> Vec<Pending> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Pending> = shown.values().flat_map(|some| some.iter().cloned()).collect();
        drop(shown);
        all.sort_by(|one, other| {
            let key = |pending: &Pending| (pending.since, pending.rule_id.clone(), pending.instance.clone());
            key(other).cmp(&key(one))
        });
        all
    }
}
