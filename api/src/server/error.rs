//! Why the server could not start, or not stop well.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use riskgrid_analytics::sql::SqlError;
use riskgrid_ingest::checkpoint::CheckpointError;
use riskgrid_ingest::dead_letter::DeadLetterError;
use riskgrid_ingest::identity::IdentityError;
use riskgrid_ingest::layer_store::LayerStoreError;
use riskgrid_ingest::pipeline::SaveError;
use riskgrid_ingest::purge::PurgeError;
use riskgrid_ingest::source::journal::JournalError;
use riskgrid_ingest::source::kafka::KafkaError;

use super::lost_journal::LostJournal;
use crate::access::{AccessError, KeyError};
use crate::alerts::AlertingError;
use crate::alerts::store::DecisionsError;
use crate::config::{ConfigError, OpenCheckpointsError};
use crate::data_dir::DataDirError;
use crate::database::DatabaseError;
use crate::hotline::contacts::ContactsError;
use crate::hotline::desk::NotForgotten;
use crate::hotline::key_lines::InvalidKeyLines;
use crate::http::TlsError;
use crate::publication::PublicationError;

/// Why the server could not start: says what, and what to do. Nothing was overwritten.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An entry of the configuration that only the start can judge.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The base map of the console.
    #[error("console.base_map {}: {error}", path.display())]
    BaseMap {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        #[source]
        error: io::Error,
    },
    /// Where checkpoints lie.
    #[error(transparent)]
    CheckpointPlaces(#[from] OpenCheckpointsError),
    /// The address is taken, or not one of this machine.
    #[error("server.listen {address}: {error}; is another riskgrid running?")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The folder of the node's state.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Who may what.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The first key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The decisions database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// What is in it.
    #[error(transparent)]
    Decisions(#[from] DecisionsError),
    /// Whom to call back.
    #[error(transparent)]
    Contacts(#[from] ContactsError),
    /// Contacts of cases that were never made.
    #[error("contacts of cases that were never made are still there: {0}")]
    Forgetting(#[from] NotForgotten),
    /// The keys of rating links.
    #[error("`hotline.rating_key_file`: {0}")]
    RatingKeys(#[from] InvalidKeyLines),
    /// TLS of this server.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A purge that has not ended.
    #[error(transparent)]
    Purge(#[from] PurgeError),
    /// Alerting.
    #[error(transparent)]
    Alerting(#[from] AlertingError),
    /// The checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Whose checkpoints they are.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The learnt layers.
    #[error(transparent)]
    Layers(#[from] LayerStoreError),
    /// What was published.
    #[error(transparent)]
    Publication(#[from] PublicationError),
    /// The dead letters.
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal is not the one that was read before.
    #[error(transparent)]
    LostJournal(#[from] LostJournal),
    /// Kafka's client.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// Queries.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The numbers of `/metrics`.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// The system gave no thread or socket.
    #[error(transparent)]
    System(#[from] io::Error),
    /// Something at the start failed inside.
    #[error("starting failed inside: {0}")]
    Inside(#[from] tokio::task::JoinError),
}

impl StartError {
    /// Whether the configuration has to be changed, not the machine or the state.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Configuration(_) | Self::BaseMap { .. } | Self::Tls(_) | Self::Access(AccessError::Oidc(_))
        )
    }
}

/// What did not end well.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The last checkpoint could not be written: the log is read again from the one before.
    #[error(transparent)]
    Checkpoint(#[from] SaveError),
}
