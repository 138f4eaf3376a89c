//! Numbers of the decisions database for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Decisions, DecisionsError};
use crate::database::read_from_row;

/// Counted since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Alerts that did not begin because their rule has as many open as it may.
    pub refused_by_rule: AtomicU64,
    /// Alerts that did not begin because all rules together have as many open as they may.
    pub refused_by_all: AtomicU64,
    /// Alerts that began.
    pub began: AtomicU64,
    /// Alerts that ended.
    pub ended: AtomicU64,
    /// Ended alerts that were forgotten.
    pub forgotten_alerts: AtomicU64,
    /// Deliveries that were forgotten.
    pub forgotten_deliveries: AtomicU64,
    /// Attempts after which the receiver had the message.
    pub attempts_delivered: AtomicU64,
    /// Attempts after which it had not.
    pub attempts_failed: AtomicU64,
}

impl Tally {
    pub(super) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// What the outbox and the tables hold now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Rules.
    pub rules: u64,
    /// Alerts that are not resolved.
    pub open: u64,
    /// Alerts that are.
    pub ended: u64,
    /// Incidents of which something is active.
    pub incidents: u64,
    /// Open alerts of which nobody is told yet.
    pub alerts_held: u64,
    /// Deliveries that still gather changes.
    pub gathering: u64,
    /// Deliveries not tried yet.
    pub pending: u64,
    /// Deliveries tried in vain, to be tried again.
    pub failed: u64,
    /// Deliveries given up.
    pub dead: u64,
    /// When the oldest delivery that is still to be made was decided, µs.
    pub oldest_pending: Option<i64>,
}

struct Waiting {
    number: i64,
    failed: i64,
    oldest: Option<i64>,
}

read_from_row!(Waiting {
    number,
    failed,
    oldest
});

impl Decisions {
    /// Counted since the start.
    pub fn tally(&self) -> &Tally {
        &self.inner.tally
    }

    /// What there is now.
    pub async fn held(&self) -> Result<Held, DecisionsError> {
        let waiting: Waiting = sqlx::query_as(
            "SELECT COUNT(*) AS number,
                CAST(COALESCE(SUM(CASE WHEN attempts > 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS failed,
                MIN(created_at) AS oldest FROM deliveries WHERE state = 'pending'",
        )
        .fetch_one(self.readers())
        .await?;
        let count = async |sql: &'static str| -> Result<u64, DecisionsError> {
            let count: i64 = sqlx::query_scalar(sql).fetch_one(self.readers()).await?;
            Ok(count.cast_unsigned())
        };
        let dead = count("SELECT COUNT(*) FROM deliveries WHERE state = 'dead'").await?;
        let rules = count("SELECT COUNT(*) FROM rules").await?;
        let gathering = count("SELECT COUNT(*) FROM deliveries WHERE state = 'open'").await?;
        let incidents = count("SELECT COUNT(*) FROM incidents WHERE state = 'open'").await?;
        let alerts_held = count("SELECT COUNT(*) FROM transitions WHERE notify = 'held'").await?;
        let census = self.census();
        Ok(Held {
            rules,
            open: census.open,
            ended: census.ended,
            incidents,
            alerts_held,
            gathering,
            pending: (waiting.number - waiting.failed).cast_unsigned(),
            failed: waiting.failed.cast_unsigned(),
            dead,
            oldest_pending: waiting.oldest,
        })
    }
}
