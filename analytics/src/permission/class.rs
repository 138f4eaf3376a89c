//! The name of rights: equal ones have the same, on every node and after every restart.

use std::fmt;

use serde_json::json;

use super::role::Role;
use super::scope::Scope;

/// The first 128 bits of SHA-256 over the rights as canonical JSON (RFC 8785).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(u128);

impl Class {
    /// That of a role within a scope; roles without one have the same everywhere.
    pub fn of(role: Role, scope: &Scope) -> Self {
        let scope = if role.has_scope() { scope } else { &Scope::ALL };
        // Members are ASCII and in order, lists ascend, and there is no number: what serde_json writes is canonical.
        let rights = json!({
            "areas": scope.areas.list(),
            "layers": scope.layers.list(),
            "role": role.as_str(),
        });
        let hash = hmac_sha256::Hash::hash(rights.to_string().as_bytes());
        let (first, _) = hash.split_at(size_of::<u128>());
        Self(first.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
    }

    /// As a number.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for Class {
    /// 32 hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}
