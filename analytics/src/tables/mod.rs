//! The tables over one grid snapshot, with the columns that clients build on (design, section 6).
//!
//! A table holds its snapshot; what it shows is made when a query scans it. Filters on layer, time, cell and box narrow
//! the scan; DataFusion still applies them to the rows, so narrowing only has to keep what may match.

mod areas;
mod cells;
pub(crate) mod columns;
mod dead_letters;
mod entities;
mod events;
mod facilities;
mod filters;
mod layers;
mod population;
pub(crate) mod snapshot_table;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::grid::GridSnapshot;

use snapshot_table::SnapshotTable;

/// `cells`, `events`, `sensors`, `reports`, `units`, `layers`, the reference layers `areas`, `facilities` and `population`, and `dead_letters` where there is a store of them.
pub fn grid_tables(
    snapshot: &Arc<GridSnapshot>,
    dead_letters: Option<DeadLetterStore>,
) -> Vec<(String, Arc<dyn TableProvider>)> {
    let mut tables: Vec<(String, Arc<dyn TableProvider>)> = Vec::new();
    let mut add = |name: &str, table: SnapshotTable| tables.push((name.to_owned(), Arc::new(table)));
    add("cells", cells::table(snapshot));
    add("events", events::table(snapshot));
    add("sensors", entities::sensors(snapshot));
    add("reports", entities::reports(snapshot));
    add("units", entities::units(snapshot));
    add("layers", layers::table(snapshot));
    add("areas", areas::table(snapshot));
    add("facilities", facilities::table(snapshot));
    add("population", population::table(snapshot));
    if let Some(store) = dead_letters {
        add("dead_letters", dead_letters::table(store));
    }
    tables
}
