//! What `public` sees: published step by step while the grid grows, written once, read by all that answers the public.

mod log;
mod publisher;

pub use log::PublicationError;
pub use publisher::{Published, Publisher, PublisherSettings};
