//! What a query sees: the tables over one snapshot, those of the decisions database, and the table functions.

use std::sync::Arc;

use riskgrid_analytics::QueryTables;
use riskgrid_ingest::grid::GridSnapshot;

use crate::alerts::table::alerts_table;
use crate::app::App;

/// Tables and table functions of a query over `snapshot`.
pub fn of(app: &Arc<App>, snapshot: &Arc<GridSnapshot>) -> QueryTables {
    QueryTables::over(snapshot, Some(app.dead_letters.clone()))
        .with(Arc::new(alerts_table(app.alerting.decisions.clone())))
        .with_queries_of(&app.sql)
        .with_risk(&app.surfaces.newest())
}
