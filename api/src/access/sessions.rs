//! Browsers that are signed in: in memory, and in the decisions database so that they are after a restart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use riskgrid_analytics::hotline::moves::Duty;
use riskgrid_analytics::permission::{Role, Scope};

use super::base62;
use crate::audit::{Deed, append};
use crate::database::{Database, DatabaseError, read_from_row};
use crate::digest::sha256;

const HOUR: i64 = 3_600_000_000;
/// A session that is not used for so long ends, in microseconds.
const IDLE: i64 = 8 * HOUR;
/// No session lasts longer.
pub(super) const LONGEST: i64 = 12 * HOUR;
/// Sessions at a time; for another one the oldest ends.
const MOST: usize = 10_000;
/// When it was used last is written down no more often.
const NOTED_EVERY: i64 = 5 * 60 * 1_000_000;

/// A signed-in browser. Its rights are those at the sign-in.
#[derive(Debug)]
pub(super) struct Session {
    /// By which an admin names it; no secret.
    pub id: String,
    /// SHA-256 of what the cookie holds.
    pub hash: [u8; 32],
    /// Who signed in.
    pub who: String,
    /// As people know them, where the issuer says it.
    pub name: Option<String>,
    /// What they may read and do.
    pub role: Role,
    /// Of what.
    pub scope: Scope,
    /// What they do at the hotline.
    pub duties: Vec<Duty>,
    /// For which offices; none: all.
    pub offices: Vec<String>,
    /// The key they signed in with, with which the session ends.
    pub key: Option<String>,
    /// From where.
    pub address: String,
    /// When, microseconds since 1970 UTC.
    pub created_at: i64,
    seen_at: AtomicI64,
    noted_at: AtomicI64,
}

impl Session {
    /// When it was used last.
    pub(super) fn seen_at(&self) -> i64 {
        self.seen_at.load(Ordering::Relaxed)
    }

    /// When it ends if it is not used before.
    pub(super) fn ends_at(&self) -> i64 {
        (self.seen_at() + IDLE).min(self.created_at + LONGEST)
    }

    /// Notes that it is used.
    pub(super) fn is_used(&self, now: i64) {
        self.seen_at.fetch_max(now, Ordering::Relaxed);
    }
}

/// What a browser gets.
pub(super) struct Cookie(pub(super) String);

/// A session about to begin.
pub(super) struct SignIn {
    pub(super) who: String,
    pub(super) name: Option<String>,
    pub(super) role: Role,
    pub(super) scope: Scope,
    pub(super) duties: Vec<Duty>,
    pub(super) offices: Vec<String>,
    pub(super) key: Option<String>,
    pub(super) address: String,
}

/// One as young may be missing in what was read a moment ago, µs.
const JUST_BEGUN: i64 = 10_000_000;

/// All sessions.
pub(super) struct Sessions {
    sessions: Mutex<HashMap<[u8; 32], Arc<Session>>>,
}

impl Sessions {
    /// Those that were open, and still would be at `now`.
    pub(super) async fn load(database: &Database, now: i64) -> Result<Self, DatabaseError> {
        let sessions = database.sessions().await?;
        let open = sessions.into_iter().filter(|session| now < session.ends_at());
        Ok(Self {
            sessions: Mutex::new(open.map(|session| (session.hash, Arc::new(session))).collect()),
        })
    }

    /// Takes up those that other nodes began, and lets go of those that they ended; whether there were any.
    pub(super) async fn follow(&self, database: &Database, now: i64) -> Result<bool, DatabaseError> {
        let stored: HashMap<_, _> = database
            .sessions()
            .await?
            .into_iter()
            .filter(|session| now < session.ends_at())
            .map(|session| (session.hash, session))
            .collect();
        let mut all = self.all();
        let before = all.len();
        // One that begins here is stored first.
        all.retain(|hash, session| stored.contains_key(hash) || now - session.created_at < JUST_BEGUN);
        let mut has_changed = all.len() != before;
        for (hash, session) in stored {
            if let std::collections::hash_map::Entry::Vacant(place) = all.entry(hash) {
                place.insert(Arc::new(session));
                has_changed = true;
            }
        }
        Ok(has_changed)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of a cookie, if it is open at `now`. The hash is what is looked up, so that time tells nothing of it.
    pub(super) fn find(&self, cookie: &str, now: i64) -> Option<Arc<Session>> {
        self.get(&sha256(cookie.as_bytes()), now)
    }

    /// The session of a hash, if it is open at `now`.
    pub(super) fn get(&self, hash: &[u8; 32], now: i64) -> Option<Arc<Session>> {
        self.all()
            .get(hash)
            .filter(|session| now < session.ends_at())
            .cloned()
    }

    /// Those that are open at `now`, the newest first.
    pub(super) fn open(&self, now: i64) -> Vec<Arc<Session>> {
        let mut open: Vec<_> = self
            .all()
            .values()
            .filter(|session| now < session.ends_at())
            .cloned()
            .collect();
        open.sort_by(|one, other| (other.created_at, &other.id).cmp(&(one.created_at, &one.id)));
        open
    }

    /// Begins one.
    pub(super) async fn begin(
        &self,
        database: &Database,
        sign_in: SignIn,
        now: i64,
    ) -> Result<Cookie, DatabaseError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        let cookie = URL_SAFE_NO_PAD.encode(secret);
        let session = Session {
            id: base62::random(12)?,
            hash: sha256(cookie.as_bytes()),
            who: sign_in.who,
            name: sign_in.name,
            role: sign_in.role,
            scope: sign_in.scope,
            duties: sign_in.duties,
            offices: sign_in.offices,
            key: sign_in.key,
            address: sign_in.address,
            created_at: now,
            seen_at: AtomicI64::new(now),
            noted_at: AtomicI64::new(now),
        };
        database.begin_session(&session).await?;
        let gives_way = {
            let mut all = self.all();
            all.retain(|_, session| now < session.ends_at());
            let oldest = all.values().min_by_key(|session| session.created_at).cloned();
            let gives_way = oldest.filter(|_| all.len() >= MOST);
            if let Some(oldest) = &gives_way {
                all.remove(&oldest.hash);
            }
            all.insert(session.hash, Arc::new(session));
            gives_way
        };
        if let Some(oldest) = gives_way {
            database.end_session(&oldest.id, None, now).await?;
        }
        Ok(Cookie(cookie))
    }

