//! Who asks, and what they may.
//!
//! | what | where |
//! |---|---|
//! | a key's form, and what is kept of it | `key.rs`, `base62.rs`, `scram.rs` |
//! | what a key is made of; keys and sessions as they are stored and in memory | `new_key.rs`, `store.rs`, `live_keys.rs`, `sessions.rs` |
//! | what a request brings to show who asks | `credential.rs`, `cookie.rs` |
//! | tokens of an OIDC issuer, and signing browsers in by it | `oidc/` |
//! | every route and what it needs | `route_table.rs` |
//! | what every request passes, and what ends what it rests on | `admit.rs`, `access.rs` |
//! | how often, and what was refused | `rates.rs`, `failures.rs`, `refusals.rs`, `client_network.rs`, `counters.rs` |

#[allow(clippy::module_inception, reason = "it is what the room is named after")]
mod access;
mod admit;
mod base62;
mod caching;
mod client_network;
mod cookie;
mod counters;
mod credential;
mod failures;
mod identity;
mod key;
mod key_file;
mod key_limits;
mod live_keys;
mod new_key;
mod oidc;
mod rates;
mod refusals;
mod route_table;
pub mod routes;
mod scram;
mod sessions;
mod spans;
mod store;
mod watched;

pub use access::{Access, AccessError, AccessSettings};
pub(crate) use admit::{AskedWithout, admit};
pub(crate) use caching::Immutable;
pub(crate) use credential::without_keys;
pub use identity::{Caller, Identity, Ingest, Reads};
pub use key::{Key, StoredKey, is_same_hash};
pub use key_file::{PrivateFileError, read_key_file, read_private_file};
pub use key_limits::{KeyLimits, KeyRates};
pub use live_keys::LiveKey;
pub use new_key::{Draft, Grant, NewKey, Protocol, Rights, Unfit};
pub use oidc::{ClientSecret, OidcSettings};
pub use route_table::{Needs, RULES, Rule, Verb};
pub use store::{Asked, KeyError, StoredGrant};
