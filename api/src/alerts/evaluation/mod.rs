//! The shells around the alert rules: on each newest reading of a sensor, and on each new state of the cells.

mod cells;
mod sensors;
mod times;

pub use cells::follow_cells;
pub use sensors::{NotifyPolicy, SensorObserver};
