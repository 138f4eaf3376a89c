//! Access as one thing: what a request's credential comes to, and what ends it.

mod notes;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use prometheus::Registry;
use riskgrid_analytics::permission::{Permission, Permissions, Role, Scope};
use riskgrid_ingest::EventTime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::client_network::ClientNetwork;
use super::counters::AccessCounters;
use super::failures::Failures;
use super::identity::{ANONYMOUS, Caller, Identity, Ingest};
use super::key::Key;
use super::key_limits::KeyLimits;
use super::live_keys::{LAST_USED_STEP, LiveKey, LiveKeys};
use super::new_key::{Draft, Grant};
use super::oidc::{InvalidOidc, Logins, OfToken, Oidc, OidcSettings};
use super::rates::Rates;
use super::refusals::Refusals;
use super::route_table::RouteTable;
use super::sessions::{Session, Sessions};
use super::store::{Asked, KeyError, StoredGrant};
use crate::audit::Deed;
use crate::database::{Database, DatabaseError};

/// Rights that are kept compiled, each for a while after it was used last.
const CLASSES: u64 = 1_000;
const CLASS_KEPT: Duration = Duration::from_mins(10);
/// An identity that comes in is in the audit no more often.
const SIGN_IN_TOLD_EVERY: Duration = Duration::from_hours(1);
/// Identities that are told apart for that.
const SIGN_INS: u64 = 100_000;
/// Of them, those that wait to be written.
const SIGN_INS_WAITING: usize = 1_000;
/// Longest wait between two looks at whether a credential is still good.
const LOOK_AGAIN: Duration = Duration::from_hours(1);

