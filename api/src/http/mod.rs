//! HTTP below the routes: connections and their limits, which requests are let in, bodies, and the headers that more than
//! one route reads.

pub mod accept;
pub mod authority;
mod body;
mod budget;
mod conditional;
mod connections;
mod content;
pub mod counters;
pub mod event_headers;
pub(crate) mod extract;
pub mod forwarded;
mod linger;
mod open_files;
mod patience;
mod retry_after;
mod safety;
mod serve;
mod sites;
mod tls;
mod tls_error;
mod unpack;
mod validity;

pub(crate) use body::{Bodies, HeldBody, take_body};
pub(crate) use budget::BodyBudget;
pub(crate) use conditional::{expected_version, is_known, tag_whole_answers, tagged, version_tag};
pub(crate) use connections::Connections;
pub(crate) use content::media_type;
pub use counters::HttpCounters;
pub(crate) use open_files::{connections_within, raise_open_files};
pub(crate) use retry_after::retry_after;
pub(crate) use safety::add_safety;
pub(crate) use serve::{ConnectionSettings, serve};
pub use sites::InvalidSite;
pub(crate) use sites::{Refused, Sites, read_hosts};
pub use tls::{ClientCertificates, TlsSettings};
pub(crate) use tls::{ClientNames, Tls};
pub use tls_error::{AuthoritiesError, PairError, TlsError};
