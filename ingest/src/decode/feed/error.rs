//! What can be wrong with a feed's settings.

use std::io;
use std::path::PathBuf;

/// Why a feed cannot be used; says which feed, which key, and what is allowed there.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// A key holds a value that it may not.
    #[error("feed `{feed}`: `{key}` is {value}, but {allowed}")]
    Invalid {
        /// Name of the feed.
        feed: String,
        /// The key, with dots between its parts.
        key: String,
        /// What it holds.
        value: String,
        /// What it may hold.
        allowed: String,
    },
    /// A key that this feed needs is not there.
    #[error("feed `{feed}`: `{key}` is missing: {why}")]
    Missing {
        /// Name of the feed.
        feed: String,
        /// The key that is not there.
        key: String,
        /// Why it is needed, or what to write.
        why: String,
    },
    /// A file that the feed names cannot be read.
    #[error("feed `{feed}`: `{key}`: cannot read {}: {source}", path.display())]
    File {
        /// Name of the feed.
        feed: String,
        /// The key that names the file.
        key: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A row of the look-up file is not usable.
    #[error("feed `{feed}`: look-up file {}: {detail}", path.display())]
    Lookup {
        /// Name of the feed.
        feed: String,
        /// The look-up file.
        path: PathBuf,
        /// Which line, and what is wrong with it.
        detail: String,
    },
}
