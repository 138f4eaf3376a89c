//! Forgetting what has ended: in pieces, each a transaction of its own, so that nobody waits long for the database.

use std::time::Duration;

use super::incidents::forget_incidents;
use super::{Decisions, DecisionsError, PIECE, Tally};
use crate::database::Connection;

/// How long a deleted rule is remembered after its last alert was ended: an evaluator that has not heard of the deletion
/// yet begins nothing for it.
const DELETED_RULES_KEPT: Duration = Duration::from_hours(1);

/// How long, or how many, of what has ended is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Alerts that have ended, with their transitions; silences that have.
    pub ended_alerts: Duration,
    /// Most of them; the oldest go first.
    pub max_ended_alerts: u64,
    /// Deliveries that were delivered, of alerts that are not open, with their attempts.
    pub delivered: Duration,
    /// Deliveries that were given up, with their attempts.
    pub dead: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        let day = Duration::from_hours(24);
        Self {
            ended_alerts: 90 * day,
            max_ended_alerts: 1_000_000,
            delivered: 30 * day,
            dead: 30 * day,
        }
    }
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Alerts.
    pub alerts: u64,
    /// Deliveries.
    pub deliveries: u64,
}

impl Decisions {
    /// Forgets what has been kept for long enough at `now` (wall clock, µs), piece by piece.
    pub async fn forget_old(&self, keep: &Keep, now: i64) -> Result<Forgotten, DecisionsError> {
        let before = |age: Duration| now.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        let mut forgotten = Forgotten::default();
        self.see_what_ended(now).await?;
        self.note_silences(now).await?;
        loop {
            let over = self.census().ended.saturating_sub(keep.max_ended_alerts);
            let over = i64::try_from(over).unwrap_or(i64::MAX).min(PIECE);
            let gone = self.forget_alerts(before(keep.ended_alerts), over).await?;
            forgotten.alerts += gone;
            if gone == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        for (state, before) in [("delivered", before(keep.delivered)), ("dead", before(keep.dead))] {
            loop {
                let gone = self.forget_deliveries(state, before).await?;
                forgotten.deliveries += gone;
                if gone == 0 {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        forgotten.deliveries += self.forget_deleted_webhooks().await?;
        self.forget_deleted_rules(before(DELETED_RULES_KEPT)).await?;
        self.forget_silences(before(keep.ended_alerts)).await?;
        self.forget_incidents(before(keep.ended_alerts)).await?;
        let tally = self.tally();
        Tally::add(&tally.forgotten_alerts, forgotten.alerts);
        Tally::add(&tally.forgotten_deliveries, forgotten.deliveries);
        Ok(forgotten)
    }

    /// Notes what ended since the last look, and what an older riskgrid ended.
    async fn see_what_ended(&self, now: i64) -> Result<(), DecisionsError> {
        for sql in [
            "UPDATE alerts SET ended_seen_at = $1 WHERE id IN
                (SELECT id FROM alerts WHERE resolved_at IS NOT NULL AND ended_seen_at IS NULL LIMIT $2)",
            "UPDATE deliveries SET settled_at = $1 WHERE id IN
                (SELECT id FROM deliveries WHERE state = 'delivered' AND settled_at IS NULL LIMIT $2)",
            "UPDATE deliveries SET settled_at = $1 WHERE id IN
                (SELECT id FROM deliveries WHERE state = 'dead' AND settled_at IS NULL LIMIT $2)",
        ] {
            loop {
                let mut transaction = self.begin().await?;
                let seen = sqlx::query(sql)
                    .bind(now)
                    .bind(PIECE)
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
                if seen.rows_affected() == 0 {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// One piece of the alerts that ended before `before`, or of the oldest `over`.
    async fn forget_alerts(&self, before: i64, over: i64) -> Result<u64, DecisionsError> {
        let mut transaction = self.begin().await?;
        let old: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM alerts WHERE resolved_at IS NOT NULL AND ended_seen_at < $1
                ORDER BY ended_seen_at, fired_at LIMIT $2",
        )
        .bind(before)
        .bind(PIECE)
        .fetch_all(&mut *transaction)
        .await?;
        let old = if old.is_empty() && over > 0 {
            sqlx::query_scalar(
                "SELECT id FROM alerts WHERE resolved_at IS NOT NULL ORDER BY ended_seen_at, fired_at LIMIT $1",
            )
            .bind(over)
            .fetch_all(&mut *transaction)
            .await?
        } else {
            old
        };
        for id in &old {
            for sql in [
                "DELETE FROM transitions WHERE alert = $1",
                "DELETE FROM alerts_told WHERE alert = $1",
                "DELETE FROM alerts WHERE id = $1",
            ] {
                sqlx::query(sql).bind(id).execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        let mut census = self.census();
        census.ended = census.ended.saturating_sub(old.len() as u64);
        Ok(old.len() as u64)
    }

    /// One piece of the deliveries that have been in a state since before `before`. Those of open alerts stay: they say
    /// who was told.
    async fn forget_deliveries(&self, state: &str, before: i64) -> Result<u64, DecisionsError> {
        let mut transaction = self.begin().await?;
        let old: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM deliveries WHERE state = $1 AND settled_at < $2 AND NOT EXISTS
                (SELECT 1 FROM alerts WHERE alerts.id = deliveries.alert AND alerts.resolved_at IS NULL) LIMIT $3",
        )
        .bind(state)
        .bind(before)
        .bind(PIECE)
        .fetch_all(&mut *transaction)
        .await?;
        delete_deliveries(&mut transaction, &old).await?;
        transaction.commit().await?;
        Ok(old.len() as u64)
    }

    /// The deliveries of webhooks that are deleted.
    async fn forget_deleted_webhooks(&self) -> Result<u64, DecisionsError> {
        let mut forgotten = 0;
        loop {
            let mut transaction = self.begin().await?;
            let old: Vec<String> = sqlx::query_scalar(
                "SELECT deliveries.id FROM webhooks_deleted JOIN deliveries ON deliveries.webhook = webhooks_deleted.id
                    LIMIT $1",
            )
            .bind(PIECE)
            .fetch_all(&mut *transaction)
            .await?;
            delete_deliveries(&mut transaction, &old).await?;
            if old.is_empty() {
                for sql in [
                    "DELETE FROM alerts_told WHERE webhook IN (SELECT id FROM webhooks_deleted)",
                    "DELETE FROM incident_notices WHERE webhook IN (SELECT id FROM webhooks_deleted)",
                    "DELETE FROM webhooks_deleted",
                ] {
                    sqlx::query(sql).execute(&mut *transaction).await?;
                }
            }
            transaction.commit().await?;
            if old.is_empty() {
                return Ok(forgotten);
            }
            forgotten += old.len() as u64;
            tokio::task::yield_now().await;
        }
    }

    async fn forget_silences(&self, before: i64) -> Result<(), DecisionsError> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM silences WHERE ends_at < $1")
            .bind(before)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn forget_incidents(&self, before: i64) -> Result<(), DecisionsError> {
        loop {
            let mut transaction = self.begin().await?;
            let gone = forget_incidents(&mut transaction, before).await?;
            transaction.commit().await?;
            if gone == 0 {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    async fn forget_deleted_rules(&self, before: i64) -> Result<(), DecisionsError> {
        loop {
            let mut transaction = self.begin().await?;
            let gone = sqlx::query(
                "DELETE FROM rule_instances WHERE (rule_id, instance) IN
                    (SELECT rule_id, instance FROM rule_instances WHERE rule_id IN (SELECT id FROM rules_deleted) LIMIT $1)",
            )
            .bind(PIECE)
            .execute(&mut *transaction)
            .await?;
            if gone.rows_affected() == 0 {
                sqlx::query(
                    "DELETE FROM rules_deleted WHERE deleted_at < $1 AND NOT EXISTS (SELECT 1 FROM alerts
                        WHERE alerts.rule_id = rules_deleted.id AND alerts.resolved_at IS NULL)",
                )
                .bind(before)
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await?;
            if gone.rows_affected() == 0 {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn delete_deliveries(connection: &mut Connection, ids: &[String]) -> Result<(), DecisionsError> {
    for id in ids {
        for sql in [
            "DELETE FROM attempts WHERE delivery = $1",
            "DELETE FROM delivery_changes WHERE delivery = (SELECT seq FROM deliveries WHERE id = $1)",
            "DELETE FROM deliveries WHERE id = $1",
        ] {
            sqlx::query(sql).bind(id).execute(&mut *connection).await?;
        }
    }
    Ok(())
}
