//! The server as one thing: opens state, starts the tasks in the order in which they need each other, and stops them in
//! the opposite order.

mod access;
mod readers;

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use riskgrid_analytics::rules::RuleBounds;
use riskgrid_analytics::sql::{SqlEngine, SqlLimits};
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::decode::feed::{FeedClock, FeedOrigin};
use riskgrid_ingest::edge::Edge;
use riskgrid_ingest::grid::{GridPublisher, PartitionId};
use riskgrid_ingest::identity::node_id;
use riskgrid_ingest::layer_store::{LayerCatalogue, LayerStore};
use riskgrid_ingest::observer::EventObserver;
use riskgrid_ingest::pipeline::{Feed, Pipeline, PipelineHandle, PipelineSettings};
use riskgrid_ingest::purge::{Purge, PurgeError};
use riskgrid_ingest::source::journal::Journal;
use riskgrid_ingest::source::kafka::{DeadLetterTopic, EventProducer, KafkaSource, create_own_topics};
use riskgrid_ingest::{EventTime, Room};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::access::open_access;
use self::readers::{Readers, check_journal};
use crate::alerts::Alerting;
use crate::alerts::delivery::DeliverySettings;
use crate::alerts::evaluation::{NotifyPolicy, SensorObserver, follow_cells};
use crate::alerts::store::{Decisions, Keep};
use crate::app::App;
use crate::config::{Checked, Config};
use crate::console::{self, ConsoleSettings};
use crate::dead_letters::Lists;
use crate::http::{
    Bodies, BodyBudget, ConnectionSettings, Connections, HttpCounters, connections_within, raise_open_files,
    serve,
};
use crate::intake::{Intake, Log};
use crate::routes::tiles::TileCaches;
use crate::stream::Changes;
use crate::{data_dir, guard, process_memory, routes};

/// Sums that windows ask for again take at most this part of what aggregates may take, beside them.
const PART_FOR_BLOCK_SUMS: usize = 16;
/// How long open connections may finish when the server stops; streams never would.
const DRAIN: Duration = Duration::from_secs(3);
/// How often old journal entries are looked for.
const HOUSEKEEPING: Duration = Duration::from_mins(1);
/// How often all of those dead letters are gone through.
const RAW_EXPIRY: Duration = Duration::from_hours(1);

/// Why the server could not start: says what, and what to do.
pub type StartError = Box<dyn Error + Send + Sync>;

/// What the command line adds to the configuration.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// Plays file feeds at so many event seconds a second, whatever the feeds say.
    pub speed: Option<f64>,
    /// Base map that is not a file: the demo's.
    pub base_map: Option<String>,
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    app: Arc<App>,
    pipeline: PipelineHandle,
    readers: Readers,
    kafka: Option<KafkaSource>,
    tasks: Vec<JoinHandle<()>>,
    http: JoinHandle<()>,
    stop_http: watch::Sender<bool>,
}

/// The wall clock: the one place that reads it for the whole server.
pub fn wall_clock() -> EventTime {
    EventTime::from(chrono::Utc::now())
}

