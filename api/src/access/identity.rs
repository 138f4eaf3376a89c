//! Who asks, as every route gets it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use riskgrid_analytics::hotline::moves::Duty;
use riskgrid_analytics::permission::{Permission, Role};

use super::key_limits::KeyLimits;
use super::live_keys::LiveKey;
use crate::audit::Deed;
use crate::problem::Problem;

/// Who asks without a credential, as the audit names them.
pub(super) const ANONYMOUS: &str = "anonymous";

/// The right to bring events.
#[derive(Clone, Debug, Default)]
pub struct Ingest {
    /// Beginnings of the `source` of events that it is for; none: any.
    pub sources: Vec<String>,
    /// The key, which may have quotas.
    pub key: Option<Arc<LiveKey>>,
}

impl Ingest {
    /// Whether more may be brought at `now`.
    ///
    /// # Errors
    /// What was brought before is more than the key may: after how many seconds it may again.
    pub fn ask(&self, now: Instant) -> Result<(), u32> {
        let meters = self.key.iter().flat_map(|key| [&key.events, &key.bytes]);
        meters.flatten().try_for_each(|meter| meter.ask(now))
    }

    /// Counts what is brought.
    pub fn count(&self, events: usize, bytes: usize, now: Instant) {
        let Some(key) = &self.key else { return };
        for (meter, amount) in [(&key.events, events), (&key.bytes, bytes)] {
            if let Some(meter) = meter {
                meter.count(amount as u64, now);
            }
        }
    }

    /// Whether events of this source may be brought.
    pub fn is_for(&self, source: &str) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|begin| source.starts_with(begin))
    }
}

/// Somebody, with rights.
#[derive(Clone, Debug)]
pub struct Identity {
    /// As the audit and `/v1/whoami` name them: `key:ID`, `oidc:ISS#SUB`, `cert:SAN`, `anonymous`.
    pub who: String,
    /// What they may read, if anything.
    pub permission: Option<Arc<Permission>>,
    /// Whether they may bring events, and which.
    pub ingest: Option<Ingest>,
    /// What they do at the hotline.
    pub duties: Vec<Duty>,
    /// For which offices; none: all.
    pub offices: Vec<String>,
    /// They are everybody, for nobody ever said who may what.
    pub is_of_open_mode: bool,
    /// Where they may take less than their role.
    pub limits: KeyLimits,
    /// As people know them, where an issuer says it.
    pub name: Option<String>,
}

impl Identity {
    /// Everybody, in open mode.
    pub fn of_open_mode() -> Self {
        Self {
            who: ANONYMOUS.to_owned(),
            permission: Some(Arc::new(Permission::admin())),
            ingest: Some(Ingest::default()),
            duties: vec![Duty::Supervisor],
            offices: Vec::new(),
            is_of_open_mode: true,
            limits: KeyLimits::default(),
            name: None,
        }
    }

    /// The role that reads.
    pub fn role(&self) -> Option<Role> {
        self.permission.as_ref().map(|permission| permission.role())
    }

    /// Whether it brought no credential.
    pub fn is_anonymous(&self) -> bool {
        self.who == ANONYMOUS
    }

    /// Whether it is an admin.
    pub fn is_admin(&self) -> bool {
        self.role() == Some(Role::Admin)
    }
}

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub identity: Arc<Identity>,
    /// From where, if that is known.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// What they do, for the audit.
    pub fn deed(&self, action: &str) -> Deed {
        Deed {
            who: self.identity.who.clone(),
            role: self.identity.role().map_or("", Role::as_str).to_owned(),
            via: "http".to_owned(),
            address: self
                .address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            action: action.to_owned(),
            object: String::new(),
            count: 1,
            detail: serde_json::json!({}),
        }
    }
}

/// A route was reached around what asks for identities.
#[derive(Debug, thiserror::Error)]
#[error("a request reached its route without an identity")]
struct Unidentified;

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::internal(&Unidentified))
    }
}

/// What who asks may read: a plain argument of every route that reads.
#[derive(Clone, Debug)]
pub struct Reads(pub Arc<Permission>);

impl<S: Send + Sync> FromRequestParts<S> for Reads {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let permission = caller.identity.permission.clone();
        permission
            .map(Self)
            .ok_or_else(|| Problem::internal(&Unidentified))
    }
}
