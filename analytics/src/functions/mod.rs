//! The scalar functions of riskgrid's SQL, one file each.
//!
//! A *cell* argument takes a column of cells, a number, or an H3 text; what a function gives as a cell is marked as one.
//! NULL in any argument gives NULL. A value of a **column** that is not valid (a number that is no cell, a resolution of
//! 40) gives NULL too, so that one bad row does not end a query; the same as a **constant** is a mistake in the query and
//! is an error that names it.

mod definition;
mod geometries;
mod h3_boundary;
mod h3_cell;
mod h3_centroid;
mod h3_children;
mod h3_disk;
mod h3_distance;
mod h3_from_string;
mod h3_in_area;
mod h3_is_valid_cell;
mod h3_latlng_to_cell;
mod h3_parent;
mod h3_resolution;
mod h3_string;
mod row_values;
mod st;
mod well_known_text;

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use riskgrid_ingest::places::Places;

use definition::{Definition, udf};

/// All scalar functions, to register with a session whose areas are those of `places`.
pub fn all(places: &Arc<Places>) -> Vec<Arc<ScalarUDF>> {
    definitions().map(|definition| udf(definition, places)).collect()
}

fn definitions() -> impl Iterator<Item = &'static Definition> {
    const ALL: [&Definition; 13] = [
        &h3_boundary::DEFINITION,
        &h3_cell::DEFINITION,
        &h3_centroid::DEFINITION,
        &h3_children::DEFINITION,
        &h3_disk::DEFINITION,
        &h3_distance::DEFINITION,
        &h3_from_string::DEFINITION,
        &h3_in_area::DEFINITION,
        &h3_is_valid_cell::DEFINITION,
        &h3_latlng_to_cell::DEFINITION,
        &h3_parent::DEFINITION,
        &h3_resolution::DEFINITION,
        &h3_string::DEFINITION,
    ];
    ALL.into_iter().chain(st::definitions())
}

/// All aggregate functions.
pub fn aggregates() -> Vec<Arc<AggregateUDF>> {
    vec![Arc::new(AggregateUDF::new_from_impl(st::Extent::default()))]
}

/// The function that makes a cell of a text.
pub(crate) fn h3_from_string() -> Arc<ScalarUDF> {
    udf(&h3_from_string::DEFINITION, &Arc::default())
}
