//! Reference layers: areas, facilities and people, loaded from files when the program starts.
//!
//! Everything here is settled before the first event is read and does not change while the program runs. Files are read
//! by [`load`]; [`AreaIndex`] tells which areas hold a point, [`cells_of`] which cells an area has, [`FacilityIndex`]
//! which facilities are nearest.

use std::sync::Arc;

use hashbrown::HashSet;

mod area;
mod area_cells;
mod area_index;
mod facility;
mod load;

pub use crate::globe::{EARTH_RADIUS_METRES, InvalidShape, Ring, RingNumber, Shape, great_circle_metres};
pub use crate::words::AreaIds;
pub use area::Area;
pub use area_cells::{TooManyCells, cell_set_of, cells_of};
pub use area_index::{AreaIndex, NoSuchArea, SameId};
pub use facility::{Facility, FacilityIndex, NearFacility, SameFacilityId};
pub use load::{
    AreaSettings, FacilitySettings, IndicatorSettings, PlaceError, PlaceProblem, PopulationSettings, load,
    load_indicator,
};

/// People at a point, as grids of population give them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeopleAt {
    /// Degrees east.
    pub lon: f64,
    /// Degrees north.
    pub lat: f64,
    /// How many.
    pub people: f64,
}

/// All reference layers.
#[derive(Debug, Default)]
pub struct Places {
    /// Areas of all levels.
    pub areas: AreaIndex,
    /// Facilities of all kinds.
    pub facilities: FacilityIndex,
    /// People at points, in the order of their files.
    pub population: Vec<PeopleAt>,
    /// Ids of the areas whose figure of people is the sum of those at points.
    pub summed_areas: HashSet<Arc<str>>,
}
