//! Geometries as columns and as values: reading, writing, and the exact tests between two of them.
//!
//! A column of geometries is `Binary`, each value well-known binary (WKB), its field marked with the Arrow extension
//! `geoarrow.wkb`. There is one form only, because the others that functions give (structs, unions) cannot pass through
//! joins and sorts. x is a longitude and y a latitude, in degrees; a plane is meant unless a name says *sphere*.

mod column;
mod points;
mod relation;
mod values;

pub use column::{geometry_field, is_geometry, mark_geometry};
pub(crate) use points::{metres_between, on_unit_sphere, point_on_globe, squared_chord};
pub(crate) use relation::{Prepared, Relation};
pub(crate) use riskgrid_ingest::globe::wkb::{InvalidGeometry, bounds_of, point_wkb, read, type_of, write};
pub(crate) use riskgrid_ingest::globe::wkt::{push_text, wkb_of_text};
pub(crate) use values::GeometryValues;
