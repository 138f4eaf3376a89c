//! What a query sees: the tables over one snapshot, those of the decisions database, and the table functions.

use std::sync::Arc;

use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::sql::NamedTableFunction;
use riskgrid_analytics::table_functions::table_functions;
use riskgrid_analytics::tables::grid_tables;
use riskgrid_ingest::grid::GridSnapshot;

use crate::alerts::table::AlertsTable;
use crate::app::App;

/// Tables and table functions of a query over what `permission` shows of `snapshot`.
pub fn of(
    app: &Arc<App>,
    snapshot: &Arc<GridSnapshot>,
    permission: &Arc<Permission>,
) -> (Arc<dyn SchemaProvider>, Arc<[NamedTableFunction]>) {
    let schema = MemorySchemaProvider::new();
    let alerts: Arc<dyn datafusion::catalog::TableProvider> =
        Arc::new(AlertsTable::new(app.alerting.decisions.clone()));
    let tables = grid_tables(snapshot, permission, Some(app.dead_letters.clone()));
    let beside = [
        ("alerts".to_owned(), alerts),
        ("queries".to_owned(), app.sql.queries_table()),
    ];
    for (name, table) in tables.into_iter().chain(beside) {
        // Names are our own and differ, so registering cannot fail.
        if let Err(error) = schema.register_table(name, table) {
            tracing::error!(%error, "a table could not be registered");
        }
    }
    (Arc::new(schema), table_functions(snapshot, permission))
}
