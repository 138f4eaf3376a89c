//! The tables over one grid snapshot, with the columns that clients build on (design, section 6).
//!
//! A table holds its snapshot; its rows are made while a query reads them. `cells` and `events` apply filters on layer, time,
//! cell and place exactly. The small tables only narrow what they make, and DataFusion filters the rows.

mod areas;
pub(crate) mod cells;
pub(crate) mod columns;
mod dead_letters;
mod entities;
pub(crate) mod events;
mod facilities;
mod filters;
mod layers;
mod population;
mod risk;
mod scan;
pub(crate) mod snapshot_table;
pub mod stored;
mod time_filters;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::grid::GridSnapshot;

pub use risk::risk_table;
use snapshot_table::SnapshotTable;

/// `cells`, `events`, `sensors`, `reports`, `units`, `layers`, the reference layers `areas`, `facilities` and `population`, and
/// `dead_letters` where there is a store of them.
pub fn grid_tables(
    snapshot: &Arc<GridSnapshot>,
    dead_letters: Option<DeadLetterStore>,
) -> Vec<(String, Arc<dyn TableProvider>)> {
    let mut tables: Vec<(String, Arc<dyn TableProvider>)> = Vec::new();
    tables.push(("cells".to_owned(), Arc::new(cells::CellsTable::new(snapshot))));
    tables.push(("events".to_owned(), Arc::new(events::EventsTable::new(snapshot))));
    let mut add = |name: &str, table: SnapshotTable| tables.push((name.to_owned(), Arc::new(table)));
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
