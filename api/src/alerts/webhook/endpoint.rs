//! Who is told, where, and with which secret.

use riskgrid_analytics::rules::Severity;
use serde::{Deserialize, Serialize};

use super::Secret;

/// A receiver. Its secret never leaves this type but to sign.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Given by the server.
    pub id: String,
    /// Given by the client; unique; rules name it.
    pub name: String,
    /// Where deliveries go.
    pub url: String,
    /// What they are signed with.
    pub secret: Secret,
    /// The severities it wants; empty means all.
    pub severities: Vec<Severity>,
    /// What else must be so of what it wants.
    pub filter: EndpointFilter,
    /// What a message is about.
    pub grouping: Grouping,
    /// Messages a minute; `None`: as they come.
    pub rate: Option<u32>,
    /// Wall clock, µs.
    pub created_at: i64,
    /// When the receiver answered 410 and was switched off, wall clock, µs.
    pub disabled_at: Option<i64>,
}

/// A checked webhook that is not stored yet.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// Unique.
    pub name: String,
    /// A checked address.
    pub url: String,
    /// Given or made.
    pub secret: Secret,
    /// Empty means all.
    pub severities: Vec<Severity>,
    /// What else must be so of what it wants.
    pub filter: EndpointFilter,
    /// What a message is about.
    pub grouping: Grouping,
    /// Messages a minute; `None`: as they come.
    pub rate: Option<u32>,
}

/// A checked change of a webhook.
#[derive(Clone, Debug)]
pub struct EndpointChange {
    /// Unique.
    pub name: String,
    /// A checked address.
    pub url: String,
    /// `None`: it keeps its own.
    pub secret: Option<Secret>,
    /// Empty means all.
    pub severities: Vec<Severity>,
    /// What else must be so of what it wants.
    pub filter: EndpointFilter,
    /// What a message is about.
    pub grouping: Grouping,
    /// Messages a minute.
    pub rate: Option<u32>,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// One change of one alert.
    #[default]
    None,
    /// What gathered about an incident.
    Incident,
}

impl Grouping {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Incident => "incident",
        }
    }

    /// The grouping of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::None, Self::Incident]
            .into_iter()
            .find(|known| known.name() == name)
    }
}

/// Lists of which a beginning must be on each that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EndpointFilter {
    /// Types of changes, such as `alert.firing`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub r#type: Vec<String>,
    /// Ids of areas that hold the alert.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub area: Vec<String>,
    /// What alerts are gathered by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<String>,
}
