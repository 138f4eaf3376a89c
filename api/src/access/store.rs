//! Keys and sessions in the decisions database: each change in one transaction with its row of the audit.

use riskgrid_analytics::permission::Role;
use riskgrid_ingest::EventTime;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::key::Key;
use super::new_key::{Draft, Grant, Protocol, Rights};
use crate::audit::{Deed, append};
use crate::database::{Database, DatabaseError, Transaction, read_from_row};

/// Keys that are good at a time.
const MAX_KEYS: i64 = 10_000;

/// A key as it is stored.
#[derive(Clone, Debug)]
pub struct StoredGrant {
    /// No secret.
    pub id: String,
    /// SHA-256 of the whole key.
    pub hash: Vec<u8>,
    /// What PostgreSQL's SCRAM-SHA-256 checks.
    pub scram: String,
    /// For people.
    pub name: String,
    /// What it gives.
    pub grant: Grant,
    /// The key whose rights it has.
    pub replaces: Option<String>,
    /// When it was made, microseconds since 1970 UTC, as all times here.
    pub created_at: i64,
    /// By whom.
    pub created_by: String,
    /// When it ends by itself.
    pub expires_at: Option<i64>,
    /// When it was ended.
    pub revoked_at: Option<i64>,
    /// When it let in last, about.
    pub last_used_at: Option<i64>,
}

impl StoredGrant {
    /// What may be shown of it at any time.
    pub fn shown(&self, last_used: Option<i64>) -> Value {
        let rfc3339 = |micros| EventTime::from_micros(micros).to_string();
        let grant = &self.grant;
        let addresses: Vec<String> = grant.addresses.iter().map(ToString::to_string).collect();
        let all = [Protocol::Http, Protocol::Flight, Protocol::Postgres];
        json!({
            "id": self.id,
            "name": self.name,
            "role": grant.role,
            "ingest": grant.ingest,
            "layers": grant.scope.layers,
            "areas": grant.scope.areas,
            "duties": grant.duties,
            "offices": grant.offices,
            "sources": grant.sources,
            "protocols": if grant.protocols.is_empty() { &all[..] } else { &grant.protocols },
            "addresses": addresses,
            "events_per_second": grant.events_per_second,
            "bytes_per_second": grant.bytes_per_second,
            "limits": grant.limits,
            "replaces": self.replaces,
            "created": rfc3339(self.created_at),
            "created_by": self.created_by,
            "expires": self.expires_at.map(rfc3339),
            "revoked": self.revoked_at.map(rfc3339),
            "last_used": last_used.map(rfc3339),
        })
    }
}

/// Why a key could not be made or ended.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no such key, or it has ended.
    #[error("there is no key `{0}` that is still good; GET /v1/keys lists them")]
    Unknown(String),
    /// There are as many as there may be.
    #[error("there are {MAX_KEYS} keys already, and there may be no more; revoke some")]
    TooMany,
    /// Nobody could administer riskgrid any more.
    #[error(
        "it is the last key of an admin: without it nobody could make another; make one first (a key of role admin), or \
         revoke this one with --data-dir while the server is stopped"
    )]
    LastAdmin,
    /// The first key must be able to make others.
    #[error(
        "there is no key yet, so from this one on riskgrid is guarded for ever: the first must have role admin, or nobody \
         could make another"
    )]
    FirstMustBeAdmin,
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for KeyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

struct KeyRow {
    id: String,
    hash: Vec<u8>,
    scram: String,
    name: String,
    role: Option<String>,
    ingest: i64,
    scope: String,
    duties: String,
    offices: String,
    sources: String,
    protocols: String,
    addresses: String,
    events_per_second: Option<i64>,
    bytes_per_second: Option<i64>,
    limits: String,
    replaces: Option<String>,
    created_at: i64,
    created_by: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
}

read_from_row!(KeyRow {
    id,
    hash,
    scram,
    name,
    role,
    ingest,
    scope,
    duties,
    offices,
    sources,
    protocols,
    addresses,
    events_per_second,
    bytes_per_second,
    limits,
    replaces,
    created_at,
    created_by,
    expires_at,
    revoked_at,
    last_used_at
});

fn read<T: DeserializeOwned>(text: &str) -> Result<T, DatabaseError> {
    serde_json::from_str(text).map_err(|error| DatabaseError::unreadable("key", &error))
}

