//! Files in an object store that nodes share: Amazon S3, or what speaks as it does.
//!
//! Checkpoints are written and read by plain threads, and the store's client is asynchronous: a call runs on a small
//! runtime of the bucket's own while its caller waits. An object is there whole or not at all, and durable once the store
//! has said so; the first of two that make one of the same name is told by `If-None-Match`.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig,
};
use tokio::runtime::Runtime;

use super::CheckpointError;
use super::location::{BucketSettings, BucketUrl};
use super::store_error::{StoreProblem, cause_of, problem_of};

/// Threads of the client: encryption and sums over bytes, never waiting.
const THREADS: usize = 2;
/// Longest pause between two tries of a request.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// After a call that was not answered at all others fail at once for as long as it took, within these bounds: with many
/// partitions each would wait.
const REST: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// Never reached: the time alone counts.
const MOST_TRIES: usize = 1000;
/// How often an object is made that is said to be there and cannot be read: it is being removed, or made by another.
const TRIES: usize = 4;
/// An object by which the store shows that it tells the first of two writers. It stays.
const PROBE: &str = "probe";
const PROBE_TEXT: &str = "Made by riskgrid to see whether this store tells the first of two writers.";

/// A prefix in a bucket. Copies share their connections.
#[derive(Clone, Debug)]
pub(super) struct Bucket(Arc<Connection>);

struct Connection {
    store: AmazonS3,
    prefix: Path,
    /// As people write it.
    address: String,
    /// No call takes longer.
    longest: Duration,
    /// Until when calls fail at once, and why.
    resting: Mutex<Option<(Instant, StoreProblem)>>,
    /// Taken when it is dropped only.
    runtime: Option<Runtime>,
}

// The store's own would show credentials.
impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.address)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for its threads is not allowed everywhere, and nothing waits for them.
            runtime.shutdown_background();
        }
    }
}

impl Bucket {
    /// Connects, and finds out whether the store lets this node read and write, and tells the first of two writers.
    pub(super) fn open(url: &BucketUrl, settings: &BucketSettings) -> Result<Self, CheckpointError> {
        let address = url.url.as_str().trim_end_matches('/').to_owned();
        let failed = |action, error: io::Error| CheckpointError::Io {
            action,
            place: address.clone(),
            error,
        };
        let store = build(url, settings).map_err(|error| failed("setting up the client of", error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("object-store")
            .enable_all()
            .build()
            .map_err(|error| failed("starting the client of", error))?;
        let bucket = Self(Arc::new(Connection {
            store,
            prefix: url.prefix.clone(),
            address: address.clone(),
            // The last try may begin when the time for tries is nearly over.
            longest: settings.timeout + settings.retry_for + LONGEST_PAUSE,
            resting: Mutex::new(None),
            runtime: Some(runtime),
        }));
        bucket.probe()?;
        Ok(bucket)
    }

    fn probe(&self) -> Result<(), CheckpointError> {
        let path = self.path(PROBE);
        for is_there in [false, true] {
            let mut random = [0; 16];
            getrandom::fill(&mut random)
                .map_err(|error| self.failed("writing", &path, StoreProblem::unclear(error.to_string())))?;
            // Each try has bytes of its own, which tell who made what is there.
            let text = format!("{PROBE_TEXT} {:032x}\n", u128::from_ne_bytes(random));
            // The first may find what an earlier start has left.
            if self.put(&path, text.as_bytes())? && is_there {
                return Err(self.failed("writing", &path, StoreProblem::no_conditional_put()));
            }
        }
        Ok(())
    }

    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        self.0.address == other.0.address
    }

    pub(super) fn place(&self, below: &str) -> String {
        format!("{}/{below}", self.0.address)
    }

    pub(super) fn folders(&self) -> Result<Vec<String>, CheckpointError> {
        let (store, prefix) = (self.0.store.clone(), self.0.prefix.clone());
        let listed = self.wait(async move { store.list_with_delimiter(Some(&prefix)).await });
        let listed = listed.map_err(|problem| self.failed("listing", &self.0.prefix, problem))?;
        Ok(last_parts(listed.common_prefixes.iter()))
    }

    pub(super) fn names(&self, folder: &str) -> Result<Vec<String>, CheckpointError> {
        let (store, path) = (self.0.store.clone(), self.path(folder));
        let prefix = path.clone();
        let listed = self.wait(async move { store.list_with_delimiter(Some(&prefix)).await });
        let listed = listed.map_err(|problem| self.failed("listing", &path, problem))?;
        Ok(last_parts(listed.objects.iter().map(|object| &object.location)))
    }

    pub(super) fn read(&self, folder: &str, name: &str) -> Result<Vec<u8>, CheckpointError> {
        let path = self.path(&format!("{folder}/{name}"));
        self.get(&path)
            .map_err(|problem| self.failed("reading", &path, problem))
    }

    pub(super) fn create(&self, folder: &str, name: &str, bytes: &[u8]) -> Result<bool, CheckpointError> {
        self.put(&self.path(&format!("{folder}/{name}")), bytes)
    }

    pub(super) fn remove(&self, folder: &str, name: &str) {
        let (store, path) = (self.0.store.clone(), self.path(&format!("{folder}/{name}")));
        let removed = self.wait(async move { store.delete(&path).await });
        if let Err(problem) = removed {
            tracing::debug!(%problem, place = self.place(&format!("{folder}/{name}")), "not removed");
        }
    }

    fn path(&self, below: &str) -> Path {
        let whole = format!("{}/{below}", self.0.prefix);
        // As it is: folders' names are escaped already.
        Path::parse(&whole).unwrap_or_else(|_| Path::from(whole))
    }

    /// Whether this call made the object. Where the answer was lost it is found out by what is there.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<bool, CheckpointError> {
        let mut last = StoreProblem::no_answer();
        for _ in 0..TRIES {
            let (store, to, payload) = (
                self.0.store.clone(),
                path.clone(),
                PutPayload::from(bytes.to_vec()),
            );
            let put = self.wait(async move { store.put_opts(&to, payload, PutMode::Create.into()).await });
            let problem = match put {
                Ok(_) => return Ok(true),
                Err(problem) if problem.may_have_happened() => problem,
                Err(problem) => return Err(self.failed("writing", path, problem)),
            };
            match self.get(path) {
                // Ours, when a first try was answered by nothing and the next one by "it is there".
                Ok(there) => return Ok(there == bytes),
                Err(absent) if absent.kind() == ErrorKind::NotFound => last = problem,
                Err(_) => return Err(self.failed("writing", path, problem)),
            }
        }
        Err(self.failed("writing", path, last))
    }

