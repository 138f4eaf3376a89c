//! Alerts of rules that say `case = true` become cases: one for each episode, whatever crashes in between.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use crate::alerts::Alerting;
use crate::hotline::desk::{AlertSeen, Desk};
use crate::hotline::store::StoreError;
use crate::problem::Problem;

/// Alerts of one look.
const AT_ONCE: i64 = 100;
/// When to look again after the database refused.
const TRY_AGAIN: Duration = Duration::from_secs(2);

impl Desk {
    /// Makes cases of alerts that have none: how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_alerts(&self) -> Result<usize, Problem> {
        let mut reader = self.reader().await?;
        // A stored rule is written by riskgrid itself, in this form.
        let alerts: Vec<AlertSeen> = sqlx::query_as(
            "SELECT alerts.id, alerts.layer, alerts.severity, alerts.cell, alerts.fired_at FROM rules
                JOIN alerts ON alerts.rule_id = rules.id
              WHERE rules.body LIKE $1 AND NOT EXISTS
                (SELECT 1 FROM cases WHERE cases.source = $2 AND cases.report = alerts.id)
              ORDER BY alerts.fired_at, alerts.id LIMIT $3",
        )
        .bind("%\"case\":true%")
        .bind(crate::hotline::desk::ALERT_SOURCE)
        .bind(AT_ONCE)
        .fetch_all(&mut *reader)
        .await
        .map_err(StoreError::from)?;
        drop(reader);
        self.make_alert_cases(&alerts).await?;
        Ok(alerts.len())
    }

    /// Does so as alerts begin, and with those that an earlier process left, until the runtime ends.
    pub async fn keep_taking_alerts(self: Arc<Self>, alerting: Arc<Alerting>) {
        let mut changes = alerting.changes.subscribe();
        loop {
            match self.take_alerts().await {
                Ok(taken) if taken == AT_ONCE as usize => continue,
                Ok(_) => {}
                Err(problem) => {
                    tracing::warn!(why = problem.detail(), "alerts become cases later");
                    tokio::time::sleep(TRY_AGAIN).await;
                    continue;
                }
            }
            if matches!(changes.recv().await, Err(RecvError::Closed)) {
                return;
            }
        }
    }
}
