//! Incidents: alerts of one group that are near each other in place and time are one thing that happens.
//!
//! Everything here is pure and deterministic in event time. A shell tells a [`Group`] in the order in which transitions are
//! stored that alerts fire, move and end, takes [`Changes`] out and stores them in the same transaction; restored from what
//! was stored it goes on as it would have.
//!
//! ```text
//! alert fires ─> Cover (its places) ─> Group ─┬─> which incident it is of        ─┐
//!       moves                                 ├─> parts that merge and split      ├─> Changes
//!       ends, and the gap is over             └─> incidents absorbed, closed     ─┘
//! clusters of a step ─> follow ─> which open episode each of them is
//! ```

mod changes;
mod clusters;
mod cover;
mod group;
mod parts;
mod places;

pub use changes::{Changes, Lineage, LineageKind};
pub use clusters::{ClusterEpisode, Following, follow};
pub use cover::{Cover, Spot};
pub use group::{Group, Opening, Reach, StoredIncident, StoredMember};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
