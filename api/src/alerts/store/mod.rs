//! Decisions: rules, alerts with their transitions, webhooks, and the outbox of what is still to be told.
//!
//! What belongs together is one transaction: an alert, its transition and the outbox rows of its webhooks are there
//! together or not at all, so a crash loses nothing and tells nothing twice under two ids.

mod acknowledge;
mod alerts;
mod bounds;
mod circumstances;
mod deliveries;
mod endpoints;
mod error;
mod forget;
mod grouping;
mod hold;
mod ids;
mod incidents;
mod inhibit;
mod instances;
mod lines;
mod members;
mod message;
mod modes;
mod noise;
mod notice;
mod outbox;
mod record;
mod replay;
mod revise;
mod rules;
mod sealing;
mod silences;
mod tally;
mod telling;
mod transitions;
mod updates;
mod versions;
mod wanted;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use h3o::{CellIndex, LatLng};
use riskgrid_analytics::incidents::Cover;
use riskgrid_ingest::grid::{GridReader, GridSnapshot};
use riskgrid_ingest::places::Places;
use riskgrid_ingest::{LIVE_DOMAIN, NoRoom};

pub use acknowledge::Terms;
pub use alerts::{Alert, AlertPage, AlertState, PublicAlert, rfc3339};
use bounds::Census;
pub use bounds::{Bounds, MAX_WEBHOOKS, RULE_FAILING, RULE_FULL};
pub use circumstances::Lasted;
pub use deliveries::{AttemptRow, DeliveryQuery, DeliveryRow};
pub use error::DecisionsError;
pub use forget::{Forgotten, Keep};
pub use grouping::Pauses;
pub use ids::{random_hex, webhook_id};
use incidents::Gathered;
pub use incidents::{
    Incident, IncidentPlace, IncidentQuery, IncidentReader, IncidentSettings, IncidentState, LineageRow,
    NearBy,
};
pub use instances::{RuleProgress, RuleState};
pub use lines::{AlertLine, LinePlace};
pub use members::MemberAlert;
use modes::Emergencies;
pub use modes::Mode;
pub use noise::NoiseSettings;
pub use outbox::{Delivery, DeliveryState, DueEndpoint};
pub use record::{Notify, Recorded};
pub use replay::Replay;
pub use revise::{RETRACTED, RerunEpisode, RuleRevision};
pub use rules::{Authorship, BY_HTTP, ENDED_AT_ONCE, RuleVersion, StoredRule, rules_of};
pub use silences::{MAX_SILENCES, Preview, SilencePlace, StoredSilence};
pub use tally::{Held, Tally};
pub use transitions::TransitionLine;
pub use versions::Versioned;
pub use wanted::AlertQuery;

use crate::database::{Database, Pool, Standing, Transaction};

/// Transitions older than this are recorded and wake nobody.
pub const MAX_NOTIFY_AGE: Duration = Duration::from_hours(1);

/// Rows that one transaction changes of what is many: a fraction of a second.
const PIECE: i64 = 500;

/// What is decided, in the decisions database. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Decisions {
    database: Database,
    inner: Arc<Inner>,
}

struct Inner {
    bounds: Bounds,
    census: Mutex<Census>,
    tally: Tally,
    places: Arc<Places>,
    incident_settings: IncidentSettings,
    gathered: Gathered,
    noise: NoiseSettings,
    emergencies: Emergencies,
    /// Alerts that ended: each may have kept others quiet.
    ends: AtomicU64,
    /// Tells of which domain a layer is, once the grid is there.
    grid: OnceLock<GridReader>,
}

impl Decisions {
    /// Opens or makes the database in `folder`. It holds no more than `bounds` allow.
    pub async fn open(folder: &Path, bounds: Bounds) -> Result<Self, DecisionsError> {
        Self::over(Database::open(folder).await?, bounds).await
    }

    /// Those in an open database, which is to hold no more than `bounds` allow.
    pub async fn over(database: Database, bounds: Bounds) -> Result<Self, DecisionsError> {
        let decisions = Self {
            database,
            inner: Arc::new(Inner {
                bounds,
                census: Mutex::default(),
                tally: Tally::default(),
                places: Arc::default(),
                incident_settings: IncidentSettings::default(),
                gathered: Gathered::default(),
                noise: NoiseSettings::default(),
                emergencies: Emergencies::default(),
                ends: AtomicU64::new(0),
                grid: OnceLock::new(),
            }),
        };
        let census = Census::take(&decisions).await?;
        *decisions.census() = census;
        Ok(decisions)
    }

    /// The same, whose transactions fail unless its lease is still held.
    #[must_use]
    pub fn under(&self, standing: Standing) -> Self {
        Self {
            database: self.database.under(standing),
            inner: Arc::clone(&self.inner),
        }
    }

