//! `[storage]`: where a node's state lies, and how the places of checkpoints are opened.

use std::path::PathBuf;

use riskgrid_ingest::Room;
use riskgrid_ingest::checkpoint::{
    BucketSettings, CheckpointError, CheckpointStore, Files, InvalidLocation, Location,
};
use serde::{Deserialize, Serialize};

use super::values::{ByteSize, Span};

/// `[storage]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageSection {
    /// Folder of this node: journal, dead letters, decisions. Default `./riskgrid-data`.
    pub data_dir: PathBuf,
    /// Where checkpoints lie: a folder, or a bucket as `s3://bucket/prefix`. Default (empty): the folder `checkpoints`
    /// inside `data_dir`.
    pub checkpoints: String,
    /// Time between checkpoints while events come. Default `10s`.
    pub checkpoint_every: Span,
    /// So much of the disk of `data_dir` stays free (at most a tenth of it): with less, events over HTTP are answered 503;
    /// with half of it, the log is no longer read once a refused record cannot be kept; with an eighth, checkpoints wait;
    /// with a sixteenth, decisions. Default 256MiB.
    pub min_free: ByteSize,
    /// How long the journal keeps entries that checkpoints cover. Default `24h`.
    pub journal_retention: Span,
    /// `[storage.object_store]`: how the bucket of `checkpoints` is reached.
    pub object_store: ObjectStoreSection,
}

impl Default for StorageSection {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./riskgrid-data"),
            checkpoints: String::new(),
            checkpoint_every: Span::seconds(10),
            min_free: ByteSize::mebibytes(256),
            journal_retention: Span::seconds(24 * 3600),
            object_store: ObjectStoreSection::default(),
        }
    }
}

impl StorageSection {
    /// The folder of this node's own checkpoints, and of all where `checkpoints` is empty.
    pub fn own_checkpoints(&self) -> PathBuf {
        self.data_dir.join("checkpoints")
    }

    /// Where the checkpoints of Kafka's partitions lie.
    ///
    /// # Errors
    /// An address of something that cannot hold checkpoints.
    pub fn checkpoint_location(&self) -> Result<Location, InvalidLocation> {
        if self.checkpoints.is_empty() {
            return Ok(Location::Folder(self.own_checkpoints()));
        }
        Location::parse(&self.checkpoints)
    }

    /// Where those checkpoints lie, as people name it.
    pub fn checkpoint_place(&self) -> String {
        if self.checkpoints.is_empty() {
            return self.own_checkpoints().display().to_string();
        }
        self.checkpoints.clone()
    }

    /// Opens the places of checkpoints: that of this node alone, and that of Kafka's partitions, which may be the same. This
    /// waits for a disk or for a store's answers: asynchronous code calls it on a thread of its own.
    ///
    /// # Errors
    /// A place that cannot be used: says what to do.
    pub fn open_checkpoints(&self, room: &Room) -> Result<(Files, Files), OpenCheckpointsError> {
        let own = Files::open_folder(&self.own_checkpoints())?.within(room.clone());
        if self.checkpoints.is_empty() {
            return Ok((own.clone(), own));
        }
        let location = self.checkpoint_location()?;
        let shared = Files::open(&location, &self.object_store.settings())?;
        Ok(match location {
            Location::Folder(folder) => (own, shared.within(Room::new(&folder, self.min_free.0))),
            Location::Bucket(_) => (own, shared),
        })
    }

    /// The room on the disk of `data_dir`.
    pub fn room(&self) -> Room {
        Room::new(&self.data_dir, self.min_free.0)
    }

    /// The checkpoints of the node of this id, over the places that [`open_checkpoints`](Self::open_checkpoints) gave.
    ///
    /// # Errors
    /// When the system gives no random number.
    pub fn checkpoint_store(
        &self,
        own: Files,
        shared: Files,
        node: &str,
    ) -> Result<CheckpointStore, CheckpointError> {
        let store = CheckpointStore::new(own, shared, node)?;
        Ok(if self.checkpoints.is_empty() {
            store.alone()
        } else {
            store
        })
    }
}

/// `[storage.object_store]`. What is empty or false comes from the environment, under the names of the AWS tools; secrets
/// from there or from a file only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectStoreSection {
    /// Region of the bucket. Default: `AWS_REGION`, else `us-east-1`.
    pub region: String,
    /// Address of the store, for others than Amazon's, such as `https://minio.example:9000`. Default: `AWS_ENDPOINT`.
    pub endpoint: String,
    /// Allow an endpoint without TLS. Default: `AWS_ALLOW_HTTP`, else false.
    pub allow_http: bool,
    /// The bucket is part of the host's name. Default: `AWS_VIRTUAL_HOSTED_STYLE_REQUEST`, else false.
    pub virtual_hosted_style: bool,
    /// Access key. Default: `AWS_ACCESS_KEY_ID`, else the role of the machine.
    pub access_key_id: String,
    /// A file that holds the secret of the access key, and nothing else. Default: none, `AWS_SECRET_ACCESS_KEY` holds it.
    pub secret_access_key_file: PathBuf,
    /// How long one request may take. Default `30s`.
    pub timeout: Span,
    /// For how long a request that was not answered is tried again. Default `10s`.
    pub retry_for: Span,
}

impl Default for ObjectStoreSection {
    fn default() -> Self {
        let settings = BucketSettings::default();
        Self {
            region: String::new(),
            endpoint: String::new(),
            allow_http: false,
            virtual_hosted_style: false,
            access_key_id: String::new(),
            secret_access_key_file: PathBuf::new(),
            timeout: Span(settings.timeout),
            retry_for: Span(settings.retry_for),
        }
    }
}

impl ObjectStoreSection {
    /// As the store is told.
    pub fn settings(&self) -> BucketSettings {
        let unless_empty = |text: &String| (!text.is_empty()).then(|| text.clone());
        let file = &self.secret_access_key_file;
        BucketSettings {
            region: unless_empty(&self.region),
            endpoint: unless_empty(&self.endpoint),
            allow_http: self.allow_http,
            virtual_hosted_style: self.virtual_hosted_style,
            access_key_id: unless_empty(&self.access_key_id),
            secret_access_key_file: (!file.as_os_str().is_empty()).then(|| file.clone()),
            timeout: self.timeout.0,
            retry_for: self.retry_for.0,
        }
    }
}

/// Why the places of checkpoints cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenCheckpointsError {
    /// The address is none of a place that can hold them.
    #[error(transparent)]
    Location(#[from] InvalidLocation),
    /// The place refused.
    #[error(transparent)]
    Storage(#[from] CheckpointError),
}