/// Access could not start.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The issuer of tokens, as the configuration has it.
    #[error(transparent)]
    Oidc(#[from] InvalidOidc),
    /// Two routes that cannot be told apart: a defect.
    #[error(transparent)]
    Routes(#[from] matchit::InsertError),
    /// The numbers of `/metrics`.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// What the configuration says of access.
#[derive(Clone, Debug, Default)]
pub struct AccessSettings {
    /// Who brings no credential sees what is published.
    pub anonymous_reads: bool,
    /// `public` may ask in SQL.
    pub public_sql: bool,
    /// Pages of any origin may read what requests without a credential are answered.
    pub public_cors: bool,
    /// Whom certificates let in, by the name in them.
    pub certificates: HashMap<String, Grant>,
    /// Whose tokens let in.
    pub oidc: Option<OidcSettings>,
}

/// Who may what.
pub struct Access {
    settings: AccessSettings,
    database: Database,
    pub(super) keys: LiveKeys,
    pub(super) sessions: Sessions,
    pub(super) routes: RouteTable,
    pub(super) failures: Failures,
    pub(super) refusals: Refusals,
    pub(super) rates: Rates,
    permissions: Permissions,
    compiled: Cache<(Role, Scope), Arc<Permission>>,
    open: Arc<Identity>,
    /// Whoever watches is told that a credential may have ended.
    changed: watch::Sender<()>,
    signed_in: Cache<String, ()>,
    sign_ins: mpsc::Sender<Deed>,
    counters: AccessCounters,
    oidc: Option<Oidc>,
    logins: Logins,
    pub(super) clock: fn() -> EventTime,
}

/// What an identity rests on, and with which it ends.
#[derive(Clone, Debug)]
pub(super) enum Stay {
    /// Nothing that ends.
    Always,
    /// That nobody has said who may what.
    OpenMode,
    /// A key.
    Key(String),
    /// A token, which ends then.
    Until(i64),
    /// A session.
    Session([u8; 32]),
}

/// An identity and what it rests on.
#[derive(Clone, Debug)]
pub(super) struct Identified {
    pub(super) identity: Arc<Identity>,
    pub(super) stay: Stay,
}

impl Access {
    /// Reads keys and sessions; the task beside it writes what is to be written.
    ///
    /// # Errors
    /// The database's, or two routes that cannot be told apart.
    pub async fn start(
        settings: AccessSettings,
        database: Database,
        permissions: Permissions,
        clock: fn() -> EventTime,
    ) -> Result<(Arc<Self>, JoinHandle<()>), AccessError> {
        let now = clock().micros();
        let changed = watch::Sender::new(());
        let (sign_ins, waiting) = mpsc::channel(SIGN_INS_WAITING);
        let access = Arc::new(Self {
            keys: LiveKeys::new(database.keys().await?),
            sessions: Sessions::load(&database, now).await?,
            routes: RouteTable::new()?,
            failures: Failures::new(),
            refusals: Refusals::default(),
            rates: Rates::new(),
            permissions,
            compiled: Cache::builder()
                .max_capacity(CLASSES)
                .time_to_idle(CLASS_KEPT)
                .build(),
            open: Arc::new(Identity::of_open_mode()),
            changed,
            signed_in: Cache::builder()
                .max_capacity(SIGN_INS)
                .time_to_live(SIGN_IN_TOLD_EVERY)
                .build(),
            sign_ins,
            counters: AccessCounters::new()?,
            oidc: settings.oidc.clone().map(Oidc::new).transpose()?,
            logins: Logins::new(),
            settings,
            database,
            clock,
        });
        let writing = notes::write_down(Arc::clone(&access), waiting);
        let asking = access.oidc.as_ref().map(Oidc::keep_asking);
        let task = tokio::spawn(async move {
            match asking {
                Some(asking) => drop(tokio::join!(writing, asking)),
                None => writing.await,
            }
        });
        Ok((access, task))
    }

    /// Whether everybody is an admin: nobody ever said who may what.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty()
            && !self.settings.anonymous_reads
            && self.settings.certificates.is_empty()
            && self.oidc.is_none()
    }

    /// Everybody, while it is open.
    pub(super) fn everybody(&self) -> Option<Identified> {
        self.is_open().then(|| Identified {
            identity: Arc::clone(&self.open),
            stay: Stay::OpenMode,
        })
    }

    /// Whether pages of any origin may read what requests without a credential are answered.
    pub fn lets_any_page_read(&self) -> bool {
        self.settings.anonymous_reads && self.settings.public_cors
    }

    /// Whether `public` may ask in SQL.
    pub(super) fn public_asks_sql(&self) -> bool {
        self.settings.public_sql
    }

    pub(super) fn now(&self) -> i64 {
        (self.clock)().micros()
    }

    /// The rights of a role within a scope. Large areas take a while to compile, beside the threads that serve connections.
    pub(super) async fn permission(self: &Arc<Self>, role: Role, scope: &Scope) -> Arc<Permission> {
        let rights = (role, scope.clone());
        if let Some(known) = self.compiled.get(&rights) {
            return known;
        }
        let (access, scope) = (Arc::clone(self), scope.clone());
        let compiled = tokio::task::spawn_blocking(move || access.permissions.of(role, scope)).await;
        // A defect there must not give rights: what was published is what anybody may see.
        let permission = compiled.unwrap_or_else(|_| Arc::new(Permission::public()));
        self.compiled.insert(rights, Arc::clone(&permission));
        permission
    }

    /// Whom a key lets in as.
    pub(super) async fn of_key(self: &Arc<Self>, key: &Arc<LiveKey>) -> Identified {
        let who = format!("key:{}", key.row.id);
        Identified {
            identity: self
                .identity(who, &key.row.grant, (Some(Arc::clone(key)), None))
                .await,
            stay: Stay::Key(key.row.id.clone()),
        }
    }

    /// Whom a session lets in as; none when its key has ended, and so it has.
    pub(super) async fn of_session(self: &Arc<Self>, session: &Arc<Session>, now: i64) -> Option<Identified> {
        let key = match &session.key {
            None => None,
            Some(id) => Some(self.keys.get(id).filter(|key| key.is_good(now))?),
        };
        session.is_used(now);
        let permission = self.permission(session.role, &session.scope).await;
        let limits = key.as_ref().map(|key| key.row.grant.limits.clone());
        let ingest = (session.role == Role::Admin).then(|| Ingest {
            sources: Vec::new(),
            key,
        });
        Some(Identified {
            identity: Arc::new(Identity {
                who: session.who.clone(),
                permission: Some(permission),
                ingest,
                duties: session.duties.clone(),
                offices: session.offices.clone(),
                is_of_open_mode: false,
                limits: limits.unwrap_or_default(),
                name: session.name.clone(),
            }),
            stay: Stay::Session(session.hash),
        })
    }

    /// Whether certificates let anybody in.
    pub(super) fn knows_certificates(&self) -> bool {
        !self.settings.certificates.is_empty()
    }

    /// Whom a certificate of these names lets in as: the first name that is known counts.
    pub(super) async fn of_certificate(self: &Arc<Self>, names: &[String]) -> Option<Identified> {
        let known = |name: &String| Some((name.clone(), self.settings.certificates.get(name)?.clone()));
        let (san, grant) = names.iter().find_map(known)?;
        Some(Identified {
            identity: self.identity(format!("cert:{san}"), &grant, (None, None)).await,
            stay: Stay::Always,
        })
    }

    /// The issuer whose tokens let in.
    pub(super) const fn oidc(&self) -> Option<&Oidc> {
        self.oidc.as_ref()
    }

    pub(super) const fn logins(&self) -> &Logins {
        &self.logins
    }

    /// Whom a token lets in as.
    pub(super) async fn of_token(self: &Arc<Self>, of: &OfToken) -> Identified {
        Identified {
            identity: self
                .identity(of.who.clone(), &of.grant, (None, of.name.clone()))
                .await,
            stay: Stay::Until(of.ends_at),
        }
    }

    /// Whom a token is of, from where.
    pub(super) async fn caller(self: &Arc<Self>, of: &OfToken, address: Option<IpAddr>) -> Caller {
        let identity = self
            .identity(of.who.clone(), &of.grant, (None, of.name.clone()))
            .await;
        Caller { identity, address }
    }

    async fn identity(
        self: &Arc<Self>,
        who: String,
        grant: &Grant,
        (key, name): (Option<Arc<LiveKey>>, Option<String>),
    ) -> Arc<Identity> {
        let permission = match grant.role {
            Some(role) => Some(self.permission(role, &grant.scope).await),
            None => None,
        };
        let ingest = (grant.ingest || grant.role == Some(Role::Admin)).then(|| Ingest {
            sources: grant.sources.clone(),
            key,
        });
        Arc::new(Identity {
            who,
            permission,
            ingest,
            duties: grant.duties.clone(),
            offices: grant.offices.clone(),
            is_of_open_mode: false,
            limits: grant.limits.clone(),
            name,
        })
    }

    /// Who brings no credential, if such are let in.
    pub(super) async fn anonymous(self: &Arc<Self>) -> Option<Identified> {
        if !self.settings.anonymous_reads {
            return None;
        }
        Some(Identified {
            identity: Arc::new(Identity {
                who: ANONYMOUS.to_owned(),
                permission: Some(self.permission(Role::Public, &Scope::ALL).await),
                ingest: None,
                duties: Vec::new(),
                offices: Vec::new(),
                is_of_open_mode: false,
                limits: KeyLimits::default(),
                name: None,
            }),
            stay: Stay::Always,
        })
    }

    /// Until when what an identity rests on is good, if nothing changes; none when it has ended.
    fn good_until(&self, stay: &Stay, now: i64) -> Option<i64> {
        let of_key = |id: &str| {
            let key = self.keys.get(id).filter(|key| key.is_good(now))?;
            Some(key.row.expires_at.unwrap_or(i64::MAX))
        };
        match stay {
            Stay::Always => Some(i64::MAX),
            Stay::OpenMode => self.is_open().then_some(i64::MAX),
            Stay::Key(id) => of_key(id),
            Stay::Until(end) => Some(*end).filter(|end| now < *end),
            Stay::Session(hash) => {
                let session = self.sessions.get(hash, now)?;
                let key = session.key.as_deref().map_or(Some(i64::MAX), of_key)?;
                Some(key.min(session.ends_at()))
            }
        }
    }

    /// Returns when what an identity rests on has ended.
    pub(super) async fn ends(self: Arc<Self>, stay: Stay) {
        let mut changed = self.changed.subscribe();
        loop {
            let now = self.now();
            let Some(until) = self.good_until(&stay, now) else {
                return;
            };
            let left = Duration::from_micros(until.saturating_sub(now).cast_unsigned());
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
            }
        }
    }

    /// Makes a key.
    ///
    /// # Errors
    /// See [`Database::create_key`].
    pub(super) async fn create_key(&self, draft: Draft, by: &Deed) -> Result<(Key, Arc<LiveKey>), KeyError> {
        let key = Key::random().map_err(DatabaseError::from)?;
        let asked = Asked { now: self.now(), by };
        let rows = self.database.create_key(&key, draft, true, &asked).await?;
        self.put(&rows);
        let made = self.keys.get(key.id());
        Ok((key, made.ok_or_else(|| KeyError::Unknown("new".to_owned()))?))
    }

    /// Ends a key, and all that rests on it.
    ///
    /// # Errors
    /// See [`Database::revoke_key`].
    pub(super) async fn revoke_key(&self, id: &str, by: &Deed) -> Result<(), KeyError> {
        let asked = Asked { now: self.now(), by };
        let row = self.database.revoke_key(id, true, &asked).await?;
        self.put(&[row]);
        Ok(())
    }

    fn put(&self, rows: &[StoredGrant]) {
        self.keys.put(rows);
        self.changed.send_replace(());
    }

    /// Ends a session, and all that rests on it.
    pub(super) async fn end_session(&self, session: &Session, deed: &Deed) -> Result<(), DatabaseError> {
        let ended = self
            .sessions
            .end(&self.database, session, Some(deed), self.now())
            .await;
        self.changed.send_replace(());
        ended
    }

    /// Ends the session of a user who says so.
    pub(super) async fn end_own_session(&self, session: &Session) -> Result<(), DatabaseError> {
        let ended = self.sessions.end(&self.database, session, None, self.now()).await;
        self.changed.send_replace(());
        ended
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// Notes for the audit that somebody came in.
    pub(super) fn note_sign_in(&self, caller: &Caller) {
        let who = &caller.identity.who;
        if self.signed_in.contains_key(who) {
            return;
        }
        self.signed_in.insert(who.clone(), ());
        let deed = caller.deed("access.sign_in");
        if self.sign_ins.try_send(deed).is_err() {
            // Told at the next request, when there is room again.
            self.signed_in.invalidate(who);
        }
    }

    /// Notes for the audit that a route refused somebody.
    pub fn refused(&self, caller: &Caller, kind: &'static str, route: &'static str) {
        self.note_refusal(caller.address, kind, &caller.identity.who, route);
    }

    /// Notes for the audit that somebody was refused.
    pub(super) fn note_refusal(
        &self,
        address: Option<IpAddr>,
        kind: &'static str,
        who: &str,
        route: &'static str,
    ) {
        self.counters.refuse(kind);
        self.refusals.add(ClientNetwork::of(address), kind, who, route);
    }

    /// Counts what was refused and is in no audit: what an identity does too often.
    pub fn count_refusal(&self, kind: &'static str) {
        self.counters.refuse(kind);
    }

    /// Puts what it counts on a page.
    ///
    /// # Errors
    /// When a name is there already, which is a defect.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let now = self.now();
        let good = self.keys.all().iter().filter(|key| key.is_good(now)).count();
        self.counters
            .register(registry, good, self.sessions.open(now).len())
    }
}