    /// Counts anew what is open, where other nodes may have decided too.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_anew(&self) -> Result<(), DecisionsError> {
        if self.database.is_shared() {
            // Nobody decides meanwhile.
            let transaction = self.begin().await?;
            let census = Census::take(self).await?;
            *self.census() = census;
            transaction.rollback().await?;
        }
        Ok(())
    }

    /// Where they are stored, with keys, sessions and the audit.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// How much it may hold.
    pub fn bounds(&self) -> &Bounds {
        &self.inner.bounds
    }

    fn census(&self) -> MutexGuard<'_, Census> {
        self.inner.census.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, which knows the areas that silences name.
    #[must_use]
    pub fn among(mut self, places: Arc<Places>) -> Self {
        // Nobody has another copy yet.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.places = places;
        }
        self
    }

    /// The same, which gathers alerts in incidents so.
    #[must_use]
    pub fn gathering(mut self, settings: IncidentSettings) -> Self {
        // Nobody has another copy yet.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.incident_settings = settings;
        }
        self
    }

    /// The same, which keeps alerts quiet so.
    #[must_use]
    pub fn quietened(mut self, noise: NoiseSettings) -> Self {
        // Nobody has another copy yet.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.noise = noise;
        }
        self
    }

    fn noise(&self) -> &NoiseSettings {
        &self.inner.noise
    }

    fn pauses(&self) -> Pauses {
        self.inner.noise.pauses
    }

    fn public_url(&self) -> Option<&str> {
        self.inner.noise.public_url.as_deref()
    }

    /// Whether a mute is configured: then what it held may be free with every minute.
    pub fn has_mutes(&self) -> bool {
        !self.inner.noise.mutes.is_empty()
    }

    fn emergencies(&self) -> &Emergencies {
        &self.inner.emergencies
    }

    /// How many alerts ended since the start. With each of them what it kept quiet may be free.
    pub fn ends(&self) -> u64 {
        self.inner.ends.load(Ordering::Relaxed)
    }

    fn incident_settings(&self) -> &IncidentSettings {
        &self.inner.incident_settings
    }

    fn gathered(&self) -> &Gathered {
        &self.inner.gathered
    }

    /// From now on the domains of layers are those of this grid.
    pub fn watch_layers_of(&self, grid: GridReader) {
        // Set once, at the start.
        let _ = self.inner.grid.set(grid);
    }

    /// The domain of a layer, whose clock its alerts follow.
    fn domain_of(&self, layer: &str) -> String {
        let domain = self.snapshot().and_then(|snapshot| {
            let index = snapshot.layers.find(layer)?;
            Some(snapshot.layers.get(index)?.domain.clone())
        });
        domain.unwrap_or_else(|| LIVE_DOMAIN.to_owned())
    }

    fn snapshot(&self) -> Option<Arc<GridSnapshot>> {
        self.inner.grid.get().map(GridReader::snapshot)
    }

    /// Where an alert lies, as incidents see it.
    fn cover_of(&self, alert: &Alert) -> Cover {
        self.incident_settings()
            .cover_of(&alert.rule_id, alert.cell, self.places())
    }

    /// The areas that silences name.
    pub fn places(&self) -> &Arc<Places> {
        &self.inner.places
    }

    /// What the alerts of a rule are gathered in incidents by.
    pub fn group_of_rule<'a>(&'a self, rule: &'a riskgrid_analytics::rules::Rule) -> &'a str {
        let layer = rule.layer().unwrap_or_default();
        self.incident_settings()
            .group_of(rule.group.as_deref(), layer, &rule.id)
    }

    /// How many open alerts each rule has.
    pub fn open_by_rule(&self) -> std::collections::HashMap<String, u64> {
        self.census().of_rule.clone()
    }

    /// What an alert is gathered in incidents by.
    fn group_of<'a>(&'a self, transition: &'a riskgrid_analytics::rules::Transition) -> &'a str {
        let layer = transition.layer.as_deref().unwrap_or_default();
        let own = transition.group.as_deref();
        self.incident_settings().group_of(own, layer, &transition.rule_id)
    }

    /// The ids of the areas that hold the centre of a cell.
    fn areas_of(&self, cell: Option<u64>) -> Arc<[Arc<str>]> {
        let cell = cell.and_then(|cell| CellIndex::try_from(cell).ok());
        cell.map_or_else(Arc::default, |cell| {
            let centre = LatLng::from(cell);
            self.places().areas.ids_of([centre.lng(), centre.lat()])
        })
    }

    /// See [`Database::ask_for_room`].
    pub fn ask_for_room(&self) -> Result<(), NoRoom> {
        self.database.ask_for_room()
    }

    /// See [`Database::close`].
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// See [`Database::meta`].
    pub async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, DecisionsError> {
        Ok(self.database.meta(key).await?)
    }

    pub(crate) fn readers(&self) -> &Pool {
        self.database.readers()
    }

    pub(crate) async fn begin(&self) -> Result<Transaction, DecisionsError> {
        Ok(self.database.begin().await?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod bounds_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod late_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod life_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod noise_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
