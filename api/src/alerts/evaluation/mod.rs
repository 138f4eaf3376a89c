//! The shells around the alert rules: on each newest reading of a sensor, and on each new state of the cells.

mod clocks;
mod follow;
mod sensors;
mod sums;
mod times;

pub use follow::follow_rules;
pub use sensors::{NotifyPolicy, SensorObserver};
