//! What is asked, and the beginning of its answer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use serde_json::Value;

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
}

/// The beginning of an answer. The query goes on while its stream is read and ends when it is dropped.
pub struct SqlAnswer {
    /// The id to cancel it by.
    pub query_id: String,
    /// The columns, with what their fields say about them (cells).
    pub schema: SchemaRef,
    /// The rows. Its errors are [`SqlError`]s in `DataFusion`'s clothes: `SqlError::from` undresses them.
    pub stream: SendableRecordBatchStream,
    /// Set once the stream has ended because of the request's limit although there were more rows.
    pub truncated: Arc<AtomicBool>,
}

impl fmt::Debug for SqlAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlAnswer")
            .field("query_id", &self.query_id)
            .finish_non_exhaustive()
    }
}
