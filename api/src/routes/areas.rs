//! `GET /v1/areas` and `GET /v1/areas/{area}`: what areas there are, and the shape of one.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use riskgrid_ingest::places::Area;
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Problem;

/// The routes.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/areas", get(all))
        .route("/v1/areas/{area}", get(one))
        .with_state(app)
}

async fn all(State(app): State<Arc<App>>) -> Response {
    let snapshot = app.reader.snapshot();
    let areas: Vec<Value> = snapshot.places.areas.areas().iter().map(describe).collect();
    Json(json!({ "areas": areas })).into_response()
}

/// A GeoJSON feature.
async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let snapshot = app.reader.snapshot();
    let area = snapshot.places.areas.get(&id).ok_or_else(|| {
        let shown: String = id.chars().take(64).collect();
        Problem::not_found(format!(
            "there is no area `{shown}`; GET /v1/areas lists those loaded"
        ))
    })?;
    let polygons = area.shape.geometry().0.iter().map(|polygon| {
        let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
        rings
            .map(|ring| ring.0.iter().map(|position| [position.x, position.y]).collect())
            .collect()
    });
    let polygons: Vec<Vec<Vec<[f64; 2]>>> = polygons.collect();
    let feature = json!({
        "type": "Feature",
        "id": &*area.id,
        "properties": describe(area),
        "geometry": { "type": "MultiPolygon", "coordinates": polygons },
    });
    Ok(([(CONTENT_TYPE, "application/geo+json")], feature.to_string()).into_response())
}

fn describe(area: &Area) -> Value {
    json!({
        "id": &*area.id,
        "name": area.name,
        "level": &*area.level,
        "parent": area.parent.as_deref(),
        "population": area.population,
    })
}
