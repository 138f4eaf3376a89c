//! Telling others: signed messages per Standard Webhooks, from a durable outbox, until they are received.
//!
//! ```text
//! decisions (outbox) ─> Deliveries (worker) ─> Sender ─> receiver
//!        ^                                        │
//!        └────────────── attempt ─────────────────┘
//! ```
//!
//! At least once, always under the same `webhook-id`. A receiver that is dead holds up nobody but itself. No message
//! goes to an address that is not public unless the configuration says so.

mod address;
mod durations;
mod rate;
mod schedule;
mod sender;
mod steady_clock;
mod validate;
mod worker;

pub use address::is_public;
pub use schedule::RetrySchedule;
pub use sender::{Outgoing, Sender, SenderError};
pub use validate::{InvalidWebhook, WebhookRequest};
pub use worker::{Clock, Deliveries, DeliverySettings};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
