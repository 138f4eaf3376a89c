//! What became of an attempt to deliver.

use std::time::Duration;

use axum::http::StatusCode;

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it was made, wall clock, µs.
    pub at: i64,
    /// HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
    /// From the request to the end of the answer.
    pub latency_ms: u64,
    /// Why it was not delivered; `None` when it was.
    pub error: Option<String>,
    /// What the receiver asked for.
    pub retry_after: Option<Duration>,
}

impl Attempt {
    /// Whether the receiver has it: any 2xx.
    pub fn is_delivered(&self) -> bool {
        self.error.is_none()
    }

    /// Whether the receiver says that it does not take this message, whatever else it takes.
    pub fn is_refusal(&self) -> bool {
        matches!(self.status, Some(400 | 413 | 415 | 422))
    }

    /// Whether nothing else should be sent to the receiver either for a while.
    pub fn asks_for_a_pause(&self) -> bool {
        self.retry_after.is_some() || matches!(self.status, Some(429 | 502 | 503 | 504))
    }

    /// Whether the receiver is gone for good: 410.
    pub fn is_gone(&self) -> bool {
        self.status == Some(StatusCode::GONE.as_u16())
    }
}
