//! What `public` sees: published step by step while the grid grows, written once, read by all that answers the public.

mod late;
mod log;
mod pages;
mod publisher;

use std::collections::BTreeSet;

pub use pages::{PagePlace, PublicationError};
pub use publisher::{Published, Publisher, PublisherSettings};

/// Takes out what was published of these layers, while no server runs: none of that time is published again, for a number that
/// is shown anew could be compared with the one that was shown before. The layers of which there was something.
///
/// # Errors
/// A log that cannot be read or written.
pub fn purge(place: PagePlace, layers: &BTreeSet<String>) -> Result<Vec<String>, PublicationError> {
    log::PublicationLog::new(place).purge(layers)
}
