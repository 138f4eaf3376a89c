//! The audit: who did what, and when, in rows of which each covers the one before by its hash.

mod record;
pub mod routes;
mod store;

pub use record::{Deed, Link, NOTHING_BEFORE, Record};
pub use store::AuditRow;
