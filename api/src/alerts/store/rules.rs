//! Rules as they are stored: made and deleted whole, never changed.

use std::sync::Arc;

use riskgrid_analytics::rules::Rule;
use serde_json::json;

use super::record::Recorded;
use super::versions::{Versioned, expect_version};
use super::{Decisions, DecisionsError};
use crate::audit::{Deed, append};

/// Alerts that are ended in one transaction: a fraction of a second.
pub const ENDED_AT_ONCE: u32 = 200;

impl Decisions {
    /// Stores a new rule, as somebody's deed.
    ///
    /// # Errors
    /// [`DecisionsError::NameTaken`], [`DecisionsError::UnknownWebhook`], or the database's.
    pub async fn create_rule(&self, rule: &Rule, now: i64, deed: &Deed) -> Result<(), DecisionsError> {
        let body = serde_json::to_string(rule).map_err(|error| DecisionsError::unreadable("rule", &error))?;
        let mut transaction = self.begin().await?;
        let rules: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM rules")
            .fetch_one(&mut *transaction)
            .await?;
        if rules.cast_unsigned() >= self.bounds().rules {
            return Err(DecisionsError::TooMany {
                what: "rules",
                most: self.bounds().rules,
                remedy: "delete some, or raise `alerts.max_rules`",
            });
        }
        for name in &rule.webhooks {
            let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM webhooks WHERE name = $1")
                .bind(name)
                .fetch_optional(&mut *transaction)
                .await?;
            if known.is_none() {
                return Err(DecisionsError::UnknownWebhook { name: name.clone() });
            }
        }
        let insert = sqlx::query("INSERT INTO rules (id, name, body, created_at) VALUES ($1, $2, $3, $4)")
            .bind(&rule.id)
            .bind(&rule.name)
            .bind(body)
            .bind(now)
            .execute(&mut *transaction)
            .await;
        match insert {
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                return Err(DecisionsError::NameTaken {
                    kind: "rule",
                    name: rule.name.clone(),
                });
            }
            other => other?,
        };
        let deed = deed.clone().to(&rule.id).with(json!({"name": rule.name}));
        append(&mut transaction, &deed, now).await?;
        Ok(transaction.commit().await?)
    }

    /// All rules, oldest first.
    pub async fn rules(&self) -> Result<Arc<[Rule]>, DecisionsError> {
        let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM rules ORDER BY created_at, id")
            .fetch_all(self.readers())
            .await?;
        bodies.iter().map(|body| read_rule(body)).collect()
    }

    /// One rule.
    pub async fn rule(&self, id: &str) -> Result<Option<Rule>, DecisionsError> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM rules WHERE id = $1")
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        body.as_deref().map(read_rule).transpose()
    }

    /// Deletes a rule: nothing begins for it any more. Its open alerts are ended piece by piece, by
    /// [`end_alerts_of_deleted_rules`](Self::end_alerts_of_deleted_rules): a piece of them by this call, whose outcome it
    /// answers. `None` when there is no such rule.
    ///
    /// # Errors
    /// [`DecisionsError::OtherVersion`] when it is not at the version that is expected, or the database's.
    pub async fn delete_rule(
        &self,
        id: &str,
        expected: Option<i64>,
        now: i64,
        deed: &Deed,
    ) -> Result<Option<Recorded>, DecisionsError> {
        let mut transaction = self.begin().await?;
        expect_version(&mut transaction, Versioned::Rule, id, expected).await?;
        let deleted = sqlx::query("DELETE FROM rules WHERE id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(None);
        }
        sqlx::query("INSERT INTO rules_deleted (id, deleted_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
            .bind(id)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        append(&mut transaction, &deed.clone().to(id), now).await?;
        transaction.commit().await?;
        self.end_alerts_of_deleted_rules(ENDED_AT_ONCE, now)
            .await
            .map(Some)
    }
}

fn read_rule(body: &str) -> Result<Rule, DecisionsError> {
    Rule::from_stored(body).map_err(|error| DecisionsError::unreadable("rule", &error))
}
