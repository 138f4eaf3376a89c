//! `/healthz`, `/readyz`, `/metrics` and `/v1/stream`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use riskgrid_ingest::RefusalReason;

use crate::access::Reads;
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
            get(
                |State(app): State<Arc<App>>, Reads(seen): Reads| async move { app.changes.subscribe(&seen) },
            ),
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
            if !app.access.is_open() {
                return "ready\n".into_response();
            }
            let mut lines = vec![
                "ready".to_owned(),
                format!("loaded {percent}%"),
                format!("partitions {have}/{total}"),
            ];
            let poisoned = snapshot.counts().refused_for(RefusalReason::Poison);
            if poisoned > 0 {
                lines.push(format!(
                    "poisoned {poisoned}: events that a defect kept from being counted; see `riskgrid dead-letters`"
                ));
            }
            let mending = app.pipeline.mending().into_iter();
            lines.extend(mending.map(|id| format!("partition {id} is read again from its checkpoint")));
            let text = lines.join("\n") + "\n";
            text.into_response()
        }
        Some(_) if !app.access.is_open() => {
            Problem::unavailable("not ready; its log says why", 2).into_response()
        }
        Some(reason) => Problem::unavailable(format!("not ready: {reason}"), 2).into_response(),
    }
}

async fn show_metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let held = app.alerting.held().await;
    let page = metrics::render(&app, &held, (app.clock)()).map_err(|error| Problem::internal(&error))?;
    Ok((
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        page,
    )
        .into_response())
}
