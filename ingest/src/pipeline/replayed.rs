//! What became of dead letters that were replayed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::dead_letter::DeadLetterError;
use crate::grid::Applied;
use crate::words::{PartitionId, Refusal, RefusalReason};

/// What became of replayed letters. The counts of what was applied are of events: a row that was refused as a whole may
/// give several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Letters that were judged anew.
    pub replayed: u64,
    /// Events that are valid now, and counted.
    pub accepted: u64,
    /// Events that were known already, because they had come in a valid form meanwhile.
    pub duplicate: u64,
    /// Events that were refused again, by their newest reason.
    pub refused: BTreeMap<RefusalReason, u64>,
    /// Letters that cannot be judged anew, by why: `already` (it was replayed meanwhile, and is counted), `cut` (only the
    /// first bytes are kept), `expired` (none are kept any more), `no_event` (by the mapping of today its row holds no such
    /// event).
    pub not_replayable: BTreeMap<&'static str, u64>,
}

impl Replayed {
    /// Adds what became of others.
    pub fn add(&mut self, other: &Self) {
        self.replayed += other.replayed;
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        for (reason, count) in &other.refused {
            *self.refused.entry(*reason).or_default() += count;
        }
        for (why, count) in &other.not_replayable {
            *self.not_replayable.entry(why).or_default() += count;
        }
    }

    /// Counts letters that cannot be judged anew.
    pub fn cannot(&mut self, why: &'static str, letters: u64) {
        *self.not_replayable.entry(why).or_default() += letters;
    }

    pub(super) fn count(&mut self, judged: &Result<Applied, Refusal>) {
        match judged {
            Ok(Applied::Accepted { .. }) => self.accepted += 1,
            Ok(Applied::Duplicate) => self.duplicate += 1,
            Err(refusal) => *self.refused.entry(refusal.reason).or_default() += 1,
        }
    }
}

/// Why nothing of a partition was replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Another node has the partition, or it has no state yet.
    #[error("partition {0} is not with this node")]
    NotHere(PartitionId),
    /// No feed of the configuration reads it.
    #[error("nothing in the configuration reads `{0}`")]
    NotConfigured(String),
    /// What a crash undid is not done again yet.
    #[error("partition {0} still reads again what came before the last crash")]
    CatchingUp(PartitionId),
    /// The store of dead letters refuses.
    #[error(transparent)]
    Store(#[from] DeadLetterError),
    /// The pipeline has ended.
    #[error("ingest has ended")]
    Ended,
}
