//! What is done now and then beside everything else: what is old is forgotten.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::source::journal::Journal;

use super::durable::Durable;
use super::wall_clock;

/// How often old journal entries are looked for.
const EVERY: Duration = Duration::from_mins(1);
/// How often all of those dead letters are gone through.
const RAW_EXPIRY: Duration = Duration::from_hours(1);

/// What it keeps in order.
pub(super) struct Upkeep {
    /// The embedded log, when there is one.
    pub(super) journal: Option<Journal>,
    /// How far checkpoints cover it.
    pub(super) durable: Arc<Durable>,
    /// How long entries are kept that they cover.
    pub(super) retention: Duration,
    /// Refused records.
    pub(super) dead_letters: DeadLetterStore,
}

impl Upkeep {
    /// Looks until it is told to end.
    pub(super) async fn run(self) {
        let retention = i64::try_from(self.retention.as_micros()).unwrap_or(i64::MAX);
        let mut ticks = tokio::time::interval(EVERY);
        let mut next_raw_expiry = Instant::now();
        loop {
            ticks.tick().await;
            let (journal, dead_letters) = (self.journal.clone(), self.dead_letters.clone());
            let offset = self.durable.journal.load(Ordering::Relaxed);
            let now = wall_clock();
            let expire_raw = Instant::now() >= next_raw_expiry || dead_letters.has_grown();
            if expire_raw {
                next_raw_expiry = Instant::now() + RAW_EXPIRY;
            }
            let swept = tokio::task::spawn_blocking(move || {
                if let Some(Err(error)) = journal.map(|journal| journal.expire(offset, now.plus(-retention)))
                {
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
}