    fn get(&self, path: &Path) -> Result<Vec<u8>, StoreProblem> {
        let (store, path) = (self.0.store.clone(), path.clone());
        let bytes = self.wait(async move { store.get(&path).await?.bytes().await })?;
        Ok(bytes.into())
    }

    fn failed(&self, action: &'static str, path: &Path, problem: StoreProblem) -> CheckpointError {
        let below = path
            .as_ref()
            .strip_prefix(self.0.prefix.as_ref())
            .unwrap_or_default();
        CheckpointError::Io {
            action,
            place: format!("{}/{}", self.0.address, below.trim_start_matches('/')),
            error: io::Error::new(problem.kind(), problem),
        }
    }

    /// Runs a call on the bucket's runtime while this thread waits.
    fn wait<T: Send + 'static>(
        &self,
        call: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, StoreProblem> {
        if let Some((until, problem)) = &*self.resting()
            && Instant::now() < *until
        {
            return Err(problem.clone());
        }
        let began = Instant::now();
        let (done, answer) = sync_channel(1);
        let task = self.0.runtime.as_ref().map(|runtime| {
            runtime.spawn(async move {
                // Who asked may have given up.
                let _ = done.send(call.await);
            })
        });
        let result = match answer.recv_timeout(self.0.longest) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(problem_of(&error)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(StoreProblem::no_answer()),
        };
        if let Err(problem) = &result
            && problem.is_silence()
        {
            if let Some(task) = task {
                task.abort();
            }
            let now = Instant::now();
            let [least, most] = REST;
            let rest = now.duration_since(began).clamp(least, most);
            *self.resting() = Some((now + rest, problem.clone()));
        }
        result
    }

    fn resting(&self) -> std::sync::MutexGuard<'_, Option<(Instant, StoreProblem)>> {
        self.0.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a key's last part is, of each, in their order.
fn last_parts<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<String> {
    let mut names: Vec<String> = paths
        .filter_map(|path| path.as_ref().rsplit('/').next().map(ToOwned::to_owned))
        .collect();
    names.sort();
    names
}

fn build(url: &BucketUrl, settings: &BucketSettings) -> Result<AmazonS3, io::Error> {
    let timeout = AmazonS3ConfigKey::Client(ClientConfigKey::Timeout);
    let mut builder = AmazonS3Builder::from_env()
        .with_config(timeout, humantime::format_duration(settings.timeout).to_string())
        .with_url(url.url.as_str())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                max_backoff: LONGEST_PAUSE,
                ..BackoffConfig::default()
            },
            max_retries: MOST_TRIES,
            retry_timeout: settings.retry_for,
        });
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if settings.allow_http {
        builder = builder.with_allow_http(true);
    }
    if settings.virtual_hosted_style {
        builder = builder.with_virtual_hosted_style_request(true);
    }
    if let Some(key) = &settings.access_key_id {
        builder = builder.with_access_key_id(key);
    }
    if let Some(file) = &settings.secret_access_key_file {
        let secret = std::fs::read_to_string(file).map_err(|error| {
            let place = file.display();
            io::Error::new(error.kind(), format!("secret_access_key_file {place}: {error}"))
        })?;
        builder = builder.with_secret_access_key(secret.trim());
    }
    builder
        .build()
        .map_err(|error| io::Error::other(cause_of(&error)))
}
