//! `h3_latlng_to_cell(lat, lng, res)`: `h3_cell` with the order of arguments that DuckDB's extension has.

use super::definition::{Definition, Kind};
use super::h3_cell::cells_at;

pub(super) static DEFINITION: Definition = Definition {
    name: "h3_latlng_to_cell",
    aliases: &[],
    description: "The H3 cell of resolution res that holds the point, latitude first; otherwise the same as h3_cell.",
    arguments: &[("lat", Kind::Number), ("lng", Kind::Number), ("res", Kind::Whole)],
    optional: 0,
    result: Kind::Cell,
    call: |arguments| cells_at(arguments, 1, 0),
};
