//! The audit: who looked at raw records, replayed or purged, and when.

pub mod routes;
