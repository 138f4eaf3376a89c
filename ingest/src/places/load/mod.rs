//! Reads reference layers from files: GeoJSON, CSV and GeoParquet, as the configuration says.
//!
//! A file is used whole or not at all: what is wrong with one row is an error that names it, so that no area is missing
//! from counts without anybody knowing.

mod areas;
mod csv_table;
mod error;
mod facilities;
mod files;
mod geojson;
mod indicator;
mod parquet_table;
mod population;
mod row;
mod settings;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use error::{PlaceError, PlaceProblem};
pub use indicator::load_indicator;
pub use settings::{AreaSettings, FacilitySettings, IndicatorSettings, PopulationSettings};

use super::Places;

/// Loads all reference layers; relative paths start at `folder`.
///
/// # Errors
/// The first thing that is wrong with a table or with its file.
pub fn load(
    areas: &[AreaSettings],
    facilities: &[FacilitySettings],
    population: &[PopulationSettings],
    folder: &Path,
) -> Result<Places, PlaceError> {
    let mut areas = areas::load(areas, folder)?;
    let (population, summed) = population::load(population, folder, &mut areas)?;
    Ok(Places {
        areas,
        facilities: facilities::load(facilities, folder)?,
        population,
        summed_areas: summed,
    })
}
