//! HTTP routes, one file per subject.

pub mod areas;
pub mod dead_letters;
pub mod events;
pub mod health;
pub mod layers;
pub(crate) mod public;
pub mod sql;
pub mod tiles;

use std::sync::Arc;

use axum::Router;

use crate::app::App;
use crate::{access, alerts, audit, hotline};

/// All routes but the console's.
pub fn all(app: &Arc<App>) -> Router {
    Router::new()
        .merge(access::routes::all(&app.access, &app.reader))
        .merge(events::routes(Arc::clone(app)))
        .merge(sql::routes(Arc::clone(app)))
        .merge(layers::routes(Arc::clone(app)))
        .merge(areas::routes(Arc::clone(app)))
        .merge(tiles::routes(Arc::clone(app)))
        .merge(dead_letters::routes(Arc::clone(app)))
        .merge(audit::routes::routes(app.alerting.decisions.database().clone()))
        .merge(health::routes(Arc::clone(app)))
        .merge(alerts::routes::all(&app.alerting))
        .merge(hotline::routes::all(&app.desk, &app.reader))
        .merge(hotline::open311::routes(
            Arc::clone(&app.desk),
            Arc::clone(&app.access),
        ))
}
