//! What must be stored before ingest goes on: layers seen for the first time, and dead letters.

use std::sync::atomic::Ordering;

use super::RETRY;
use super::origin::Origin;
use super::save_error::StoreError;
use super::worker::Worker;
use crate::dead_letter::{DeadLetter, KeptRecord};
use crate::grid::Partition;
use crate::words::{Layer, Refusal};

impl Worker {
    /// Stores a layer durably before any event of it is counted. Waits while the disk refuses: counting without it
    /// would be decided differently after a restart.
    pub(super) fn learn(&mut self, layer: &Layer) {
        self.insist("a new layer", || Ok(self.shared.layers.learn(layer)?));
        self.layers = self.shared.layers.table();
    }

    pub(super) fn refuse(
        &self,
        partition: &mut Partition,
        origin: Origin,
        refusal: &Refusal,
        record: KeptRecord<'_>,
        size: u64,
    ) {
        if self.is_cut_off.get() {
            return;
        }
        let id = partition.id();
        let mut letter = DeadLetter::new(
            (&id.topic, id.partition, origin.offset, origin.index),
            origin.received,
            refusal,
            record.bytes,
        );
        letter.size = size;
        self.insist("a dead letter", || self.keep(&letter, record));
        partition.refuse(refusal.reason);
    }

    /// Tries until it is stored, and says so once when it is not. When the pipeline is to stop it gives up: then the
    /// partition is left as its last checkpoint has it.
    fn insist(&self, what: &str, store: impl Fn() -> Result<(), StoreError>) {
        let mut is_told = false;
        while let Err(error) = store() {
            // Whoever ends the process while it waits for its disk, it is not the record.
            self.attempts.none();
            if self.shared.is_stopping.load(Ordering::Relaxed) {
                self.is_cut_off.set(true);
                return;
            }
            if !is_told {
                tracing::error!(%error, "{what} cannot be stored; ingest waits for the disk");
                is_told = true;
            }
            std::thread::park_timeout(RETRY);
        }
        if is_told {
            tracing::warn!("{what} is stored now; ingest goes on");
        }
    }

    /// Keeps the record here, and hands it to the topic, whose producer is flushed before each checkpoint. What is read
    /// again after a crash is produced again, under the same key: whether it had left the producer's queue is not known.
    fn keep(&self, letter: &DeadLetter, record: KeptRecord<'_>) -> Result<(), StoreError> {
        self.shared.dead_letters.insert(letter, record)?;
        if let Some(topic) = &self.shared.dead_letter_topic {
            topic.send(letter, record.bytes)?;
        }
        Ok(())
    }
}
