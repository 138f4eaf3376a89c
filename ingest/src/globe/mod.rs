//! The globe: one sphere, shapes on it with one exact predicate of what they hold, and the one strict reader of geometries.

mod crossing;
mod edges;
mod invalid_shape;
mod locate;
mod shape;
mod sphere;
pub mod wkb;
pub mod wkt;

pub use invalid_shape::{InvalidShape, RingNumber};
pub use locate::{Locator, Side, polygons_of, side_in};
pub(crate) use shape::normalized;
pub use shape::{Ring, Shape};
pub(crate) use sphere::metres_between;
pub use sphere::{
    EARTH_RADIUS_METRES, MEAN_RADIUS_METRES, arc, great_circle_metres, squared_chord_of, unit_vector,
};
