//! How much one query, and all queries together, may take.

use std::num::NonZeroUsize;
use std::time::Duration;

/// The limits of a [`SqlEngine`](crate::sql::SqlEngine). Nothing is ever spilled to disk: a query that does not fit
/// into its memory ends with [`ResourcesExhausted`](crate::sql::SqlError::ResourcesExhausted).
#[derive(Debug, Clone)]
pub struct SqlLimits {
    /// Memory of all running queries together, in bytes. Default 2 GiB.
    pub memory_bytes: usize,
    /// Memory of one query, in bytes. Default 1 GiB.
    pub query_memory_bytes: usize,
    /// Time of a query that asks for none. Default 30 s.
    pub timeout: Duration,
    /// The longest time that a query may ask for. Default 10 min.
    pub longest_timeout: Duration,
    /// Queries that run at once; a further one waits, within its own time. Default 16.
    pub max_concurrent: NonZeroUsize,
    /// Threads that run queries, and partitions of a plan. Default: as many as there are processors.
    pub threads: NonZeroUsize,
    /// Length of a statement, in bytes. Default 256 KiB.
    pub statement_bytes: usize,
}

impl Default for SqlLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            query_memory_bytes: 1 << 30,
            timeout: Duration::from_secs(30),
            longest_timeout: Duration::from_mins(10),
            max_concurrent: NonZeroUsize::new(16).unwrap_or(NonZeroUsize::MIN),
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            statement_bytes: 256 << 10,
        }
    }
}
