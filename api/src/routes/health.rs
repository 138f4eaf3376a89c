//! `/healthz`, `/readyz`, `/metrics` and `/v1/stream`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use riskgrid_ingest::RefusalReason;

use crate::app::App;
use crate::metrics;
use crate::problem::Problem;

/// The routes.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(show_metrics))
        .route(
            "/v1/stream",
            get(|State(app): State<Arc<App>>| async move { app.changes.subscribe() }),
        )
        .with_state(app)
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.not_ready_because() {
        None => {
            let snapshot = app.reader.snapshot();
            let loaded = app.progress(&snapshot);
            let percent = loaded.map_or(0.0, |progress| progress.percent().floor());
            let (have, total) = app.partitions();
            let mut text = format!("ready\nloaded {percent}%\npartitions {have}/{total}\n");
            let poisoned = snapshot.counts().refused_for(RefusalReason::Poison);
            if poisoned > 0 {
                text.push_str(&format!(
                    "poisoned {poisoned}: events that a defect kept from being counted; see `riskgrid dead-letters`\n"
                ));
            }
            for partition in app.pipeline.mending() {
                text.push_str(&format!(
                    "partition {partition} is read again from its checkpoint\n"
                ));
            }
            text.into_response()
        }
        Some(reason) => Problem::unavailable(format!("not ready: {reason}"), 2).into_response(),
    }
}

async fn show_metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let page = metrics::render(&app, (app.clock)()).map_err(|error| Problem::internal(&error))?;
    Ok((
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        page,
    )
        .into_response())
}
