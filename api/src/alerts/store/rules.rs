//! Rules as they are stored: each change is a version, and all versions are kept.

use std::sync::Arc;

use riskgrid_analytics::permission::Scope;
use riskgrid_analytics::rules::{Rule, What};
use serde::Serialize;
use serde_json::{Value, json};

use super::alerts::as_rfc3339;
use super::record::Recorded;
use super::versions::{Versioned, expect_version};
use super::{Decisions, DecisionsError};
use crate::audit::{Deed, append};
use crate::database::{Connection, read_from_row};

/// Alerts that are ended in one transaction: a fraction of a second.
pub const ENDED_AT_ONCE: u32 = 200;
/// Where rules come from that are made by requests.
pub const BY_HTTP: &str = "http";

/// A rule as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRule {
    /// The rule, with its version.
    pub rule: Rule,
    /// Who made this version.
    pub author: String,
    /// `http`, or the file that has it.
    pub origin: String,
    /// What its maker could see as it was made.
    pub scope: Scope,
    /// When it was made, µs.
    pub created_at: i64,
    /// When this version was made, µs.
    pub updated_at: i64,
}

/// One version of a rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleVersion {
    /// From 1.
    pub version: i64,
    /// Who made it.
    pub author: String,
    /// When, wall clock.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: i64,
    /// What they said to it.
    pub comment: Option<String>,
    /// The rule as it was then; none where it was deleted.
    pub rule: Option<Value>,
}

/// Who changes a rule, when and from where.
#[derive(Clone, Debug)]
pub struct Authorship<'a> {
    /// As people know them.
    pub author: &'a str,
    /// What they can see.
    pub scope: &'a Scope,
    /// `http`, or a file.
    pub origin: &'a str,
    /// Wall clock, µs.
    pub now: i64,
    /// For the audit.
    pub deed: &'a Deed,
}

struct RuleRow {
    body: String,
    version: i64,
    author: String,
    origin: String,
    scope: Option<String>,
    created_at: i64,
    updated_at: i64,
}

read_from_row!(RuleRow {
    body,
    version,
    author,
    origin,
    scope,
    created_at,
    updated_at
});

struct VersionRow {
    version: i64,
    body: Option<String>,
    author: String,
    at: i64,
    comment: Option<String>,
}

read_from_row!(VersionRow {
    version,
    body,
    author,
    at,
    comment
});

const COLUMNS: &str = "SELECT body, version, author, origin, scope, created_at, updated_at FROM rules";

