//! Webhooks as they are stored: who is told, where, and with which secret.

use riskgrid_analytics::rules::Rule;
use serde_json::json;

use super::versions::{Versioned, expect_version};
use super::{Decisions, DecisionsError, MAX_WEBHOOKS, PIECE, random_hex};
use crate::alerts::webhook::{Endpoint, EndpointChange, Grouping, NewEndpoint, Secret};
use crate::audit::{Deed, append};
use crate::database::{Connection, read_from_row};

/// The endpoint of a name.
pub(super) const TARGETS: &str = "SELECT * FROM webhooks WHERE name = $1";

pub(super) struct EndpointRow {
    id: String,
    name: String,
    url: String,
    secret: String,
    severities: String,
    filter: String,
    grouping: String,
    rate: Option<i64>,
    created_at: i64,
    disabled_at: Option<i64>,
}

read_from_row!(EndpointRow {
    id,
    name,
    url,
    secret,
    severities,
    filter,
    grouping,
    rate,
    created_at,
    disabled_at
});

impl EndpointRow {
    pub(super) fn into_endpoint(self) -> Result<Endpoint, DecisionsError> {
        let unreadable = |error| DecisionsError::unreadable("webhook", &error);
        let severities = serde_json::from_str(&self.severities).map_err(unreadable)?;
        Ok(Endpoint {
            id: self.id,
            name: self.name,
            url: self.url,
            secret: Secret::stored(self.secret),
            severities,
            filter: serde_json::from_str(&self.filter).map_err(unreadable)?,
            grouping: Grouping::from_name(&self.grouping).unwrap_or_default(),
            rate: self.rate.and_then(|rate| u32::try_from(rate).ok()),
            created_at: self.created_at,
            disabled_at: self.disabled_at,
        })
    }
}

impl Decisions {
    /// Stores a new webhook, as somebody's deed.
    ///
    /// # Errors
    /// [`DecisionsError::NameTaken`], or the database's.
    pub async fn create_endpoint(
        &self,
        new: NewEndpoint,
        now: i64,
        deed: &Deed,
    ) -> Result<Endpoint, DecisionsError> {
        let id = random_hex()?;
        let severities = serde_json::to_string(&new.severities)
            .map_err(|error| DecisionsError::unreadable("webhook", &error))?;
        let mut transaction = self.begin().await?;
        let webhooks: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM webhooks")
            .fetch_one(&mut *transaction)
            .await?;
        if webhooks.cast_unsigned() >= MAX_WEBHOOKS {
            return Err(DecisionsError::TooMany {
                what: "webhooks",
                most: MAX_WEBHOOKS,
                remedy: "delete some",
            });
        }
        let insert = sqlx::query(
            "INSERT INTO webhooks (id, name, url, secret, severities, created_at, filter, grouping, rate)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&id)
        .bind(&new.name)
        .bind(&new.url)
        .bind(new.secret.reveal())
        .bind(severities)
        .bind(now)
        .bind(json!(new.filter).to_string())
        .bind(new.grouping.name())
        .bind(new.rate.map(i64::from))
        .execute(&mut *transaction)
        .await;
        match insert {
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                return Err(DecisionsError::NameTaken {
                    kind: "webhook",
                    name: new.name,
                });
            }
            other => other?,
        };
        let deed = deed.clone().to(&id).with(json!({"name": new.name}));
        append(&mut transaction, &deed, now).await?;
        transaction.commit().await?;
        let NewEndpoint {
            name,
            url,
            secret,
            severities,
            filter,
            grouping,
            rate,
        } = new;
        Ok(Endpoint {
            id,
            name,
            url,
            secret,
            severities,
            filter,
            grouping,
            rate,
            created_at: now,
            disabled_at: None,
        })
    }