impl Server {
    /// Starts everything; returns when requests are answered.
    ///
    /// # Errors
    /// State that cannot be opened or used, an address that is taken: nothing is overwritten.
    pub async fn start(
        checked: Checked,
        folder: &std::path::Path,
        options: ServerOptions,
    ) -> Result<Self, StartError> {
        let open_files = raise_open_files();
        let http_counters = HttpCounters::new()?;
        let config = &checked.config;
        let data_dir = &config.storage.data_dir;
        let folder_of_state = data_dir.clone();
        waiting(move || data_dir::prepare(&folder_of_state)).await?;
        let room = config.storage.room();
        let decisions = Decisions::open(data_dir, config.alerts.bounds())
            .await?
            .within(room.clone());
        if let Some(begun) = Purge::unfinished(data_dir)? {
            return Err(PurgeError::Unfinished(begun.feed).into());
        }
        let alerting = Alerting::start(
            decisions,
            DeliverySettings {
                allow_private: config.webhooks.allow_private,
                timeout: config.webhooks.timeout.0,
                ..DeliverySettings::default()
            },
            RuleBounds {
                base_resolution: u8::from(checked.resolution),
                longest_window: config.grid.retention.steps().days.0,
                shortest_window: config.grid.bucket.0 * 2,
            },
            Keep {
                ended_alerts: config.alerts.keep.0,
                max_ended_alerts: config.alerts.max_ended,
                delivered: config.webhooks.keep_delivered.0,
                dead: config.webhooks.keep_dead.0,
            },
            Arc::new(|| wall_clock().micros()),
        )
        .await?;
        let (access, access_tasks) = open_access(&checked, &alerting.decisions, folder).await?;
        let policy = NotifyPolicy::new(replayed_domains(&checked));

        let (storage, room_for_checkpoints) = (config.storage.clone(), room.clone());
        let (node, checkpoints, layer_store) = waiting(move || {
            let (own, shared) = storage.open_checkpoints(&room_for_checkpoints)?;
            let node = node_id(&storage.data_dir, &own)?;
            let layer_store = LayerStore::open_beside(shared.clone(), std::slice::from_ref(&own))?;
            let checkpoints = storage.checkpoint_store(own, shared, &node)?;
            Ok((node, checkpoints, layer_store))
        })
        .await?;
        // Somebody took out what it held, so as to begin without.
        let is_journal_emptied = checkpoints.is_emptied(&PartitionId::of_journal())?;
        let source_key = layer_store.source_key();
        let layers = LayerCatalogue::new(checked.layers.clone(), layer_store);
        let edge = Edge {
            resolution: checked.resolution,
            future_skew: config.edge.future_skew.micros(),
            bounds: config.edge.bounds,
            source_key,
        };
        let dead_letters = DeadLetterStore::open_within(&data_dir.join("dead-letters"), room.clone())?;
        let dead_letter_topic = if config.kafka.is_enabled() {
            Some(Arc::new(DeadLetterTopic::new(&config.kafka)?))
        } else {
            None
        };
        let checkpointed: Arc<Mutex<Option<Instant>>> = Arc::default();
        let durable_journal = Arc::new(AtomicI64::new(0));
        let kafka_committer: Arc<OnceLock<Committer>> = Arc::default();
        let observer = {
            let (alerting, policy) = (Arc::clone(&alerting), policy.clone());
            let runtime = tokio::runtime::Handle::current();
            move || -> Box<dyn EventObserver> {
                Box::new(SensorObserver::new(
                    Arc::clone(&alerting),
                    policy.clone(),
                    runtime.clone(),
                ))
            }
        };
        let pipeline = Pipeline {
            grid: checked.grid,
            publisher: GridPublisher::new(
                checked.grid.calendar,
                checked.resolution,
                layers.table(),
                config.grid.idle_after.micros(),
            )
            .with_places(Arc::clone(&checked.places))
            .with_block_sums(config.grid.memory.as_usize() / PART_FOR_BLOCK_SUMS),
            edge: edge.clone(),
            layers,
            dead_letters: dead_letters.clone(),
            dead_letter_topic: dead_letter_topic.clone(),
            topics: topics_of(&checked),
            checkpoints,
            attempts: Some(data_dir.join("attempts")),
            observer: Box::new(observer),
            on_checkpoint: listener(
                Arc::clone(&checkpointed),
                Arc::clone(&durable_journal),
                Arc::clone(&kafka_committer),
            ),
            settings: PipelineSettings {
                publish_every: config.grid.publish_every.0,
                checkpoint_every: config.storage.checkpoint_every.0,
                max_event: config.edge.max_event.as_usize(),
                grid_bytes: config.grid.memory.as_usize(),
                workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            },
            clock: wall_clock,
        };
        let restored = waiting(move || Ok(pipeline.restore()?)).await?;
        let journal = open_journal(config, room)?;
        let journal_offset = restored.offsets().get(&PartitionId::of_journal()).copied();
        if let Some(journal) = &journal
            && !is_journal_emptied
        {
            check_journal(journal, journal_offset, &config.storage.data_dir.join("journal"))?;
        }
        let offsets = restored.offsets().clone();
        // From here on a start that fails writes a last checkpoint.
        let (pipeline, reader) = restored.start()?;
        alerting.watch_layers_of(reader.clone());

        let mut readers = Readers::default();
        let journal_span = journal
            .as_ref()
            .map(|journal| (journal_offset.unwrap_or(0), journal.end()));
        if let Some(journal) = &journal {
            let offset = journal_offset.unwrap_or(0);
            durable_journal.store(offset, Ordering::Relaxed);
            readers.read_journal(journal.clone(), offset, pipeline.clone())?;
        }
        let mut topics: HashMap<String, Arc<Feed>> = HashMap::new();
        for checked_feed in &checked.feeds {
            match &checked_feed.settings.from {
                FeedOrigin::Kafka { topic } => {
                    topics.insert(topic.clone(), Arc::clone(&checked_feed.feed));
                }
                FeedOrigin::File { .. } => {
                    let offset = offsets
                        .get(&PartitionId::of_file(&checked_feed.settings.name))
                        .copied()
                        .unwrap_or(0);
                    readers.read_file(
                        Arc::clone(&checked_feed.feed),
                        &checked_feed.settings,
                        folder,
                        options.speed,
                        offset,
                        config.edge.max_event.as_usize(),
                        pipeline.clone(),
                        wall_clock,
                    )?;
                }
            }
        }
        let mut tasks = Vec::from(access_tasks);
        let kafka = if config.kafka.is_enabled() {
            Some(start_kafka(
                config,
                &node,
                topics,
                &offsets,
                &pipeline,
                &kafka_committer,
                &mut tasks,
            )?)
        } else {
            None
        };

        let log = match (&journal, config.kafka.is_enabled()) {
            (Some(journal), false) => Log::Journal(journal.clone()),
            _ => Log::Kafka(Box::new(EventProducer::new(&config.kafka)?)),
        };
        let next_refused = dead_letters.next_http_offset()?;
        let intake = Arc::new(Intake::new(
            log,
            edge,
            config.edge.max_event.as_usize(),
            reader.clone(),
            dead_letters.clone(),
            dead_letter_topic,
            next_refused,
        ));
        let changes = Changes::follow(reader.clone(), &alerting);
        tasks.push(tokio::spawn(follow_cells(
            reader.clone(),
            Arc::clone(&alerting),
            policy,
        )));
        tasks.push(tokio::spawn(keep_house(
            journal,
            durable_journal,
            config.storage.journal_retention.micros(),
            dead_letters.clone(),
        )));
        let body_budget = BodyBudget::new(config.server.body_memory.as_usize());
        let sql = SqlEngine::over(&checked.places, sql_limits(config))?.fenced(
            config.sql.memory_margin.as_usize(),
            process_memory::beside_the_grid(reader.clone()),
        )?;
        let app = Arc::new(App {
            access: Arc::clone(&access),
            http_counters: http_counters.clone(),
            body_budget: Arc::clone(&body_budget),
            reader,
            intake,
            sql,
            alerting,
            dead_letters,
            dead_letter_lists: Lists::default(),
            replaying: Arc::default(),
            tiles: TileCaches::new(config.edge.bounds),
            changes,
            pipeline: pipeline.clone(),
            kafka: kafka.as_ref().map(KafkaSource::status),
            journal: journal_span,
            retention: checked.grid.retention.days,
            clock: wall_clock,
            stopping: AtomicBool::new(false),
            checkpointed,
        });

        let listener = TcpListener::bind(config.server.listen).await.map_err(|error| {
            format!(
                "server.listen {}: {error}; is another riskgrid running?",
                config.server.listen
            )
        })?;
        let address = listener.local_addr()?;
        let router = guard::protect(
            axum::Router::new()
                .merge(routes::all(&app))
                .merge(console::routes(console_settings(
                    config,
                    folder,
                    options.base_map,
                )?)),
            &config.server,
            address,
            access,
            Bodies {
                largest: config.server.max_body.as_usize(),
                // A text in JSON may be twice as long as it is.
                largest_statement: 2 * SqlLimits::default().statement_bytes,
                pause: config.server.body_pause.0,
                whole: config.server.body_timeout.0,
                budget: body_budget,
                counters: http_counters.clone(),
            },
        )?;
        let (stop_http, stopped) = watch::channel(false);
        let connections = Connections::new(
            connections_within(open_files, config.server.max_connections),
            http_counters,
        );
        let http = tokio::spawn(serve(
            listener,
            router,
            connections,
            ConnectionSettings {
                header_timeout: config.server.header_timeout.0,
                write_timeout: config.server.write_timeout.0,
            },
            stopped,
        ));
        let places = &checked.places;
        tracing::info!(
            %address,
            areas = places.areas.areas().len(),
            facilities = places.facilities.facilities().len(),
            "serving"
        );
        Ok(Self {
            address,
            app,
            pipeline,
            readers,
            kafka,
            tasks,
            http,
            stop_http,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its routes share.
    pub const fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Stops: no new requests, then no new records, then what is queued is applied and a checkpoint written, then the
    /// databases are closed.
    ///
    /// # Errors
    /// When the last checkpoint could not be written: the log is read again from the one before.
    pub async fn stop(mut self) -> Result<(), String> {
        self.app.stopping.store(true, Ordering::Relaxed);
        self.stop_http.send_replace(true);
        if tokio::time::timeout(DRAIN, &mut self.http).await.is_err() {
            self.http.abort();
        }
        let readers = self.readers;
        let kafka = self.kafka;
        // The reading threads may wait for room in the pipeline's queue.
        let stopped = tokio::task::spawn_blocking(move || {
            readers.stop();
            kafka.map(|mut kafka| {
                kafka.stop();
                kafka
            })
        })
        .await;
        let result = self.pipeline.stop().await;
        for task in &self.tasks {
            task.abort();
        }
        self.app.access.finish().await;
        self.app.alerting.stop().await;
        if let Ok(Some(kafka)) = stopped {
            // It ends in any case, so that the runtime can.
            tokio::task::spawn_blocking(|| kafka.close()).await.ok();
        }
        result
    }
}

/// Does what waits for a disk or an object store beside the threads that serve requests.
async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work).await?
}

type Committer = Box<dyn Fn(&[(PartitionId, i64)]) + Send + Sync>;

fn listener(
    checkpointed: Arc<Mutex<Option<Instant>>>,
    durable_journal: Arc<AtomicI64>,
    kafka: Arc<OnceLock<Committer>>,
) -> riskgrid_ingest::pipeline::CheckpointListener {
    Box::new(move |durable| {
        *checkpointed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if let Some((_, offset)) = durable.iter().find(|(id, _)| *id == PartitionId::of_journal()) {
            durable_journal.store(*offset, Ordering::Relaxed);
        }
        if let Some(commit) = kafka.get() {
            commit(durable);
        }
    })
}

/// Without Kafka the journal is the log. With Kafka one that is there from before is still read to its end.
fn open_journal(config: &Config, room: Room) -> Result<Option<Journal>, StartError> {
    let folder = config.storage.data_dir.join("journal");
    if config.kafka.is_enabled() && !folder.exists() {
        return Ok(None);
    }
    Ok(Some(Journal::open_within(&folder, room)?))
}

fn start_kafka(
    config: &Config,
    node: &str,
    topics: HashMap<String, Arc<Feed>>,
    offsets: &BTreeMap<PartitionId, i64>,
    pipeline: &PipelineHandle,
    committer: &OnceLock<Committer>,
    tasks: &mut Vec<JoinHandle<()>>,
) -> Result<KafkaSource, StartError> {
    let settings = config.kafka.clone();
    tasks.push(tokio::spawn(async move {
        let mut pause = tokio::time::interval(Duration::from_secs(1));
        pause.tick().await;
        while let Err(error) = create_own_topics(&settings).await {
            tracing::debug!(%error, "riskgrid's own topics are not there yet");
            pause.tick().await;
        }
    }));
    let source = KafkaSource::start(&config.kafka, node, topics, offsets, pipeline.clone())?;
    // Set once, here.
    let _ = committer.set(Box::new(source.committer()));
    Ok(source)
}

/// Historic feeds whose alerts are sent.
fn replayed_domains(checked: &Checked) -> impl Iterator<Item = String> + '_ {
    let replayed = checked
        .feeds
        .iter()
        .filter(|feed| feed.settings.notify && feed.settings.clock == FeedClock::Event);
    replayed.map(|feed| feed.feed.rules.domain.clone())
}

