//! `/healthz`, `/readyz`, `/metrics` and `/v1/stream`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

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
            // A stream that nobody reads is not begun.
            get(|State(app): State<Arc<App>>| async move { app.changes.subscribe() }).head(|| async {
                Problem::method_not_allowed("a stream has no end and so no head; use GET")
            }),
        )
        .with_state(app)
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.not_ready_because() {
        None => {
            let loaded = app.progress(&app.reader.snapshot());
            let percent = loaded.map_or(0.0, |progress| progress.percent().floor());
            let (have, total) = app.partitions();
            format!("ready\nloaded {percent}%\npartitions {have}/{total}\n").into_response()
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