    /// Changes a webhook at the version that its reader saw, as somebody's deed; without a secret it keeps its own. `None`
    /// when there is no such webhook.
    ///
    /// # Errors
    /// [`DecisionsError::OtherVersion`], [`DecisionsError::NameTaken`], [`DecisionsError::Conflict`] when a rule names it by the
    /// name that it would lose, or the database's.
    pub async fn change_endpoint(
        &self,
        id: &str,
        expected: Option<i64>,
        changed: EndpointChange,
        now: i64,
        deed: &Deed,
    ) -> Result<Option<Endpoint>, DecisionsError> {
        let mut transaction = self.begin().await?;
        expect_version(&mut transaction, Versioned::Webhook, id, expected).await?;
        let row: Option<EndpointRow> = sqlx::query_as("SELECT * FROM webhooks WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(before) = row.map(EndpointRow::into_endpoint).transpose()? else {
            return Ok(None);
        };
        if before.name != changed.name {
            refuse_while_named(&mut transaction, &before.name).await?;
        }
        let after = Endpoint {
            name: changed.name,
            url: changed.url,
            secret: changed.secret.unwrap_or_else(|| before.secret.clone()),
            severities: changed.severities,
            filter: changed.filter,
            grouping: changed.grouping,
            rate: changed.rate,
            ..before.clone()
        };
        let update = sqlx::query(
            "UPDATE webhooks SET name = $2, url = $3, secret = $4, severities = $5, filter = $6, grouping = $7, rate = $8,
                version = version + 1 WHERE id = $1",
        )
        .bind(id)
        .bind(&after.name)
        .bind(&after.url)
        .bind(after.secret.reveal())
        .bind(json!(after.severities).to_string())
        .bind(json!(after.filter).to_string())
        .bind(after.grouping.name())
        .bind(after.rate.map(i64::from))
        .execute(&mut *transaction)
        .await;
        match update {
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                return Err(DecisionsError::NameTaken {
                    kind: "webhook",
                    name: after.name,
                });
            }
            other => other?,
        };
        // No secret, and no address either: that of a robot is one.
        let told = |endpoint: &Endpoint| {
            json!({"name": endpoint.name, "severity": endpoint.severities, "filter": endpoint.filter,
                "group": endpoint.grouping, "rate": endpoint.rate})
        };
        let deed = deed.clone().to(id).with(json!({
            "before": told(&before), "after": told(&after), "url_changed": before.url != after.url,
            "secret_changed": before.secret != after.secret,
        }));
        append(&mut transaction, &deed, now).await?;
        transaction.commit().await?;
        Ok(Some(after))
    }

    /// All webhooks, oldest first.
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, DecisionsError> {
        let rows: Vec<EndpointRow> = sqlx::query_as("SELECT * FROM webhooks ORDER BY created_at, id")
            .fetch_all(self.readers())
            .await?;
        rows.into_iter().map(EndpointRow::into_endpoint).collect()
    }

    /// One webhook.
    pub async fn endpoint(&self, id: &str) -> Result<Option<Endpoint>, DecisionsError> {
        let row: Option<EndpointRow> = sqlx::query_as("SELECT * FROM webhooks WHERE id = $1")
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        row.map(EndpointRow::into_endpoint).transpose()
    }

    /// Deletes a webhook: none of its deliveries is made or shown any more; they are taken away by
    /// [`forget_old`](Self::forget_old), piece by piece. `false` when there is no such webhook.
    ///
    /// # Errors
    /// [`DecisionsError::Conflict`] while a rule names it, [`DecisionsError::OtherVersion`] when it is not at the version that
    /// is expected, or the database's.
    pub async fn delete_endpoint(
        &self,
        id: &str,
        expected: Option<i64>,
        now: i64,
        deed: &Deed,
    ) -> Result<bool, DecisionsError> {
        let mut transaction = self.begin().await?;
        expect_version(&mut transaction, Versioned::Webhook, id, expected).await?;
        let name: Option<String> = sqlx::query_scalar("SELECT name FROM webhooks WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(name) = name else { return Ok(false) };
        refuse_while_named(&mut transaction, &name).await?;
        for statement in [
            "INSERT INTO webhooks_deleted (id) VALUES ($1)",
            "DELETE FROM webhooks WHERE id = $1",
        ] {
            sqlx::query(statement).bind(id).execute(&mut *transaction).await?;
        }
        let deed = deed.clone().to(id).with(json!({"name": name}));
        append(&mut transaction, &deed, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Switches a webhook off because its receiver is gone; what waits for it is dead, and can be replayed.
    pub async fn disable_endpoint(&self, id: &str, now: i64) -> Result<(), DecisionsError> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE webhooks SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL")
            .bind(id)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        // What waits is not due any more; that it is dead may be written piece by piece.
        self.in_pieces(
            "UPDATE deliveries SET state = 'dead', settled_at = $2 WHERE id IN
                (SELECT id FROM deliveries WHERE webhook = $1 AND state IN ('open', 'pending') LIMIT $3)",
            id,
            now,
        )
        .await?;
        Ok(())
    }

    /// Runs a statement on pieces of its rows until there are none left; answers on how many it worked. `$1` is a webhook,
    /// `$2` the wall clock, `$3` the size of a piece.
    pub(super) async fn in_pieces(
        &self,
        sql: &'static str,
        webhook: &str,
        now: i64,
    ) -> Result<u64, DecisionsError> {
        let mut rows = 0;
        loop {
            let mut transaction = self.begin().await?;
            let piece = sqlx::query(sql)
                .bind(webhook)
                .bind(now)
                .bind(PIECE)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            rows += piece.rows_affected();
            if piece.rows_affected() < PIECE.cast_unsigned() {
                return Ok(rows);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Switches a webhook on again: its receiver answered a test.
    pub async fn enable_endpoint(&self, id: &str) -> Result<(), DecisionsError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "UPDATE webhooks SET disabled_at = NULL, failing_since = NULL, failures = 0, paused_until = NULL WHERE id = $1",
        )
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}

/// Rules name webhooks: one that is named stays, by its name.
async fn refuse_while_named(connection: &mut Connection, name: &str) -> Result<(), DecisionsError> {
    let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM rules")
        .fetch_all(connection)
        .await?;
    let mut rules = bodies.iter().filter_map(|body| Rule::from_stored(body).ok());
    match rules.find(|rule| rule.webhooks.iter().any(|named| named == name)) {
        Some(rule) => Err(DecisionsError::Conflict(format!(
            "the rule \"{}\" tells this webhook; delete or change the rule first",
            rule.name
        ))),
        None => Ok(()),
    }
}
