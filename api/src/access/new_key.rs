//! What a key is made of, as flags and members of `POST /v1/keys` say it, and whether that can be.

use std::time::Duration;

use ipnet::IpNet;
use riskgrid_analytics::hotline::moves::Duty;
use riskgrid_analytics::permission::{Role, Scope};
use serde::{Deserialize, Serialize};

use super::key_limits::KeyLimits;
use super::spans;

/// Letters of a name.
const LONGEST_NAME: usize = 120;
/// Entries of a list, and letters of one.
const LONGEST_LIST: usize = 1_000;
const LONGEST_ENTRY: usize = 256;
/// How long the key that is replaced goes on, unless it is said.
const OVERLAP: Duration = Duration::from_hours(24);
/// How long a key is good for, unless it is said.
const EXPIRES: Duration = Duration::from_hours(365 * 24);
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// A way by which a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP.
    Http,
    /// Flight SQL.
    Flight,
    /// PostgreSQL.
    Postgres,
}

/// A key as it is asked for. Members are named as the flags of `riskgrid keys create`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewKey {
    /// For people.
    pub name: Option<String>,
    /// What it may read and do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Whether it may bring events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingest: Option<bool>,
    /// The layers that it reads; all, unless it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<String>>,
    /// The areas, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub areas: Option<Vec<String>>,
    /// Beginnings of the `source` of events that it may bring; any, unless it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<String>>,
    /// By which protocols; all, unless it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Vec<String>>,
    /// From which addresses and networks; any, unless it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    /// What its owner does at the hotline; nothing, unless it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duties: Option<Vec<String>>,
    /// For which offices; all, unless it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offices: Option<Vec<String>>,
    /// `365d` or `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The key whose rights it gets, and which then ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// After how long that one ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
    /// Most events a second that it may bring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_per_second: Option<u64>,
    /// Most bytes a second, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// Where it may take less than its role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<KeyLimits>,
}

/// What a key gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it may read and do, if it reads.
    pub role: Option<Role>,
    /// Whether it may bring events.
    pub ingest: bool,
    /// Of which layers and areas it reads.
    pub scope: Scope,
    /// What its owner does at the hotline.
    pub duties: Vec<Duty>,
    /// For which offices; none: all.
    pub offices: Vec<String>,
    /// Beginnings of `source` that it may bring; none: any.
    pub sources: Vec<String>,
    /// By which protocols; none: all.
    pub protocols: Vec<Protocol>,
    /// From where; none: from anywhere.
    pub addresses: Vec<IpNet>,
    /// Most events a second.
    pub events_per_second: Option<u64>,
    /// Most bytes a second.
    pub bytes_per_second: Option<u64>,
    /// Where it may take less than its role.
    pub limits: KeyLimits,
}

/// A key that can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// For people; that of the key which it replaces, if nothing is said.
    pub name: Option<String>,
    /// How long it is good for; none: until it is revoked.
    pub lifetime: Option<Duration>,
    /// What it gives, and to whom that comes.
    pub rights: Rights,
}

/// Where the rights of a new key are from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, while a key is made"
)]
pub enum Rights {
    /// They are given.
    Given(Grant),
    /// They are those of another key, which ends after the overlap.
    Of {
        /// That key.
        id: String,
        /// How long it goes on.
        overlap: Duration,
    },
}

