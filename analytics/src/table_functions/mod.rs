//! Table functions over a grid snapshot, called with named arguments: `hotspots(layer => 'noise', k => 1)`.
//!
//! A function holds the snapshot of its query, so that its rows and those of the tables beside it are of one state.

mod arguments;
pub mod hotspots;
mod hotspots_question;
mod hotspots_scan;

use std::sync::Arc;

use riskgrid_ingest::grid::GridSnapshot;

use crate::sql::NamedTableFunction;

/// Every table function, over `snapshot`.
pub fn table_functions(snapshot: &Arc<GridSnapshot>) -> Arc<[NamedTableFunction]> {
    Arc::from([NamedTableFunction {
        name: hotspots::NAME,
        arguments: &hotspots::ARGUMENTS,
        function: hotspots::function(Arc::clone(snapshot)),
    }])
}
