//! Who is told, where, and with which secret.

use riskgrid_analytics::rules::Severity;

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
}
