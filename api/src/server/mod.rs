//! The server as one thing: a list of stages, each of which stands on those before it, and which end in the opposite
//! order.

mod access;
mod alerting;
mod durable;
mod error;
mod hotline;
mod http;
mod ingest;
mod lost_journal;
mod publication;
mod readers;
mod risk;
mod sources;
mod started;
mod state;
mod upkeep;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use riskgrid_ingest::EventTime;

use self::http::Below;
use self::started::Started;
use self::upkeep::Upkeep;
use crate::app::App;
use crate::config::Checked;
use crate::http::raise_open_files;

pub use self::error::{StartError, StopError};
pub use self::lost_journal::LostJournal;

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
    speaks_tls: bool,
    app: Arc<App>,
    started: Started,
}

/// The wall clock: the one place that reads it for the whole server.
pub fn wall_clock() -> EventTime {
    EventTime::from(chrono::Utc::now())
}

impl Server {
    /// Starts everything; returns when requests are answered.
    ///
    /// # Errors
    /// State that cannot be opened or used, an address that is taken: nothing is overwritten, and what had started by
    /// then has ended.
    pub async fn start(checked: Checked, folder: &Path, options: ServerOptions) -> Result<Self, StartError> {
        let mut started = Started::default();
        match start_stages(&checked, folder, options, &mut started).await {
            Ok((address, app)) => Ok(Self {
                address,
                speaks_tls: checked.config.server.tls.is_on(),
                app,
                started,
            }),
            Err(error) => {
                if let Err(other) = started.stop().await {
                    tracing::error!(error = %other, "a start that was refused did not end well");
                }
                Err(error)
            }
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is asked: with its scheme.
    pub fn url(&self) -> String {
        let scheme = if self.speaks_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
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
    pub async fn stop(self) -> Result<(), StopError> {
        self.started.stop().await
    }
}

/// The stages, in the order in which they need each other.
async fn start_stages(
    checked: &Checked,
    folder: &Path,
    options: ServerOptions,
    started: &mut Started,
) -> Result<(SocketAddr, Arc<App>), StartError> {
    // Before anything opens some.
    let open_files = raise_open_files();
    let state = state::open(checked, started).await?;
    let (node, dead_letters, decisions) = (
        state.node.clone(),
        state.dead_letters.clone(),
        state.decisions.clone(),
    );
    let access = access::start(checked, folder, &state, started).await?;
    let alerting = alerting::start(checked, &state, started).await?;
    let desk = hotline::open(checked, folder, &state, &alerting, started).await?;
    let publications = publication::open(checked, &state).await?;
    let publisher = ingest::grid(checked, &state);
    let reader = publisher.reader();
    let durable = durable::start(started);
    alerting::follow(checked, &alerting, reader.clone(), started);
    let ingest = ingest::start(checked, state, publisher, (&alerting, &desk), &durable, started).await?;
    let upkeep = Upkeep {
        journal: ingest.journal.clone(),
        durable: Arc::clone(&durable),
        retention: checked.config.storage.journal_retention.0,
        dead_letters: dead_letters.clone(),
    };
    started.push_task("upkeep", tokio::spawn(upkeep.run()));
    let reading = (folder, &options);
    let sources = sources::start(checked, reading, &node, &ingest, &durable, started)?;
    let surfaces = risk::start(checked, alerting.decisions.clone(), reader.clone(), started);
    access::note_start(&checked.config, decisions.database()).await;
    let app = http::share(
        checked,
        Below {
            access,
            reader,
            surfaces,
            alerting,
            desk,
            dead_letters,
            durable,
            ingest,
            sources,
            publication: publications.published(),
            public_late: publications.late_total(),
        },
    )?;
    hotline::follow(&app, started);
    publication::follow(publications, &app, started).await;
    let address = http::start(checked, folder, (options, open_files), &app, started).await?;
    Ok((address, app))
}

/// Does what waits for a disk or an object store beside the threads that serve requests.
async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work).await?
}
