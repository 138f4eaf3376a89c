//! Table functions over a grid snapshot, called with named arguments: `hotspots(layer => 'noise', k => 1)`.
//!
//! A function holds the snapshot of its query, so that its rows and those of the tables beside it are of one state.

mod arguments;
mod bursts;
mod cells_question;
mod hotspots;
mod local;
mod local_moran;
mod statistic;
mod statistic_scan;
mod trends;

use std::sync::Arc;

pub(crate) use statistic_scan::pairs_of_statistic;

use riskgrid_ingest::grid::GridSnapshot;

use crate::permission::{Permission, Role};
use crate::sql::NamedTableFunction;

/// Every table function that exists for `permission`, over what it shows of `snapshot`. Statistics are of the grid, which the
/// public does not read.
pub fn table_functions(
    snapshot: &Arc<GridSnapshot>,
    permission: &Arc<Permission>,
) -> Arc<[NamedTableFunction]> {
    if permission.role() == Role::Public {
        return Arc::new([]);
    }
    [
        &hotspots::HOTSPOTS,
        &local_moran::LOCAL_MORAN,
        &trends::TRENDS,
        &bursts::BURSTS,
    ]
    .map(|definition| definition.over(snapshot, permission))
    .into()
}
