//! What is known of the times beside the events: where there is an emergency, and which hours are no part of anybody's past.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{CellSet, Span};

/// Hours, each by its start.
pub type Hours = Arc<BTreeSet<EventTime>>;

/// The conditions that a surface is made under. No number of it depends on where there is an emergency: only classes do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// The cells whose centres lie in an area in emergency mode.
    pub emergency: CellSet,
    /// Where there was one and when, by the wall clock; those that still last, too.
    pub emergencies: Vec<(CellSet, Span)>,
    /// By layer: hours in which a part of its domain was in emergency mode, or a feed of it silent.
    pub left_out: BTreeMap<String, Hours>,
}

impl Default for Conditions {
    /// Peace everywhere, and no hour left out.
    fn default() -> Self {
        Self {
            emergency: CellSet::none(),
            emergencies: Vec::new(),
            left_out: BTreeMap::new(),
        }
    }
}

impl Conditions {
    /// The cells that were in an emergency at some moment of the past.
    pub fn emergency_at(&self, at: EventTime) -> CellSet {
        let lasted = self
            .emergencies
            .iter()
            .filter(|(_, span)| (span.start..span.end).contains(&at));
        CellSet::of(lasted.flat_map(|(cells, _)| cells.ranges().to_vec()).collect())
    }

    /// The hours that are no part of a layer's past.
    pub fn left_out_of(&self, layer: &str) -> Hours {
        self.left_out.get(layer).cloned().unwrap_or_default()
    }
}
