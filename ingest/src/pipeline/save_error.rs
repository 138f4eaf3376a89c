//! Why a checkpoint is not written, a partition not taken over, or nothing done at all.

use std::error::Error;

use rdkafka::error::KafkaError;

use crate::checkpoint::CheckpointError;
use crate::dead_letter::DeadLetterError;
use crate::layer_store::LayerStoreError;

/// The pipeline has ended.
#[derive(Debug, thiserror::Error)]
#[error("ingest has ended")]
pub struct PipelineEnded;

/// Why there is no new checkpoint, of one partition at least. The state goes on in memory, and it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Alert rules could not keep what they decided.
    #[error("alert decisions could not be stored: {0}")]
    Decisions(#[source] Box<dyn Error + Send + Sync>),
    /// The topic of refused records does not have all of them.
    #[error("refused records are not in Kafka: {0}")]
    Refused(#[source] KafkaError),
    /// Refused records could not be kept here.
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterError),
    /// The storage of checkpoints refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// There is nobody to write it.
    #[error(transparent)]
    Ended(#[from] PipelineEnded),
}

/// Why a partition is not this node's.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// What layers others learnt could not be read.
    #[error(transparent)]
    Layers(#[from] LayerStoreError),
    /// Its checkpoint could not be claimed or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Why a record's layer or dead letter is not stored yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error(transparent)]
    Layer(#[from] LayerStoreError),
    #[error(transparent)]
    DeadLetter(#[from] DeadLetterError),
    #[error(transparent)]
    Topic(#[from] KafkaError),
}
