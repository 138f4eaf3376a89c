//! What is asked, and the beginning of its answer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use serde_json::Value;

use super::asker::Asker;
use crate::sql::error::SqlError;

/// One query as it is asked.
#[derive(Debug, Clone)]
pub struct SqlRequest {
    /// Exactly one read-only statement.
    pub sql: String,
    /// Values of `$1`, `$2`, …: null, booleans, numbers and texts.
    pub params: Vec<Value>,
    /// The time it may take; the engine's own if `None`, never more than the longest.
    pub timeout: Option<Duration>,
    /// The most rows of the answer; all if `None`.
    pub limit: Option<usize>,
    /// The id to cancel it by; one is made if `None`. At most 128 characters.
    pub query_id: Option<String>,
    /// What `now()` gives.
    pub now: DateTime<Utc>,
    /// Who asks.
    pub asker: Asker,
}

/// The beginning of an answer. The query goes on while its stream is read and ends when it is dropped.
pub struct SqlAnswer {
    /// The id to cancel it by.
    pub query_id: String,
    /// The columns, with what their fields say about them (cells).
    pub schema: SchemaRef,
    /// The rows. Its errors are [`SqlError`](crate::sql::SqlError)s in `DataFusion`'s clothes: `SqlError::from` undresses them.
    pub stream: SendableRecordBatchStream,
    /// Set once the stream has ended because of the request's limit although there were more rows.
    pub truncated: Arc<AtomicBool>,
    /// The most rows that it can have.
    pub limit: Option<usize>,
    /// The bytes of it as it is written.
    pub(crate) bytes: AnswerBytes,
}

/// Counts what is written of an answer.
#[derive(Debug, Clone)]
pub(crate) struct AnswerBytes {
    pub(crate) limit: Option<u64>,
    pub(crate) written: Arc<AtomicU64>,
}

impl AnswerBytes {
    /// So many more are written.
    ///
    /// # Errors
    /// [`SqlError::AnswerTooLarge`] past the limit.
    pub(crate) fn add(&self, bytes: usize) -> Result<(), SqlError> {
        let written = self.written.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        match self.limit {
            Some(limit) if written > limit => Err(SqlError::AnswerTooLarge { limit }),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for SqlAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlAnswer")
            .field("query_id", &self.query_id)
            .finish_non_exhaustive()
    }
}
