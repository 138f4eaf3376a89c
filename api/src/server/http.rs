//! HTTP: what all routes share, and the loop that serves them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use riskgrid_analytics::sql::{Spill, SqlEngine, SqlError, SqlLimits};
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::grid::GridReader;
use riskgrid_ingest::source::kafka::EventProducer;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::durable::Durable;
use super::ingest::Ingest;
use super::sources::Sources;
use super::{ServerOptions, StartError, Started, wall_clock};
use crate::access::Access;
use crate::alerts::Alerting;
use crate::alerts::evaluation::Sight;
use crate::app::App;
use crate::config::{Checked, Config};
use crate::console::{self, ConsoleSettings};
use crate::dead_letters::{Lists, Replays};
use crate::durations::Durations;
use crate::hotline::desk::Desk;
use crate::http::{
    Bodies, BodyBudget, ConnectionSettings, Connections, HttpCounters, Tls, connections_within, serve,
};
use crate::intake::{Intake, Log};
use crate::publication::Published;
use crate::risk::Surfaces;
use crate::stream::Changes;
use crate::tiles::TileCaches;
use crate::{guard, process_memory, routes, sql_tables};

/// How long open connections may finish when the server stops; streams never would.
const DRAIN: Duration = Duration::from_secs(3);

/// The earlier stages, as routes see them.
pub(super) struct Below {
    pub(super) access: Arc<Access>,
    pub(super) reader: GridReader,
    pub(super) surfaces: Arc<Surfaces>,
    pub(super) alerting: Arc<Alerting>,
    pub(super) desk: Arc<Desk>,
    pub(super) dead_letters: DeadLetterStore,
    pub(super) durable: Arc<Durable>,
    pub(super) ingest: Ingest,
    pub(super) sources: Sources,
    pub(super) publication: Published,
    pub(super) public_late: Arc<AtomicU64>,
}

/// Puts together what routes share.
pub(super) fn share(checked: &Checked, below: Below) -> Result<Arc<App>, StartError> {
    let config = &checked.config;
    let Below {
        access,
        reader,
        surfaces,
        alerting,
        desk,
        dead_letters,
        durable,
        ingest,
        sources,
        publication,
        public_late,
    } = below;
    let log = match ingest.journal {
        Some(journal) if !config.kafka.is_enabled() => Log::Journal(journal),
        _ => Log::Kafka(Box::new(EventProducer::new(&config.kafka)?)),
    };
    let next_refused = dead_letters.next_http_offset()?;
    let intake = Arc::new(Intake::new(
        log,
        ingest.edge,
        config.edge.max_event.as_usize(),
        reader.clone(),
        dead_letters.clone(),
        ingest.dead_letter_topic,
        next_refused,
    ));
    desk.log_to(Arc::clone(&intake));
    let sql = SqlEngine::over(&checked.places, sql_limits(config))?.fenced(
        config.sql.memory_margin.as_usize(),
        process_memory::beside_the_grid(reader.clone()),
    )?;
    let app = Arc::new(App {
        replays: Replays::new(
            dead_letters.clone(),
            alerting.decisions.database().clone(),
            ingest.pipeline.clone(),
            Arc::clone(&intake),
            wall_clock,
        ),
        access,
        http_counters: HttpCounters::new()?,
        durations: Durations::new()?,
        body_budget: BodyBudget::new(config.server.body_memory.as_usize()),
        changes: Changes::follow(reader.clone(), &alerting, &desk),
        publication,
        public_late,
        audits_queries: config.audit.queries,
        reader,
        surfaces,
        intake,
        sql,
        alerting,
        desk,
        dead_letters,
        dead_letter_lists: Lists::default(),
        tiles: TileCaches::new(config.edge.bounds),
        pipeline: ingest.pipeline,
        kafka: sources.kafka,
        journal: sources.journal,
        retention: checked.grid.retention.days,
        clock: wall_clock,
        stopping: AtomicBool::new(false),
        checkpointed: Arc::clone(&durable.checkpointed),
    });
    // It must not keep alive what it is a part of.
    let (watched, asked, seen) = (Arc::downgrade(&app), Arc::downgrade(&app), Arc::downgrade(&app));
    app.alerting.watch(Sight {
        is_caught_up: Box::new(move |snapshot| {
            watched.upgrade().is_some_and(|app| app.is_caught_up(snapshot))
        }),
        patience: config.grid.allowed_lateness.0 + config.grid.idle_after.0,
        ask: Box::new(move |request, snapshot| {
            let app = asked.upgrade();
            Box::pin(async move {
                let app = app.ok_or(SqlError::Cancelled)?;
                let publication = app.publication.load_full();
                let tables = sql_tables::of(&app, (&snapshot, &publication), &request.asker);
                app.sql.ask(request, tables).await
            })
        }),
        surface: Box::new(move |permission| {
            let app = seen.upgrade()?;
            Some(permission.map_or_else(
                || app.surfaces.newest(),
                |permission| app.surfaces.seen_by(permission),
            ))
        }),
    });
    Ok(app)
}