/// What is read, as partitions name it, and the feed that maps it.
fn topics_of(checked: &Checked) -> HashMap<Arc<str>, Option<Arc<Feed>>> {
    let kafka = &checked.config.kafka;
    let mut topics = HashMap::from([(PartitionId::of_journal().topic, None)]);
    if kafka.is_enabled() {
        let own = [&kafka.observations, &kafka.reports, &kafka.positions];
        topics.extend(own.map(|topic| (topic.as_str().into(), None)));
    }
    topics.extend(
        checked
            .feeds
            .iter()
            .map(|feed| (feed.topic(), Some(Arc::clone(&feed.feed)))),
    );
    topics
}

async fn keep_house(
    journal: Option<Journal>,
    durable: Arc<AtomicI64>,
    retention: i64,
    dead_letters: DeadLetterStore,
) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    let mut next_raw_expiry = Instant::now();
    loop {
        ticks.tick().await;
        let (journal, dead_letters) = (journal.clone(), dead_letters.clone());
        let offset = durable.load(Ordering::Relaxed);
        let now = wall_clock();
        let expire_raw = Instant::now() >= next_raw_expiry || dead_letters.has_grown();
        if expire_raw {
            next_raw_expiry = Instant::now() + RAW_EXPIRY;
        }
        let swept = tokio::task::spawn_blocking(move || {
            if let Some(Err(error)) = journal.map(|journal| journal.expire(offset, now.plus(-retention))) {
                tracing::warn!(%error, "old journal entries stay for now");
            }
            if expire_raw && let Err(error) = dead_letters.expire(now) {
                tracing::warn!(%error, "old dead letters stay for now");
            }
        });
        if swept.await.is_err() {
            tracing::error!("housekeeping panicked");
        }
    }
}

