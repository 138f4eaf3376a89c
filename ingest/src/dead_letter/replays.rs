//! What was asked to be replayed, durably and in order: a queue for each partition, whose numbers the partition's
//! checkpoint holds beside its offset. So what a crash undid is applied again, at the same place of the log.

use fjall::PersistMode;
use serde::{Deserialize, Serialize};

use super::open_store::OpenStore;
use super::{DeadLetterError, DeadLetterStore, LetterKey, prefix};
use crate::words::{EventTime, PartitionId};

/// Bytes of one beside its topic, at most.
const REPLAY: usize = 128;

/// A dead letter in the queue of its partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueuedReplay {
    /// Its place in the queue.
    pub(crate) number: u64,
    /// The partition's next offset when it was asked for: read again, the log is read up to there first.
    pub(crate) after: i64,
    /// When it was asked for.
    pub(crate) asked: EventTime,
    /// Which one.
    pub(crate) letter: LetterKey,
}

/// How the keys of a partition's queue begin.
fn queue(partition: &PartitionId) -> Vec<u8> {
    let mut key = prefix(&partition.topic);
    key.extend_from_slice(&partition.partition.to_be_bytes());
    key
}

fn key(partition: &PartitionId, number: u64) -> Vec<u8> {
    let mut key = queue(partition);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

impl DeadLetterStore {
    /// Adds to the queue of a partition; durable when this returns.
    ///
    /// # Errors
    /// Then none of them is in the queue, or all: a later one of the same number takes its place.
    pub(crate) fn queue(
        &self,
        partition: &PartitionId,
        replays: &[QueuedReplay],
    ) -> Result<(), DeadLetterError> {
        self.ask(
            replays
                .iter()
                .map(|replay| REPLAY + replay.letter.topic.len())
                .sum(),
        )?;
        self.write(|store| {
            let mut batch = store.database.batch().durability(Some(PersistMode::SyncData));
            for replay in replays {
                let value = postcard::to_stdvec(replay)?;
                batch.insert(&store.replays, key(partition, replay.number), value);
            }
            Ok(batch.commit()?)
        })
    }

    /// The queue of a partition from a number on.
    pub(crate) fn queued(
        &self,
        partition: &PartitionId,
        from: u64,
    ) -> Result<Vec<QueuedReplay>, DeadLetterError> {
        let replays = self.store()?.replays;
        let mut queued = Vec::new();
        for guard in replays.range(key(partition, from)..=key(partition, u64::MAX)) {
            let value = guard.value()?;
            match postcard::from_bytes::<QueuedReplay>(&value) {
                Ok(replay) => queued.push(replay),
                // Its letter is still there, and can be replayed anew.
                Err(error) => {
                    tracing::error!(%error, %partition, "a queued replay is damaged; it is passed over");
                }
            }
        }
        Ok(queued)
    }
}

impl OpenStore {
    /// Drops what was asked for before `limit`: checkpoints of before are gone.
    pub(super) fn expire_replays(&self, limit: EventTime) -> Result<(), DeadLetterError> {
        for guard in self.replays.iter() {
            let (key, value) = guard.into_inner()?;
            if postcard::from_bytes::<QueuedReplay>(&value).is_ok_and(|replay| replay.asked <= limit) {
                self.replays.remove(key)?;
            }
        }
        Ok(())
    }
}