fn written<T: Serialize>(value: &T) -> Result<String, DatabaseError> {
    serde_json::to_string(value).map_err(|error| DatabaseError::unreadable("key", &error))
}

impl KeyRow {
    fn into_stored(self) -> Result<StoredGrant, DatabaseError> {
        let role = self.role.as_deref().map(str::parse::<Role>).transpose();
        Ok(StoredGrant {
            grant: Grant {
                role: role.map_err(|error| DatabaseError::unreadable("key", &error))?,
                ingest: self.ingest != 0,
                scope: read(&self.scope)?,
                duties: read(&self.duties)?,
                offices: read(&self.offices)?,
                sources: read(&self.sources)?,
                protocols: read(&self.protocols)?,
                addresses: read::<Vec<String>>(&self.addresses)?
                    .iter()
                    .map(|text| text.parse())
                    .collect::<Result<_, _>>()
                    .map_err(|error| DatabaseError::unreadable("key", &error))?,
                events_per_second: self.events_per_second.map(i64::cast_unsigned),
                bytes_per_second: self.bytes_per_second.map(i64::cast_unsigned),
                limits: read(&self.limits)?,
            },
            id: self.id,
            hash: self.hash,
            scram: self.scram,
            name: self.name,
            replaces: self.replaces,
            created_at: self.created_at,
            created_by: self.created_by,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            last_used_at: self.last_used_at,
        })
    }
}

/// What asks for a change of keys: when, and as what it stands in the audit.
pub struct Asked<'a> {
    /// Microseconds since 1970 UTC.
    pub now: i64,
    /// By whom and from where; action, object and details are filled in here.
    pub by: &'a Deed,
}

impl Database {
    /// All keys that were ever made.
    ///
    /// # Errors
    /// The database's.
    pub async fn keys(&self) -> Result<Vec<StoredGrant>, DatabaseError> {
        let rows: Vec<KeyRow> = sqlx::query_as("SELECT * FROM keys")
            .fetch_all(self.readers())
            .await?;
        rows.into_iter().map(KeyRow::into_stored).collect()
    }

    /// Stores a new key: it, and the one that it replaces as that is now.
    ///
    /// # Errors
    /// It replaces none that is good; there are too many; it is the first and no admin's, where `first_is_admin` asks that.
    pub async fn create_key(
        &self,
        key: &Key,
        draft: Draft,
        first_is_admin: bool,
        asked: &Asked<'_>,
    ) -> Result<Vec<StoredGrant>, KeyError> {
        let now = asked.now;
        let stored = key.stored().map_err(DatabaseError::from)?;
        let mut transaction = self.begin().await?;
        let (ever, good): (i64, i64) = {
            let rows: Vec<KeyRow> = sqlx::query_as("SELECT * FROM keys")
                .fetch_all(&mut *transaction)
                .await?;
            let good = rows.iter().filter(|row| is_good(row, now)).count();
            (rows.len() as i64, good as i64)
        };
        if good >= MAX_KEYS {
            return Err(KeyError::TooMany);
        }
        let mut changed = Vec::new();
        let (grant, replaces, name) = match draft.rights {
            Rights::Given(grant) => (grant, None, draft.name.unwrap_or_default()),
            Rights::Of { id, overlap } => {
                let old: Option<KeyRow> = sqlx::query_as("SELECT * FROM keys WHERE id = $1")
                    .bind(&id)
                    .fetch_optional(&mut *transaction)
                    .await?;
                let old = old.filter(|old| is_good(old, now));
                let mut old = old.ok_or(KeyError::Unknown(id))?.into_stored()?;
                let end = now.saturating_add(micros(overlap));
                old.expires_at = Some(old.expires_at.map_or(end, |before| before.min(end)));
                sqlx::query("UPDATE keys SET expires_at = $2 WHERE id = $1")
                    .bind(&old.id)
                    .bind(old.expires_at)
                    .execute(&mut *transaction)
                    .await?;
                let (grant, name) = (old.grant.clone(), draft.name.unwrap_or_else(|| old.name.clone()));
                let id = old.id.clone();
                changed.push(old);
                (grant, Some(id), name)
            }
        };
        if ever == 0 && first_is_admin && grant.role != Some(Role::Admin) {
            return Err(KeyError::FirstMustBeAdmin);
        }
        let row = StoredGrant {
            id: stored.id,
            hash: stored.hash.to_vec(),
            scram: stored.scram,
            name,
            grant,
            replaces,
            created_at: now,
            created_by: asked.by.who.clone(),
            expires_at: draft.lifetime.map(|span| now.saturating_add(micros(span))),
            revoked_at: None,
            last_used_at: None,
        };
        insert(&mut transaction, &row).await?;
        let deed = Deed {
            action: "keys.create".to_owned(),
            object: row.id.clone(),
            ..asked.by.clone()
        };
        let deed = deed.with(json!({
            "name": row.name,
            "role": row.grant.role,
            "ingest": row.grant.ingest,
            "layers": row.grant.scope.layers,
            "areas": row.grant.scope.areas,
            "duties": row.grant.duties,
            "offices": row.grant.offices,
            "limits": row.grant.limits,
            "expires_at": row.expires_at,
            "replaces": row.replaces,
        }));
        append(&mut transaction, &deed, now).await?;
        transaction.commit().await.map_err(DatabaseError::from)?;
        changed.push(row);
        Ok(changed)
    }

