//! The shells around the alert rules: on each newest reading of a sensor, and at times of their own.

mod clocks;
mod composite;
mod follow;
mod late;
mod others;
mod queries;
mod revise;
mod sensors;
mod sight;
mod sums;
mod surface;
mod times;
mod trial;

pub use follow::follow_rules;
pub(crate) use queries::{QueryFailure, rows_of as rows_of_query};
pub use sensors::{NotifyPolicy, SensorObserver};
pub use sight::Sight;
pub(crate) use trial::{TrialError, back_test, dry_run, truth_of};
