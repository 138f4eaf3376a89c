//! `/v1/hotspots/{alert}/outcome`: whether what raised an alert was solved by its case.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use crate::app::App;
use crate::hotline::desk::Officer;
use crate::problem::Problem;

/// The routes.
pub(super) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/hotspots/{alert}/outcome", get(outcome))
        .with_state(app)
}

async fn outcome(
    State(app): State<Arc<App>>,
    officer: Officer,
    Path(alert): Path<String>,
) -> Result<Json<Value>, Problem> {
    let snapshot = app.reader.snapshot();
    Ok(Json(app.desk.hotspot_outcome(&officer, &alert, snapshot).await?))
}
