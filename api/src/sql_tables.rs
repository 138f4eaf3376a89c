//! What a query sees: the tables over one snapshot, those of the decisions database, and the table functions.

use std::sync::Arc;

use riskgrid_analytics::QueryTables;
use riskgrid_analytics::permission::{Permission, Role};
use riskgrid_ingest::grid::GridSnapshot;

use crate::alerts::table::alerts_table;
use crate::app::App;

/// Tables and table functions of a query over what `permission` shows of `snapshot`.
pub fn of(app: &Arc<App>, snapshot: &Arc<GridSnapshot>, permission: &Arc<Permission>) -> QueryTables {
    let tables = QueryTables::over(snapshot, permission, Some(app.dead_letters.clone()));
    let tables = tables.with_queries_of(&app.sql);
    if permission.role() == Role::Public {
        return tables;
    }
    let alerts = alerts_table(app.alerting.decisions.clone(), Arc::clone(permission));
    tables.with(Arc::new(alerts))
}
