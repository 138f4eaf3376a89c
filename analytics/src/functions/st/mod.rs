//! The functions of geometries.
//!
//! Those of `geodatafusion` are called through [`foreign`], which mends their answers to NULL, empty and invalid
//! values; where they are slow or lack something, and beside them, there are functions of our own. All take and give
//! geometries as WKB; texts are taken for WKT. x is a longitude, y a latitude; what is not called *sphere* is planar, in
//! degrees, as with `geometry` in PostGIS.

mod constructors;
mod distances;
mod envelopes;
mod extent;
mod foreign;
mod foreign_functions;
mod overlays;
mod predicates;
mod types;

use super::definition::Definition;

pub(super) use extent::Extent;

/// All definitions.
pub(super) fn definitions() -> impl Iterator<Item = &'static Definition> {
    [
        predicates::DEFINITIONS.as_slice(),
        constructors::DEFINITIONS.as_slice(),
        distances::DEFINITIONS.as_slice(),
        envelopes::DEFINITIONS.as_slice(),
        overlays::DEFINITIONS.as_slice(),
        types::DEFINITIONS.as_slice(),
        foreign_functions::DEFINITIONS.as_slice(),
    ]
    .into_iter()
    .flatten()
}
