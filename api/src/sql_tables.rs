//! What a query sees: the tables over one snapshot, those of the decisions database, and the table functions.

use std::sync::Arc;

use riskgrid_analytics::QueryTables;
use riskgrid_analytics::permission::Role;
use riskgrid_analytics::publication::Publication;
use riskgrid_analytics::sql::Asker;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::GridSnapshot;

use crate::alerts::table::{
    alerts_table, attempts_table, deliveries_table, incident_lineage_table, incidents_table,
    public_alerts_table, rules_table, silences_table, transitions_table,
};
use crate::app::App;
use crate::hotline::table::{Reader, with_cases};
use crate::risk::scores_table;

/// Tables and table functions of a query over what `asker` may see of `snapshot`.
pub fn of(
    app: &Arc<App>,
    (snapshot, publication): (&Arc<GridSnapshot>, &Arc<Publication>),
    asker: &Asker,
) -> QueryTables {
    let permission = &asker.permission;
    let tables = QueryTables::over(snapshot, permission, Some(app.dead_letters.clone()));
    let tables = tables.with_queries_of(&app.sql, asker);
    if permission.role() == Role::Public {
        let alerts = public_alerts_table(app.alerting.decisions.clone());
        return tables
            .with_published(snapshot, permission, publication)
            .with(Arc::new(alerts));
    }
    let alerts = alerts_table(app.alerting.decisions.clone(), Arc::clone(permission));
    let now = EventTime::from_micros((app.alerting.clock)());
    let silences = silences_table(app.alerting.decisions.clone(), Arc::clone(permission), now);
    let incidents = incidents_table(app.alerting.decisions.clone(), Arc::clone(permission), now);
    let lineage = incident_lineage_table(app.alerting.decisions.clone(), Arc::clone(permission), now);
    let rules = rules_table(Arc::clone(&app.alerting), Arc::clone(permission));
    let transitions = transitions_table(app.alerting.decisions.clone(), Arc::clone(permission));
    let reader = Reader {
        seen: Arc::clone(permission),
        offices: Arc::clone(&asker.offices),
    };
    let tables = with_cases(tables, &app.desk, &reader)
        .with(Arc::new(rules))
        .with(Arc::new(transitions))
        .with(Arc::new(alerts))
        .with(Arc::new(incidents))
        .with(Arc::new(lineage))
        .with(Arc::new(silences))
        .with(Arc::new(scores_table(app.surfaces.scores(), permission)))
        .with_risk(&app.surfaces.seen_by(permission));
    // What receivers are told is of any layer and any place.
    let is_of_all = permission.has_all_layers() && permission.has_all_areas();
    if permission.role() >= Role::Operator && is_of_all {
        return tables
            .with(Arc::new(deliveries_table(app.alerting.decisions.clone())))
            .with(Arc::new(attempts_table(app.alerting.decisions.clone())));
    }
    tables
}
