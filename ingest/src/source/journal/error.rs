//! Why the journal does not take or give something.

use std::io;
use std::sync::Arc;

use crate::disk::{NoRoom, StoreOpenError};

/// Why an append was not accepted. Nothing of the request is kept.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Too many requests wait for the disk.
    #[error("the journal is busy; try again in a moment")]
    Busy,
    /// Less room than the reserve.
    #[error(transparent)]
    DiskFull(#[from] NoRoom),
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] StoreOpenError),
    /// The store failed.
    #[error("the journal: {0}")]
    Store(#[from] fjall::Error),
    /// It gets no thread.
    #[error("the journal: {0}")]
    Thread(#[source] io::Error),
    /// A key of the store is no offset.
    #[error("the journal: a key is damaged")]
    DamagedKey,
    /// The bytes of an entry are none.
    #[error("the journal: the entry after offset {0} is damaged; restore the folder from a backup")]
    DamagedEntry(i64),
    /// What failed for all requests that were to be written together.
    #[error(transparent)]
    Together(Arc<JournalError>),
    /// The journal is shutting down.
    #[error("the journal is closed")]
    Closed,
}