    /// Ends a key: it, as it is now.
    ///
    /// # Errors
    /// There is none such that is good; or it is the last of an admin, where `keeps_an_admin` asks that one is left.
    pub async fn revoke_key(
        &self,
        id: &str,
        keeps_an_admin: bool,
        asked: &Asked<'_>,
    ) -> Result<StoredGrant, KeyError> {
        let now = asked.now;
        let mut transaction = self.begin().await?;
        let rows: Vec<KeyRow> = sqlx::query_as("SELECT * FROM keys")
            .fetch_all(&mut *transaction)
            .await?;
        let is_other_admin = |row: &KeyRow| {
            row.id != id && row.role.as_deref() == Some(Role::Admin.as_str()) && is_good(row, now)
        };
        let has_other_admin = rows.iter().any(is_other_admin);
        let row = rows.into_iter().find(|row| row.id == id && is_good(row, now));
        let mut row = row
            .ok_or_else(|| KeyError::Unknown(id.to_owned()))?
            .into_stored()?;
        if keeps_an_admin && row.grant.role == Some(Role::Admin) && !has_other_admin {
            return Err(KeyError::LastAdmin);
        }
        row.revoked_at = Some(now);
        sqlx::query("UPDATE keys SET revoked_at = $2 WHERE id = $1")
            .bind(id)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        let deed = Deed {
            action: "keys.revoke".to_owned(),
            object: id.to_owned(),
            ..asked.by.clone()
        };
        append(&mut transaction, &deed.with(json!({"name": row.name})), now).await?;
        transaction.commit().await.map_err(DatabaseError::from)?;
        Ok(row)
    }

    /// Notes when keys let in last. It is no deed of anybody.
    ///
    /// # Errors
    /// The database's.
    pub async fn note_uses(&self, uses: &[(String, i64)]) -> Result<(), DatabaseError> {
        let mut transaction = self.begin().await?;
        for (id, at) in uses {
            sqlx::query("UPDATE keys SET last_used_at = $2 WHERE id = $1")
                .bind(id)
                .bind(at)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}

fn is_good(row: &KeyRow, now: i64) -> bool {
    row.revoked_at.is_none() && row.expires_at.is_none_or(|end| now < end)
}

fn micros(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

async fn insert(transaction: &mut Transaction, row: &StoredGrant) -> Result<(), DatabaseError> {
    let grant = &row.grant;
    let addresses: Vec<String> = grant.addresses.iter().map(ToString::to_string).collect();
    sqlx::query(
        "INSERT INTO keys (id, hash, scram, name, role, ingest, scope, sources, protocols, addresses, events_per_second,
                           bytes_per_second, replaces, created_at, created_by, expires_at, duties, offices, limits)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    )
    .bind(&row.id)
    .bind(&row.hash)
    .bind(&row.scram)
    .bind(&row.name)
    .bind(grant.role.map(Role::as_str))
    .bind(i64::from(grant.ingest))
    .bind(written(&grant.scope)?)
    .bind(written(&grant.sources)?)
    .bind(written(&grant.protocols)?)
    .bind(written(&addresses)?)
    .bind(grant.events_per_second.map(u64::cast_signed))
    .bind(grant.bytes_per_second.map(u64::cast_signed))
    .bind(&row.replaces)
    .bind(row.created_at)
    .bind(&row.created_by)
    .bind(row.expires_at)
    .bind(written(&grant.duties)?)
    .bind(written(&grant.offices)?)
    .bind(written(&grant.limits)?)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
