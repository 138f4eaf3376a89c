//! The globe: one sphere, and shapes on it with one exact predicate of what they hold.

mod crossing;
mod edges;
mod shape;
mod sphere;

pub(crate) use shape::normalized;
pub use shape::{InvalidShape, Ring, RingNumber, Shape};
pub use sphere::{EARTH_RADIUS_METRES, great_circle_metres};
pub(crate) use sphere::{metres_between, unit_vector};
