//! From bytes to candidates: CloudEvents, and feeds mapped by configuration.

pub mod cloudevent;
pub mod feed;
