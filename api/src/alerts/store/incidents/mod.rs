//! Incidents as they are stored: changed in the transaction of the transition that changes them, in stored order.

mod gather;
mod lineage;
mod list;
mod settings;
mod write;

pub(super) use gather::{Gathered, Gathering};
pub use lineage::LineageRow;
pub(super) use lineage::forget_incidents;
pub(super) use list::areas_of_cell;
pub use list::{Incident, IncidentPlace, IncidentQuery, IncidentReader, IncidentState};
pub use settings::{IncidentSettings, NearBy};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
