//! `/v1/hotspots/{alert}/outcome`: whether what raised an alert was solved by its case.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use riskgrid_ingest::grid::GridReader;
use serde_json::Value;

use crate::hotline::desk::{Desk, Officer};
use crate::problem::Problem;

/// The routes.
pub(super) fn routes(desk: Arc<Desk>, reader: GridReader) -> Router {
    Router::new()
        .route("/v1/hotspots/{alert}/outcome", get(outcome))
        .with_state((desk, reader))
}

async fn outcome(
    State((desk, reader)): State<(Arc<Desk>, GridReader)>,
    officer: Officer,
    Path(alert): Path<String>,
) -> Result<Json<Value>, Problem> {
    let snapshot = reader.snapshot();
    Ok(Json(desk.hotspot_outcome(&officer, &alert, snapshot).await?))
}
