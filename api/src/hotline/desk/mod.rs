//! The desk: what is done to cases. A request, an event of the log or a time that came begins one transaction, in which the case,
//! its move, its clocks and what is to be told of them are written together.
//!
//! | what | where |
//! |---|---|
//! | who works, what a request says | `who.rs`, `body.rs` |
//! | a transaction, and what is told after it | `work.rs` |
//! | making cases; moving them; splitting some off | `posted.rs`, `answers.rs`, `making.rs`, `moving.rs`, `effects.rs`, `splitting.rs` |
//! | the events that tell the grid of them | `case_events.rs` |
//! | their clocks | `timing.rs`, `clocks.rs`, `steps.rs` |
//! | where they are, and which may be the same | `place.rs`, `duplicates.rs` |
//! | whether a hotspot was solved | `hotspot.rs` |
//! | how offices did in a month | `units.rs`, `assessing.rs` |
//! | duty, rules and calendars in force | `data.rs` |
//! | answers that are given once | `once.rs` |

mod answers;
mod assessing;
mod assigning;
mod body;
mod breach;
mod case_events;
mod clocks;
mod contact;
mod data;
mod due;
mod duplicates;
mod effects;
mod geocode;
mod hotspot;
mod layers;
mod making;
mod moving;
mod once;
mod place;
mod posted;
mod preview;
mod putting;
mod rating;
mod reported;
mod settings;
mod shown;
mod splitting;
mod steps;
mod timing;
mod units;
mod who;
mod work;

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;
use riskgrid_ingest::SourceKey;
use riskgrid_ingest::places::Places;
use serde_json::Value;
use tokio::sync::{Notify, broadcast};

pub use answers::answers_of;
pub use assessing::SeenMonth;
pub use body::{LONGEST_REASON, LONGEST_TEXT, MoveBody, check_text, members};
pub use breach::Risks;
pub use contact::{NotForgotten, SoOften};
pub use data::{DatumName, HotlineData};
pub use geocode::KnownPlace;
pub use layers::{CaseLayer, CaseLayers};
pub use making::{Made, OPEN311_SOURCE, is_posted};
pub use moving::{MoveRequest, Moved};
pub use once::{Once, read_key};
pub use place::{PLACE_MEMBERS, Placed};
pub use posted::{NewCase, PostedCase};
pub use reported::{ALERT_SOURCE, AlertSeen};
pub use settings::Settings;
pub use shown::{shown_clock, shown_move};
pub use who::Officer;
pub use work::Actor;

use crate::alerts::Alerting;
use crate::alerts::delivery::Clock;
use crate::database::Database;
use crate::hotline::contacts::Contacts;
use crate::hotline::key_lines::KeyLines;
use crate::hotline::store::{CaseRow, StoreError};
use crate::intake::Intake;

/// Changes that a slow follower may be behind.
const CHANGES_KEPT: usize = 1_024;

/// All that works on cases shares this.
pub struct Desk {
    /// Where they are stored.
    pub database: Database,
    /// What the configuration says of it.
    pub settings: Settings,
    /// The layers with cases.
    pub layers: CaseLayers,
    /// Areas.
    pub places: Arc<Places>,
    /// Each change, as it is then.
    pub changes: broadcast::Sender<Arc<CaseChange>>,
    /// The wall clock.
    pub clock: Clock,
    /// Whom to call back.
    pub contacts: Contacts,
    /// How often somebody looks at that.
    pub reveals: SoOften,
    /// How often answers come from an address.
    pub ratings: SoOften,
    /// Make and check rating links.
    pub(crate) rating_keys: KeyLines,
    /// What it did since the start.
    pub counts: Counts,
    /// Wakes who puts events of cases into the log.
    pub events_wait: Notify,
    /// When something came that was another system's past, microseconds.
    past_came_at: AtomicI64,
    alerting: Arc<Alerting>,
    data: ArcSwap<HotlineData>,
    reporter_key: SourceKey,
    /// Where events become durable, once that is open.
    log: OnceLock<Arc<Intake>>,
    /// Held while a version is put in force.
    putting: tokio::sync::Mutex<()>,
    running: Mutex<std::collections::HashSet<(String, String)>>,
}

/// What was done to cases since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Rows of moves, the first of each case too.
    pub moves: AtomicU64,
    /// Cards that turned yellow.
    pub yellow: AtomicU64,
    /// Cards that turned red, and what was told after it.
    pub red: AtomicU64,
    /// Events of cases that were not in the log at the last look.
    pub events_waiting: AtomicU64,
}

/// Something that followers are told.
#[derive(Clone, Debug)]
pub struct CaseChange {
    /// `case` or `card`.
    pub name: &'static str,
    /// The case's layer.
    pub layer: String,
    /// Where it is.
    pub position: Option<[f64; 2]>,
    /// What is told.
    pub data: Value,
}

impl CaseChange {
    fn of(name: &'static str, case: &CaseRow, data: Value) -> Self {
        Self {
            name,
            layer: case.layer.clone(),
            position: case.position(),
            data,
        }
    }
}

impl Desk {
    /// Opens it: the data in force are read.
    ///
    /// # Errors
    /// The database's; data that cannot be read any more.
    pub async fn open(
        alerting: Arc<Alerting>,
        settings: Settings,
        layers: CaseLayers,
        places: Arc<Places>,
        reporter_key: SourceKey,
        contacts: Contacts,
        rating_keys: KeyLines,
    ) -> Result<Arc<Self>, StoreError> {
        let database = alerting.decisions.database().clone();
        let data = HotlineData::read(&database, &settings).await?;
        Ok(Arc::new(Self {
            clock: Arc::clone(&alerting.clock),
            database,
            settings,
            layers,
            places,
            changes: broadcast::Sender::new(CHANGES_KEPT),
            contacts,
            counts: Counts::default(),
            reveals: SoOften::reveals(),
            ratings: SoOften::ratings(),
            rating_keys,
            events_wait: Notify::new(),
            // Whatever an earlier process had begun to read comes first.
            past_came_at: AtomicI64::new((alerting.clock)()),
            alerting,
            data: ArcSwap::from_pointee(data),
            reporter_key,
            log: OnceLock::new(),
            putting: tokio::sync::Mutex::default(),
            running: Mutex::default(),
        }))
    }

    /// Duty, rules and calendars in force.
    pub fn data(&self) -> Arc<HotlineData> {
        self.data.load_full()
    }

    /// A connection that only reads.
    ///
    /// # Errors
    /// The database's.
    pub async fn reader(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Any>, StoreError> {
        Ok(self.database.readers().acquire().await?)
    }

    /// From now on events of cases go there.
    pub fn log_to(&self, intake: Arc<Intake>) {
        // Set once, at the start.
        let _ = self.log.set(intake);
        self.events_wait.notify_one();
    }

    pub(crate) fn log(&self) -> Option<&Arc<Intake>> {
        self.log.get()
    }

    fn wake_deliveries(&self) {
        self.alerting.deliveries.wake();
    }
}
