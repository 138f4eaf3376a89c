//! `GET /v1/layers` and `GET /v1/layers/{layer}`: the catalogue.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use riskgrid_ingest::LayerIndex;
use riskgrid_ingest::grid::{GridSnapshot, Metric};
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Problem;
use crate::tiles::RiskMetric;

/// The routes.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/layers", get(all))
        .route("/v1/layers/{layer}", get(one))
        .with_state(app)
}

async fn all(State(app): State<Arc<App>>) -> Response {
    let snapshot = app.reader.snapshot();
    let layers: Vec<Value> = snapshot
        .layers
        .iter()
        .map(|(index, _)| describe(&snapshot, index))
        .collect();
    let mut body = json!({ "layers": layers });
    let surface = app.surfaces.newest();
    let on_surface: Vec<&str> = surface
        .model
        .layers
        .iter()
        .map(|layer| layer.id.as_str())
        .collect();
    if !on_surface.is_empty() {
        let metrics =
            RiskMetric::ALL.map(|metric| json!({ "metric": metric.as_str(), "legend": metric.legend() }));
        body["risk"] = json!({ "layers": on_surface, "metrics": metrics, "tiles": "/v1/tiles/*.json" });
    }
    let mut response = Json(body).into_response();
    app.set_data_headers(&mut response, &snapshot, snapshot.complete_to(), None);
    response
}

async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let snapshot = app.reader.snapshot();
    let index = find(&snapshot, &id)?;
    let mut response = Json(describe(&snapshot, index)).into_response();
    let as_of = snapshot.clock_of(index).and_then(|clock| clock.complete_to);
    app.set_data_headers(&mut response, &snapshot, as_of, None);
    Ok(response)
}

/// The layer of an id in a path.
///
/// # Errors
/// 404 that tells where the known ones are.
pub(crate) fn find(snapshot: &GridSnapshot, id: &str) -> Result<LayerIndex, Problem> {
    snapshot.layers.find(id).ok_or_else(|| {
        let shown: String = id.chars().take(64).collect();
        Problem::not_found(format!(
            "there is no layer `{shown}`; GET /v1/layers lists those known"
        ))
    })
}

fn describe(snapshot: &GridSnapshot, index: LayerIndex) -> Value {
    let Some(layer) = snapshot.layers.get(index) else {
        return Value::Null;
    };
    let totals = snapshot.totals(index);
    let metrics: Vec<&str> = Metric::ALL
        .iter()
        .filter(|metric| metric.applies_to(layer.kind))
        .map(|metric| metric.as_str())
        .collect();
    json!({
        "layer": layer.id,
        "kind": layer.kind,
        "label": layer.label,
        "unit": layer.unit,
        "resolution": layer.resolution,
        "domain": layer.domain,
        "first_time": totals.map(|totals| totals.first_time.to_string()),
        "last_time": totals.map(|totals| totals.last_time.to_string()),
        "count": totals.map_or(0, |totals| totals.count),
        "metrics": metrics,
        "legend": { "scheme": "sequential", "metric": if metrics.contains(&"mean") { "mean" } else { "count" } },
        "tiles": format!("/v1/tiles/{}.json", layer.id),
    })
}
