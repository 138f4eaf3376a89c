//! What is known of the times beside the events: where there is an emergency, and which hours are no part of anybody's past.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::CellSet;

/// Hours, each by its start.
pub type Hours = Arc<BTreeSet<EventTime>>;

/// The conditions that a surface is made under. No number of it depends on where there is an emergency: only classes do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// The cells whose centres lie in an area in emergency mode.
    pub emergency: CellSet,
    /// By layer: hours in which a part of its domain was in emergency mode, or a feed of it silent.
    pub left_out: BTreeMap<String, Hours>,
}

impl Default for Conditions {
    /// Peace everywhere, and no hour left out.
    fn default() -> Self {
        Self {
            emergency: CellSet::none(),
            left_out: BTreeMap::new(),
        }
    }
}

impl Conditions {
    /// The hours that are no part of a layer's past.
    pub fn left_out_of(&self, layer: &str) -> Hours {
        self.left_out.get(layer).cloned().unwrap_or_default()
    }
}