impl RuleRow {
    fn into_rule(self) -> Result<StoredRule, DecisionsError> {
        let mut rule =
            Rule::from_stored(&self.body).map_err(|error| DecisionsError::unreadable("rule", &error))?;
        rule.version = self.version;
        let scope = self.scope.as_deref().map(serde_json::from_str).transpose();
        Ok(StoredRule {
            rule,
            author: self.author,
            origin: self.origin,
            scope: scope
                .map_err(|error| DecisionsError::unreadable("rule", &error))?
                .unwrap_or_default(),
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

impl Decisions {
    /// Stores a new rule, as somebody's deed.
    ///
    /// # Errors
    /// [`DecisionsError::NameTaken`], [`DecisionsError::UnknownWebhook`], or the database's.
    pub async fn create_rule(&self, rule: &Rule, by: &Authorship<'_>) -> Result<(), DecisionsError> {
        let body = body_of(rule)?;
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
        check_webhooks(&mut transaction, rule).await?;
        let scope = (!by.scope.is_all()).then(|| json!(by.scope).to_string());
        let insert = sqlx::query(
            "INSERT INTO rules (id, name, body, version, author, origin, scope, created_at, updated_at)
                VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $7)",
        )
        .bind(&rule.id)
        .bind(&rule.name)
        .bind(&body)
        .bind(by.author)
        .bind(by.origin)
        .bind(scope)
        .bind(by.now)
        .execute(&mut *transaction)
        .await;
        name_is_free(insert, rule)?;
        add_version(&mut transaction, rule, 1, Some(&body), by).await?;
        let detail = json!({"name": rule.name, "after": to_json(&body)});
        let deed = by.deed.clone().to(&rule.id).with(detail);
        append(&mut transaction, &deed, by.now).await?;
        Ok(transaction.commit().await?)
    }

    /// Puts another version of a rule in the place of the one that is expected. `ends` says why alerts of earlier versions
    /// end, where they do: then nothing begins for those any more, and what they left open is ended piece by piece by
    /// [`end_alerts_of_gone_rules`](Self::end_alerts_of_gone_rules). Answers the new version; `None` when there is no such
    /// rule.
    ///
    /// # Errors
    /// [`DecisionsError::OtherVersion`], those of [`create_rule`](Self::create_rule), or the database's.
    pub async fn update_rule(
        &self,
        rule: &Rule,
        expected: i64,
        ends: Option<&str>,
        by: &Authorship<'_>,
    ) -> Result<Option<i64>, DecisionsError> {
        let body = body_of(rule)?;
        let mut transaction = self.begin().await?;
        expect_version(&mut transaction, Versioned::Rule, &rule.id, Some(expected)).await?;
        let before: Option<String> = sqlx::query_scalar("SELECT body FROM rules WHERE id = $1")
            .bind(&rule.id)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(before) = before else {
            return Ok(None);
        };
        check_webhooks(&mut transaction, rule).await?;
        let version = expected + 1;
        let update = sqlx::query(
            "UPDATE rules SET name = $2, body = $3, version = $4, author = $5, updated_at = $6 WHERE id = $1",
        )
        .bind(&rule.id)
        .bind(&rule.name)
        .bind(&body)
        .bind(version)
        .bind(by.author)
        .bind(by.now)
        .execute(&mut *transaction)
        .await;
        name_is_free(update, rule)?;
        add_version(&mut transaction, rule, version, Some(&body), by).await?;
        // What it said before stays as it said it, whatever data come late.
        sqlx::query("UPDATE rule_progress SET settled_to = evaluated_to WHERE rule_id = $1")
            .bind(&rule.id)
            .execute(&mut *transaction)
            .await?;
        if let Some(reason) = ends {
            sqlx::query(
                "INSERT INTO rules_changed (id, before_version, reason) VALUES ($1, $2, $3)
                    ON CONFLICT (id) DO UPDATE SET before_version = excluded.before_version, reason = excluded.reason",
            )
            .bind(&rule.id)
            .bind(version)
            .bind(reason)
            .execute(&mut *transaction)
            .await?;
            for sql in [
                "DELETE FROM rule_instances WHERE rule_id = $1",
                "DELETE FROM rule_past WHERE rule_id = $1",
                "DELETE FROM rule_progress WHERE rule_id = $1",
            ] {
                sqlx::query(sql).bind(&rule.id).execute(&mut *transaction).await?;
            }
        }
        let detail = json!({"name": rule.name, "before": to_json(&before), "after": to_json(&body)});
        let deed = by.deed.clone().to(&rule.id).with(detail);
        append(&mut transaction, &deed, by.now).await?;
        transaction.commit().await?;
        Ok(Some(version))
    }

    /// All rules, oldest first.
    pub async fn rules(&self) -> Result<Vec<StoredRule>, DecisionsError> {
        let sql = format!("{COLUMNS} ORDER BY created_at, id");
        let rows: Vec<RuleRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .fetch_all(self.readers())
            .await?;
        rows.into_iter().map(RuleRow::into_rule).collect()
    }

    /// One rule.
    pub async fn rule(&self, id: &str) -> Result<Option<StoredRule>, DecisionsError> {
        let sql = format!("{COLUMNS} WHERE id = $1");
        let row: Option<RuleRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        row.map(RuleRow::into_rule).transpose()
    }

    /// All versions of a rule, newest first.
    pub async fn rule_versions(&self, id: &str) -> Result<Vec<RuleVersion>, DecisionsError> {
        let rows: Vec<VersionRow> = sqlx::query_as(
            "SELECT version, body, author, at, comment FROM rule_versions WHERE rule_id = $1 ORDER BY version DESC",
        )
        .bind(id)
        .fetch_all(self.readers())
        .await?;
        let versions = rows.into_iter().map(|row| RuleVersion {
            version: row.version,
            author: row.author,
            at: row.at,
            comment: row.comment,
            rule: row.body.as_deref().map(to_json),
        });
        Ok(versions.collect())
    }

    /// Deletes a rule: nothing begins for it any more. Its open alerts are ended piece by piece, by
    /// [`end_alerts_of_gone_rules`](Self::end_alerts_of_gone_rules): a piece of them by this call, whose outcome it
    /// answers. `None` when there is no such rule.
    ///
    /// # Errors
    /// [`DecisionsError::OtherVersion`] when it is not at the version that is expected,
    /// [`DecisionsError::Conflict`] when a composite is made of it, or the database's.
    pub async fn delete_rule(
        &self,
        id: &str,
        expected: Option<i64>,
        by: &Authorship<'_>,
    ) -> Result<Option<Recorded>, DecisionsError> {
        let mut transaction = self.begin().await?;
        expect_version(&mut transaction, Versioned::Rule, id, expected).await?;
        let sql = format!("{COLUMNS} WHERE id = $1");
        let row: Option<RuleRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let stored = row.into_rule()?;
        if let Some(composite) = composite_of(&mut transaction, &stored.rule.name).await? {
            return Err(DecisionsError::Conflict(format!(
                "the rule is a part of \"{composite}\"; change or delete that one first"
            )));
        }
        sqlx::query("DELETE FROM rules WHERE id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO rules_deleted (id, deleted_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
            .bind(id)
            .bind(by.now)
            .execute(&mut *transaction)
            .await?;
        add_version(&mut transaction, &stored.rule, stored.rule.version + 1, None, by).await?;
        let detail = json!({"name": stored.rule.name, "before": stored.rule});
        let deed = by.deed.clone().to(id).with(detail);
        append(&mut transaction, &deed, by.now).await?;
        transaction.commit().await?;
        self.end_alerts_of_gone_rules(ENDED_AT_ONCE, by.now)
            .await
            .map(Some)
    }
}

/// The name of a composite that is made of the rule of this name.
pub(super) async fn composite_of(
    connection: &mut Connection,
    name: &str,
) -> Result<Option<String>, DecisionsError> {
    let bodies: Vec<String> =
        sqlx::query_scalar("SELECT body FROM rules WHERE body LIKE '%\"kind\":\"composite\"%'")
            .fetch_all(connection)
            .await?;
    for body in bodies {
        let rule = Rule::from_stored(&body).map_err(|error| DecisionsError::unreadable("rule", &error))?;
        if let What::Composite(composite) = &rule.what
            && composite.members.names().iter().any(|member| member == name)
        {
            return Ok(Some(rule.name));
        }
    }
    Ok(None)
}

fn body_of(rule: &Rule) -> Result<String, DecisionsError> {
    serde_json::to_string(rule).map_err(|error| DecisionsError::unreadable("rule", &error))
}

fn to_json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_default()
}

async fn check_webhooks(connection: &mut Connection, rule: &Rule) -> Result<(), DecisionsError> {
    let emergency = rule
        .emergency
        .as_ref()
        .and_then(|emergency| emergency.webhooks.as_ref());
    for name in rule.webhooks.iter().chain(emergency.into_iter().flatten()) {
        let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM webhooks WHERE name = $1")
            .bind(name)
            .fetch_optional(&mut *connection)
            .await?;
        if known.is_none() {
            return Err(DecisionsError::UnknownWebhook { name: name.clone() });
        }
    }
    Ok(())
}

fn name_is_free<T>(written: Result<T, sqlx::Error>, rule: &Rule) -> Result<(), DecisionsError> {
    match written {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(DecisionsError::NameTaken {
            kind: "rule",
            name: rule.name.clone(),
        }),
        other => Ok(other.map(drop)?),
    }
}

async fn add_version(
    connection: &mut Connection,
    rule: &Rule,
    version: i64,
    body: Option<&str>,
    by: &Authorship<'_>,
) -> Result<(), DecisionsError> {
    sqlx::query(
        "INSERT INTO rule_versions (rule_id, version, body, author, at, comment) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&rule.id)
    .bind(version)
    .bind(body)
    .bind(by.author)
    .bind(by.now)
    .bind(rule.comment.as_ref().filter(|_| body.is_some()))
    .execute(connection)
    .await?;
    Ok(())
}

/// The rules, each as the evaluators take it.
pub fn rules_of(stored: Vec<StoredRule>) -> Arc<[Rule]> {
    stored.into_iter().map(|stored| stored.rule).collect()
}