    /// Ends one, as somebody's deed or because its user says so.
    pub(super) async fn end(
        &self,
        database: &Database,
        session: &Session,
        deed: Option<&Deed>,
        now: i64,
    ) -> Result<(), DatabaseError> {
        self.all().remove(&session.hash);
        database.end_session(&session.id, deed, now).await
    }

    /// Writes down which were used, and forgets those that have ended.
    pub(super) async fn keep(&self, database: &Database, now: i64) -> Result<(), DatabaseError> {
        let (mut used, mut ended) = (Vec::new(), Vec::new());
        self.all().retain(|_, session| {
            let is_open = now < session.ends_at();
            if !is_open {
                ended.push(session.id.clone());
            } else if session.seen_at() - session.noted_at.load(Ordering::Relaxed) >= NOTED_EVERY {
                session.noted_at.store(session.seen_at(), Ordering::Relaxed);
                used.push((session.id.clone(), session.seen_at()));
            }
            is_open
        });
        if used.is_empty() && ended.is_empty() {
            return Ok(());
        }
        database.keep_sessions(&used, &ended).await
    }
}

struct SessionRow {
    id: String,
    hash: Vec<u8>,
    who: String,
    name: Option<String>,
    role: String,
    scope: String,
    duties: String,
    offices: String,
    key_id: Option<String>,
    address: String,
    created_at: i64,
    seen_at: i64,
}

read_from_row!(SessionRow {
    id,
    hash,
    who,
    name,
    role,
    scope,
    duties,
    offices,
    key_id,
    address,
    created_at,
    seen_at
});

impl Database {
    async fn sessions(&self) -> Result<Vec<Session>, DatabaseError> {
        let rows: Vec<SessionRow> = sqlx::query_as("SELECT * FROM sessions")
            .fetch_all(self.readers())
            .await?;
        let sessions = rows.into_iter().map(|row| {
            let unreadable = |error: &dyn std::fmt::Display| DatabaseError::unreadable("session", error);
            Ok(Session {
                hash: row
                    .hash
                    .try_into()
                    .map_err(|_| unreadable(&"its hash has another length"))?,
                role: row.role.parse().map_err(|error| unreadable(&error))?,
                scope: serde_json::from_str(&row.scope).map_err(|error| unreadable(&error))?,
                duties: serde_json::from_str(&row.duties).map_err(|error| unreadable(&error))?,
                offices: serde_json::from_str(&row.offices).map_err(|error| unreadable(&error))?,
                id: row.id,
                who: row.who,
                name: row.name,
                key: row.key_id,
                address: row.address,
                created_at: row.created_at,
                seen_at: AtomicI64::new(row.seen_at),
                noted_at: AtomicI64::new(row.seen_at),
            })
        });
        sessions.collect()
    }

    async fn begin_session(&self, session: &Session) -> Result<(), DatabaseError> {
        let unreadable = |error: serde_json::Error| DatabaseError::unreadable("session", &error);
        let scope = serde_json::to_string(&session.scope).map_err(unreadable)?;
        let duties = serde_json::to_string(&session.duties).map_err(unreadable)?;
        let offices = serde_json::to_string(&session.offices).map_err(unreadable)?;
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO sessions (id, hash, who, role, scope, key_id, address, created_at, seen_at, duties, offices, name)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11)",
        )
        .bind(&session.id)
        .bind(session.hash.to_vec())
        .bind(&session.who)
        .bind(session.role.as_str())
        .bind(scope)
        .bind(&session.key)
        .bind(&session.address)
        .bind(session.created_at)
        .bind(duties)
        .bind(offices)
        .bind(&session.name)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    async fn end_session(&self, id: &str, deed: Option<&Deed>, now: i64) -> Result<(), DatabaseError> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        if let Some(deed) = deed {
            append(&mut transaction, deed, now).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn keep_sessions(&self, used: &[(String, i64)], ended: &[String]) -> Result<(), DatabaseError> {
        let mut transaction = self.begin().await?;
        for (id, at) in used {
            sqlx::query("UPDATE sessions SET seen_at = $2 WHERE id = $1")
                .bind(id)
                .bind(at)
                .execute(&mut *transaction)
                .await?;
        }
        for id in ended {
            sqlx::query("DELETE FROM sessions WHERE id = $1")
                .bind(id)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}
