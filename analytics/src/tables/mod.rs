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
mod published;
mod risk;
mod scan;
pub(crate) mod snapshot_table;
pub mod stored;
mod time_filters;
mod visible;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::grid::GridSnapshot;

pub use published::published_tables;
pub use risk::risk_table;
use snapshot_table::SnapshotTable;
pub use visible::{visible_layer, visible_layers};

use crate::permission::{Permission, Role, Table};

/// The tables that exist for `permission`, each with the rows that it admits: `cells`, `events`, `sensors`, `reports`, `units`,
/// `layers`, the reference layers `areas`, `facilities` and `population`, and `dead_letters` where there is a store of them.
pub fn grid_tables(
    snapshot: &Arc<GridSnapshot>,
    permission: &Arc<Permission>,
    mut dead_letters: Option<DeadLetterStore>,
) -> Vec<(String, Arc<dyn TableProvider>)> {
    let mut made = |table: Table| -> Option<Arc<dyn TableProvider>> {
        let small = |table: SnapshotTable| -> Option<Arc<dyn TableProvider>> { Some(Arc::new(table)) };
        match table {
            // The public reads what was published, and of the rest only where areas are.
            Table::Areas => small(areas::table(snapshot)),
            _ if permission.role() == Role::Public => None,
            Table::Cells => Some(Arc::new(cells::CellsTable::new(snapshot, permission))),
            Table::Events => Some(Arc::new(events::EventsTable::new(snapshot, permission))),
            Table::Sensors => small(entities::sensors(snapshot, permission)),
            Table::Reports => small(entities::reports(snapshot, permission)),
            Table::Units => small(entities::units(snapshot, permission)),
            Table::Layers => small(layers::table(snapshot, permission)),
            Table::Facilities => small(facilities::table(snapshot, permission)),
            Table::Population => small(population::table(snapshot, permission)),
            Table::DeadLetters => small(dead_letters::table(dead_letters.take()?)),
            Table::CellsRest
            | Table::Risk
            | Table::Alerts
            | Table::Rules
            | Table::Deliveries
            | Table::Queries
            | Table::Cases
            | Table::CaseMoves
            | Table::CaseClocks
            | Table::CaseAssessed => None,
        }
    };
    let had = Table::ALL
        .into_iter()
        .filter(|table| permission.has_table(*table));
    had.filter_map(|table| Some((table.as_str().to_owned(), made(table)?)))
        .collect()
}
