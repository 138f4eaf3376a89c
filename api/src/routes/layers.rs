//! `GET /v1/layers` and `GET /v1/layers/{layer}`: the catalogue.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use riskgrid_analytics::permission::{Permission, Role};
use riskgrid_analytics::tables::{visible_layer, visible_layers};
use riskgrid_ingest::LayerIndex;
use riskgrid_ingest::grid::{GridSnapshot, Metric};
use serde_json::{Value, json};

use super::public::PublicView;
use crate::access::Reads;
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

async fn all(State(app): State<Arc<App>>, Reads(seen): Reads) -> Response {
    let snapshot = app.reader.snapshot();
    if seen.role() == Role::Public {
        let view = PublicView {
            snapshot: &snapshot,
            seen: &seen,
            publication: &app.publication.load(),
        };
        let mut response = Json(json!({ "layers": view.layers() })).into_response();
        view.set_headers(&mut response, None);
        return response;
    }
    let layers: Vec<Value> = visible_layers(&snapshot, &seen)
        .map(|(index, _)| describe(&snapshot, &seen, index))
        .collect();
    let mut body = json!({ "layers": layers });
    let surface = app.surfaces.newest();
    let of_model = surface.model.layers.iter().map(|layer| layer.id.as_str());
    let on_surface: Vec<&str> = of_model.filter(|id| seen.admits_layer(Some(id))).collect();
    if !on_surface.is_empty() {
        let metrics =
            RiskMetric::ALL.map(|metric| json!({ "metric": metric.as_str(), "legend": metric.legend() }));
        body["risk"] = json!({ "layers": on_surface, "metrics": metrics, "tiles": "/v1/tiles/*.json" });
    }
    let mut response = Json(body).into_response();
    app.set_data_headers(&mut response, &snapshot, snapshot.complete_to(), None);
    response
}

async fn one(
    State(app): State<Arc<App>>,
    Reads(seen): Reads,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let snapshot = app.reader.snapshot();
    if seen.role() == Role::Public {
        let view = PublicView {
            snapshot: &snapshot,
            seen: &seen,
            publication: &app.publication.load(),
        };
        let mut response = Json(view.layer(&id)?).into_response();
        view.set_headers(&mut response, None);
        return Ok(response);
    }
    let index = find(&snapshot, &seen, &id)?;
    let mut response = Json(describe(&snapshot, &seen, index)).into_response();
    let as_of = snapshot.clock_of(index).and_then(|clock| clock.complete_to);
    app.set_data_headers(&mut response, &snapshot, as_of, None);
    Ok(response)
}

/// The layer of an id in a path.
///
/// # Errors
/// 404 that tells where the known ones are; the same for one that is not seen.
pub(crate) fn find(snapshot: &GridSnapshot, seen: &Permission, id: &str) -> Result<LayerIndex, Problem> {
    visible_layer(snapshot, seen, id).ok_or_else(|| no_such_layer(id))
}

/// 404 for a layer that is not there, or not to be seen.
pub(super) fn no_such_layer(id: &str) -> Problem {
    let shown: String = id.chars().take(64).collect();
    Problem::not_found(format!(
        "there is no layer `{shown}`; GET /v1/layers lists those known"
    ))
}

fn describe(snapshot: &GridSnapshot, seen: &Permission, index: LayerIndex) -> Value {
    let Some(layer) = snapshot.layers.get(index) else {
        return Value::Null;
    };
    let totals = snapshot.totals_within(index, seen.cells());
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