/// Why a key cannot be: which member, what it holds, what it may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{member}` {problem}")]
pub struct Unfit {
    /// The member.
    pub member: &'static str,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

fn unfit(member: &'static str, problem: impl Into<String>) -> Unfit {
    Unfit {
        member,
        problem: problem.into(),
    }
}

impl NewKey {
    /// What it comes to.
    ///
    /// # Errors
    /// The first member that cannot be.
    pub fn check(self) -> Result<Draft, Unfit> {
        let name = self.name.as_deref().map(str::trim).map(str::to_owned);
        if name.as_deref().is_some_and(|name| {
            name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control)
        }) {
            return Err(unfit(
                "name",
                format!("must have 1 to {LONGEST_NAME} letters on one line"),
            ));
        }
        let lifetime = match self.expires.as_deref() {
            None => Some(EXPIRES),
            Some("never") => None,
            Some(text) => Some(span("expires", text, "never")?),
        };
        if let Some(id) = self.replaces.clone() {
            self.gives_nothing_itself()?;
            let overlap = self.overlap.as_deref().map(|text| span("overlap", text, "24h"));
            let overlap = overlap.transpose()?.unwrap_or(OVERLAP);
            return Ok(Draft {
                name,
                lifetime,
                rights: Rights::Of { id, overlap },
            });
        }
        if self.overlap.is_some() {
            return Err(unfit("overlap", "goes with `replaces` only"));
        }
        if name.is_none() {
            return Err(unfit("name", "is missing; say who or what the key is for"));
        }
        let grant = self.grant()?;
        Ok(Draft {
            name,
            lifetime,
            rights: Rights::Given(grant),
        })
    }

    fn gives_nothing_itself(&self) -> Result<(), Unfit> {
        let given = [
            ("role", self.role.is_some()),
            ("ingest", self.ingest.is_some()),
            ("layers", self.layers.is_some()),
            ("areas", self.areas.is_some()),
            ("duties", self.duties.is_some()),
            ("offices", self.offices.is_some()),
            ("sources", self.sources.is_some()),
            ("protocols", self.protocols.is_some()),
            ("addresses", self.addresses.is_some()),
            ("events_per_second", self.events_per_second.is_some()),
            ("bytes_per_second", self.bytes_per_second.is_some()),
            ("limits", self.limits.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((member, _)) => Err(unfit(
                member,
                "does not go with `replaces`: the new key has the rights of the one that it replaces",
            )),
            None => Ok(()),
        }
    }

    fn grant(self) -> Result<Grant, Unfit> {
        let role = self.role.as_deref().map(read_role).transpose()?;
        let ingest = self.ingest.unwrap_or(false);
        if role.is_none() && !ingest {
            return Err(unfit(
                "role",
                "is missing; allowed: public, analyst, operator, admin, or `ingest` alone",
            ));
        }
        for (member, names) in [("layers", &self.layers), ("areas", &self.areas)] {
            if names.as_ref().is_some_and(Vec::is_empty) {
                return Err(unfit(
                    member,
                    "is an empty list, by which nothing would be seen; name some, or leave it out for all",
                ));
            }
        }
        let layers = words("layers", self.layers.unwrap_or_else(|| vec!["*".to_owned()]))?;
        let areas = words("areas", self.areas.unwrap_or_else(|| vec!["*".to_owned()]))?;
        let scope = Scope {
            layers: layers.into_iter().collect(),
            areas: areas.into_iter().collect(),
        };
        if !scope.is_all() && !role.is_some_and(Role::has_scope) {
            let of = role.map_or("only brings events", Role::as_str);
            return Err(unfit(
                "layers",
                format!("and `areas` go with analyst and operator; a key that is {of} has no scope"),
            ));
        }
        let duties = words("duties", self.duties.unwrap_or_default())?;
        let duties = duties.iter().map(|text| read_duty(text));
        let duties = duties.collect::<Result<Vec<_>, _>>()?;
        let offices = words("offices", self.offices.unwrap_or_default())?;
        if (!duties.is_empty() || !offices.is_empty()) && role.is_none_or(|role| role <= Role::Public) {
            return Err(unfit(
                "duties",
                "and `offices` go with analyst, operator and admin: others see no cases",
            ));
        }
        let may_bring = ingest || role == Some(Role::Admin);
        let sources = words("sources", self.sources.unwrap_or_default())?;
        for (member, is_given) in [
            ("sources", !sources.is_empty()),
            ("events_per_second", self.events_per_second.is_some()),
            ("bytes_per_second", self.bytes_per_second.is_some()),
        ] {
            if is_given && !may_bring {
                return Err(unfit(member, "goes with `ingest` only"));
            }
        }
        for (member, rate) in [
            ("events_per_second", self.events_per_second),
            ("bytes_per_second", self.bytes_per_second),
        ] {
            if rate == Some(0) {
                return Err(unfit(member, "is 0; it must be at least 1"));
            }
        }
        let limits = self.limits.unwrap_or_default();
        limits.check()?;
        if role.is_none() && limits != KeyLimits::default() {
            return Err(unfit(
                "limits",
                "go with a role that reads; see `events_per_second`",
            ));
        }
        let protocols = words("protocols", self.protocols.unwrap_or_default())?;
        let protocols = protocols.iter().map(|text| match text.as_str() {
            "http" => Ok(Protocol::Http),
            "flight" => Ok(Protocol::Flight),
            "postgres" => Ok(Protocol::Postgres),
            other => Err(unfit(
                "protocols",
                format!("has \"{other}\"; allowed: http, flight, postgres"),
            )),
        });
        let addresses = words("addresses", self.addresses.unwrap_or_default())?;
        let addresses = addresses.iter().map(|text| {
            read_network(text).ok_or_else(|| {
                unfit(
                    "addresses",
                    format!("has \"{text}\"; write an address or a network as in 192.0.2.7 or 10.0.0.0/8"),
                )
            })
        });
        Ok(Grant {
            role,
            ingest,
            scope,
            duties,
            offices,
            sources,
            protocols: protocols.collect::<Result<_, _>>()?,
            addresses: addresses.collect::<Result<_, _>>()?,
            events_per_second: self.events_per_second,
            bytes_per_second: self.bytes_per_second,
            limits,
        })
    }
}

impl Grant {
    /// All rights, and none that are limited: of who sets riskgrid up.
    pub fn of_an_admin() -> Self {
        Self {
            role: Some(Role::Admin),
            ingest: false,
            scope: Scope::ALL,
            duties: Vec::new(),
            offices: Vec::new(),
            sources: Vec::new(),
            protocols: Vec::new(),
            addresses: Vec::new(),
            events_per_second: None,
            bytes_per_second: None,
            limits: KeyLimits::default(),
        }
    }
}

fn span(member: &'static str, text: &str, other: &str) -> Result<Duration, Unfit> {
    spans::parse(text)
        .filter(|span| (Duration::ZERO..=LONGEST).contains(span))
        .ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            unfit(
                member,
                format!("is \"{shown}\"; allowed: {other}, or a span in s, m, h or d as in 90d"),
            )
        })
}

