//! What an area is.

use std::sync::Arc;

use crate::globe::Shape;

/// A named shape of one level of a hierarchy: a district, a neighbourhood, a city.
#[derive(Clone, Debug)]
pub struct Area {
    /// Unique over all levels.
    pub id: Arc<str>,
    /// For people; several areas may have the same.
    pub name: String,
    /// Name of its level.
    pub level: Arc<str>,
    /// Id of the area of the level above that it belongs to.
    pub parent: Option<Arc<str>>,
    /// How many people live there, where that was loaded.
    pub population: Option<u64>,
    /// What it covers.
    pub shape: Shape,
}
