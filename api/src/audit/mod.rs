//! The audit: who did what, and when, in rows of which each covers the one before by its hash.

mod record;
pub mod routes;
mod store;
mod verification;

pub use record::{Deed, Link, NOTHING_BEFORE, Record};
pub use store::AuditRow;
pub(crate) use store::append;
pub use verification::{Misfit, Verification, Verified};