pub(super) fn read_role(text: &str) -> Result<Role, Unfit> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        unfit(
            "role",
            format!("is \"{shown}\"; allowed: public, analyst, operator, admin"),
        )
    })
}

/// The system's duty is nobody's to have.
fn read_duty(text: &str) -> Result<Duty, Unfit> {
    let duty = Duty::from_name(text).filter(|duty| *duty != Duty::System);
    duty.ok_or_else(|| {
        unfit(
            "duties",
            format!("has \"{text}\"; allowed: operator, dispatcher, handler, reviewer, supervisor, caller"),
        )
    })
}

/// An address stands for the network of itself.
fn read_network(text: &str) -> Option<IpNet> {
    let alone = text.parse::<std::net::IpAddr>().map(IpNet::from);
    alone
        .or_else(|_| text.parse())
        .ok()
        .map(|network: IpNet| network.trunc())
}

fn words(member: &'static str, words: Vec<String>) -> Result<Vec<String>, Unfit> {
    let is_word = |word: &String| {
        !word.is_empty() && word.len() <= LONGEST_ENTRY && !word.chars().any(char::is_control)
    };
    if words.len() > LONGEST_LIST || !words.iter().all(is_word) {
        return Err(unfit(
            member,
            format!("may have {LONGEST_LIST} entries of 1 to {LONGEST_ENTRY} bytes"),
        ));
    }
    Ok(words)
}

#[cfg(test)]
mod tests;