fn sql_limits(config: &Config) -> SqlLimits {
    let mut limits = SqlLimits {
        memory_bytes: config.sql.memory.as_usize(),
        query_memory_bytes: config.sql.query_memory.as_usize(),
        timeout: config.sql.timeout.0,
        longest_timeout: config.sql.longest_timeout.0,
        ..SqlLimits::default()
    };
    if let Some(most) = std::num::NonZeroUsize::new(config.sql.max_concurrent) {
        limits.max_concurrent = most;
    }
    limits
}

fn console_settings(
    config: &Config,
    folder: &std::path::Path,
    base_map: Option<String>,
) -> Result<ConsoleSettings, StartError> {
    let console = &config.console;
    let base_map = match (&console.base_map, base_map) {
        (_, Some(text)) => Some(text.into_bytes()),
        (Some(path), None) => {
            let path = folder.join(path);
            Some(
                std::fs::read(&path)
                    .map_err(|error| format!("console.base_map {}: {error}", path.display()))?,
            )
        }
        (None, None) => None,
    };
    Ok(ConsoleSettings {
        title: console.title.clone(),
        notice: console.notice.clone(),
        center: console.center,
        zoom: console.zoom,
        layer: console.layer.clone(),
        base_map: base_map.map(Into::into),
    })
}
