//! Decisions: rules, alerts with their transitions, webhooks, and the outbox of what is still to be told.
//!
//! What belongs together is one transaction: an alert, its transition and the outbox rows of its webhooks are there
//! together or not at all, so a crash loses nothing and tells nothing twice under two ids.

mod acknowledge;
mod alerts;
mod bounds;
mod cells;
mod endpoints;
mod error;
mod forget;
mod hold;
mod ids;
mod lines;
mod notice;
mod outbox;
mod record;
mod rules;
mod silences;
mod tally;
mod versions;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use riskgrid_ingest::NoRoom;
use riskgrid_ingest::places::Places;

pub use acknowledge::Terms;
pub use alerts::{Alert, AlertPage, AlertQuery, AlertState, PublicAlert, rfc3339};
use bounds::Census;
pub use bounds::{Bounds, MAX_WEBHOOKS, RULE_FULL};
pub use cells::CellState;
pub use error::DecisionsError;
pub use forget::{Forgotten, Keep};
pub use ids::{random_hex, webhook_id};
pub use lines::{AlertLine, Bound, Conditions, LinePlace};
pub use outbox::{AttemptRow, Delivery, DeliveryRow, DeliveryState};
pub use record::{Notify, Recorded};
pub use rules::ENDED_AT_ONCE;
pub use silences::{MAX_SILENCES, Preview, SilencePlace, StoredSilence};
pub use tally::{Held, Tally};
pub use versions::Versioned;

use crate::database::{Database, Pool, Transaction};

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
            }),
        };
        let census = Census::take(&decisions).await?;
        *decisions.census() = census;
        Ok(decisions)
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

    /// The areas that silences name.
    pub fn places(&self) -> &Places {
        &self.inner.places
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
mod life_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