/// Listens, and serves the routes; the address.
pub(super) async fn start(
    checked: &Checked,
    folder: &Path,
    (options, open_files): (ServerOptions, u64),
    app: &Arc<App>,
    started: &mut Started,
) -> Result<SocketAddr, StartError> {
    let server = &checked.config.server;
    let listen = |error| StartError::Listen {
        address: server.listen,
        error,
    };
    let seconds = || wall_clock().micros().div_euclid(1_000_000);
    let tls = server
        .tls
        .settings(folder)?
        .map(|settings| Tls::open(settings, seconds()))
        .transpose()?;
    if let Some(tls) = &tls {
        started.push_task("certificate", tokio::spawn(tls.clone().keep_renewed(seconds)));
    }
    let listener = TcpListener::bind(server.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let page = console::routes(console_settings(&checked.config, folder, options.base_map)?);
    let router = axum::Router::new().merge(routes::all(app)).merge(page);
    let bodies = Bodies {
        largest: server.max_body.as_usize(),
        // A text in JSON may be twice as long as it is.
        largest_statement: 2 * SqlLimits::default().statement_bytes,
        pause: server.body_pause.0,
        whole: server.body_timeout.0,
        budget: Arc::clone(&app.body_budget),
        counters: app.http_counters.clone(),
    };
    let router = guard::protect(
        router,
        server,
        address,
        Arc::clone(&app.access),
        bodies,
        app.durations.clone(),
    )?;
    let connections = Connections::new(
        connections_within(open_files, server.max_connections),
        app.http_counters.clone(),
    );
    let settings = ConnectionSettings {
        header_timeout: server.header_timeout.0,
        write_timeout: server.write_timeout.0,
    };
    let (stop, stopped) = watch::channel(false);
    let mut serving = tokio::spawn(serve(listener, tls, router, connections, settings, stopped));
    let app = Arc::clone(app);
    started.push("http", async move {
        app.stopping.store(true, Ordering::Relaxed);
        stop.send_replace(true);
        if tokio::time::timeout(DRAIN, &mut serving).await.is_err() {
            serving.abort();
        }
        Ok(())
    });
    let places = &checked.places;
    tracing::info!(
        %address,
        areas = places.areas.areas().len(),
        facilities = places.facilities.facilities().len(),
        "serving"
    );
    Ok(address)
}

fn sql_limits(config: &Config) -> SqlLimits {
    let mut limits = SqlLimits {
        memory_bytes: config.sql.memory.as_usize(),
        query_memory_bytes: config.sql.query_memory.as_usize(),
        timeout: config.sql.timeout.0,
        longest_timeout: config.sql.longest_timeout.0,
        max_waiting: config.sql.max_waiting,
        roles: config.sql.roles.overrides(),
        spill: (config.sql.spill.0 > 0).then(|| Spill {
            folder: config.storage.data_dir.join("spill"),
            bytes: config.sql.spill.0,
        }),
        ..SqlLimits::default()
    };
    if let Some(most) = std::num::NonZeroUsize::new(config.sql.max_concurrent) {
        limits.max_concurrent = most;
    }
    limits
}

fn console_settings(
    config: &Config,
    folder: &Path,
    base_map: Option<String>,
) -> Result<ConsoleSettings, StartError> {
    let console = &config.console;
    let base_map = match (&console.base_map, base_map) {
        (_, Some(text)) => Some(text.into_bytes()),
        (Some(path), None) => {
            let path = folder.join(path);
            Some(std::fs::read(&path).map_err(|error| StartError::BaseMap { path, error })?)
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
