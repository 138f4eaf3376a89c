//! What a rule sees: what its maker saw as it was made, also when they are gone.

use std::sync::Arc;

use riskgrid_ingest::grid::CellSet;

use crate::permission::Permission;

/// A scope; everything by default.
#[derive(Clone, Debug, Default)]
pub struct Seen(Option<Arc<Permission>>);

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.class() == other.class()
    }
}

impl Seen {
    /// What these rights show.
    pub fn within(permission: Arc<Permission>) -> Self {
        Self(Some(permission).filter(|permission| !permission.is_whole()))
    }

    /// The rights, where they are not all.
    pub const fn permission(&self) -> Option<&Arc<Permission>> {
        self.0.as_ref()
    }

    /// Names it among others; none is everything.
    pub fn class(&self) -> Option<String> {
        self.0.as_ref().map(|permission| permission.class().to_string())
    }

    /// The cells of the grid that it sees, where those are not all.
    pub fn cells(&self) -> Option<&CellSet> {
        self.0.as_ref().map(|permission| permission.cells())
    }

    /// Whether it sees what a layer says of a cell.
    pub fn admits(&self, layer: Option<&str>, cell: Option<u64>) -> bool {
        self.0
            .as_ref()
            .is_none_or(|seen| seen.admits_layer(layer) && seen.admits_centre_of(cell))
    }

    /// Whether it sees an area.
    pub fn admits_area(&self, id: &str) -> bool {
        self.0.as_ref().is_none_or(|seen| seen.admits_area(id))
    }
}
